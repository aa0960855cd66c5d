/** `dr-director check FILE…`: every error of a config file, with its place. */
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";

interface CheckFlags {
  scheduler?: string[];
  quiet?: true;
}

export function register(program: Command): void {
  program
    .command("check")
    .description("tell every error of config files, with line and column; exit code 1 if there is one")
    .argument("<file...>", "YAML or JSON config files")
    .option("--scheduler <file...>", "modules with schedulers that the files name")
    .option("--quiet", "say nothing about files that are right")
    .action(async (files: string[], flags: CheckFlags) => {
      process.exitCode = (await check(files, flags)) ? 0 : 1;
    });
}

async function check(files: readonly string[], flags: CheckFlags): Promise<boolean> {
  const { loadSchedulers } = await import("../../control/scheduler-modules.ts");
  await loadSchedulers((flags.scheduler ?? []).map((path) => resolve(path)));
  let good = true;
  for (const file of files) {
    const problems = await problemsOf(file);
    for (const problem of problems) process.stderr.write(`${problem}\n`);
    if (problems.length > 0) good = false;
    else if (flags.quiet !== true) process.stdout.write(`${file}: right\n`);
  }
  return good;
}

/** What is wrong with one file, a line each. */
async function problemsOf(file: string): Promise<string[]> {
  const { ConfigError, formatProblem, parseConfig } = await import("../../control/config.ts");
  const { findScheduler, schedulerNames } = await import("../../schedulers/registry.ts");
  if (!existsSync(file)) return [`${file}: there is no such file`];
  try {
    const config = parseConfig(readFileSync(file, "utf8"), file);
    const unknown = config.services.filter(({ scheduler }) => findScheduler(scheduler) === undefined);
    return unknown.map(({ scheduler }) => {
      const i = config.services.findIndex((service) => service.scheduler === scheduler);
      const key = `services[${i}].scheduler`;
      const message = `expected one of ${schedulerNames().join(", ")}, found "${scheduler}"`;
      return formatProblem(file, { line: 1, column: 1, key, message });
    });
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map((problem) => formatProblem(file, problem));
    return [`${file}: ${(error as Error).message}`];
  }
}
