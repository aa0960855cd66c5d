/** Users' schedulers out of modules of their own: `--scheduler ./mine.js`, in the control thread and in each shard. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { registerBuiltIn } from "../schedulers/built-in.ts";
import { registerScheduler, schedulerProblem } from "../schedulers/registry.ts";
import type { Scheduler } from "../schedulers/scheduler.ts";

/** A module that cannot be loaded; the message names it, says why and, where it can, what to do. */
export class SchedulerModuleError extends Error {
  override readonly name = "SchedulerModuleError";

  constructor(path: string, reason: string, options?: ErrorOptions) {
    super(`--scheduler ${path}: ${reason}`, options);
  }
}

function isScheduler(value: unknown): value is Scheduler {
  if (typeof value !== "object" || value === null) return false;
  const { name, schedule } = value as Partial<Scheduler>;
  return typeof name === "string" && typeof schedule === "function";
}

async function importModule(path: string): Promise<Record<string, unknown>> {
  if (!existsSync(path)) throw new SchedulerModuleError(path, "there is no such file");
  try {
    return (await import(pathToFileURL(path).href)) as Record<string, unknown>;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== "ERR_UNKNOWN_FILE_EXTENSION")
      throw new SchedulerModuleError(path, message, { cause: error });
    const cure = `compile TypeScript first: npx tsc --module nodenext ${path}`;
    throw new SchedulerModuleError(
      path,
      `Node ${process.versions.node} does not run this kind of file; ${cure}`,
    );
  }
}

interface Exported {
  /** Each of them sound. */
  readonly schedulers: readonly Scheduler[];
  /** The one that stands for the module: its default, or the only one. */
  readonly chosen: Scheduler | undefined;
}

async function schedulersIn(path: string): Promise<Exported> {
  const exported = await importModule(path);
  const schedulers = [...new Set(Object.values(exported).filter(isScheduler))];
  if (schedulers.length === 0) {
    const names = Object.keys(exported).join(", ") || "nothing";
    throw new SchedulerModuleError(
      path,
      `exports no object with \`name\` and \`schedule\` (it exports ${names})`,
    );
  }
  for (const scheduler of schedulers) {
    const problem = schedulerProblem(scheduler);
    if (problem !== undefined) throw new SchedulerModuleError(path, problem);
  }
  const main = exported["default"];
  return {
    schedulers,
    chosen: isScheduler(main) ? main : schedulers.length === 1 ? schedulers[0] : undefined,
  };
}

/**
 * Registers the built-in schedulers and every scheduler that these modules export (under any name). Throws
 * SchedulerModuleError when one cannot be loaded, exports none or an unsound one, or takes a name that exists.
 */
export async function loadSchedulers(files: readonly string[]): Promise<void> {
  registerBuiltIn();
  for (const file of files) {
    const path = resolve(file);
    for (const scheduler of (await schedulersIn(path)).schedulers) {
      try {
        registerScheduler(scheduler);
      } catch (error) {
        throw new SchedulerModuleError(path, (error as Error).message);
      }
    }
  }
}

/**
 * Loads the one scheduler that a module exports, as its default or under any name. Registers nothing.
 * Throws SchedulerModuleError as loadSchedulers does, and when there are several and none is the default.
 */
export async function loadScheduler(file: string): Promise<Scheduler> {
  const path = resolve(file);
  const { schedulers, chosen } = await schedulersIn(path);
  if (chosen !== undefined) return chosen;
  const names = schedulers.map(({ name }) => name).join(", ");
  throw new SchedulerModuleError(path, `exports several schedulers (${names}); make one of them the default`);
}
