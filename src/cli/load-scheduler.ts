/** A scheduler out of a user's own module: `--scheduler ./mine.js`. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Scheduler } from "../schedulers/scheduler.ts";

/** It could not be loaded; the message says why and, where it can, what to do. */
export class SchedulerLoadError extends Error {
  override readonly name = "SchedulerLoadError";
}

function isScheduler(value: unknown): value is Scheduler {
  if (typeof value !== "object" || value === null) return false;
  const { name, schedule } = value as Partial<Scheduler>;
  return typeof name === "string" && typeof schedule === "function";
}

/** Its optional functions are functions, too: else they would only fail with the first change of a server. */
function problemOf(scheduler: Scheduler): string | undefined {
  if (!/^[a-z][a-z0-9_-]{0,14}$/.test(scheduler.name)) {
    return `its name "${scheduler.name}" is not up to 15 of a-z 0-9 _ -, beginning with a letter`;
  }
  for (const key of ["start", "changed", "prepare"] as const) {
    if (scheduler[key] !== undefined && typeof scheduler[key] !== "function")
      return `its ${key} is not a function`;
  }
  return undefined;
}

async function importModule(path: string): Promise<Record<string, unknown>> {
  if (!existsSync(path)) throw new SchedulerLoadError(`${path}: there is no such file`);
  try {
    return (await import(pathToFileURL(path).href)) as Record<string, unknown>;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ERR_UNKNOWN_FILE_EXTENSION") {
      throw new SchedulerLoadError(`${path}: Node ${process.versions.node} does not run this kind of file; \
compile TypeScript first: npx tsc --module nodenext ${path}`);
    }
    throw new SchedulerLoadError(`${path}: ${message}`, { cause: error });
  }
}

/**
 * Loads the one scheduler that a module exports, as its default or under any name. Registers nothing.
 * Throws SchedulerLoadError when there is no file, it does not run, or it exports none, several or an unsound one.
 */
export async function loadScheduler(file: string): Promise<Scheduler> {
  const path = resolve(file);
  const exported = await importModule(path);
  const found = new Set(Object.values(exported).filter(isScheduler));
  const [scheduler] = found;
  if (scheduler === undefined) {
    const names = Object.keys(exported).join(", ") || "nothing";
    throw new SchedulerLoadError(
      `${path}: exports no object with \`name\` and \`schedule\` (it exports ${names})`,
    );
  }
  if (found.size > 1 && !isScheduler(exported["default"])) {
    const names = [...found].map(({ name }) => name).join(", ");
    throw new SchedulerLoadError(
      `${path}: exports several schedulers (${names}); make one of them the default`,
    );
  }
  const chosen = isScheduler(exported["default"]) ? exported["default"] : scheduler;
  const problem = problemOf(chosen);
  if (problem !== undefined) throw new SchedulerLoadError(`${path}: ${problem}`);
  return chosen;
}
