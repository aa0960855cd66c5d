/** `dr-director check FILE…`: every error of a config file, with its place. */
import { readFileSync } from "node:fs";
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
  const { ConfigError, parseConfig } = await import("../../control/config.ts");
  const { schedulerNames } = await import("../../schedulers/registry.ts");
  try {
    parseConfig(readFileSync(file, "utf8"), file, schedulerNames());
    return [];
  } catch (error) {
    return [error instanceof ConfigError ? error.message : `${file}: ${(error as Error).message}`];
  }
}
