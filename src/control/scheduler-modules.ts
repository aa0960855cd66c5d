/** Loads users' schedulers (`--scheduler ./mine.js`) into the registry: in the control thread and in each shard. */
import { pathToFileURL } from "node:url";
import { registerBuiltIn } from "../schedulers/built-in.ts";
import { registerScheduler } from "../schedulers/registry.ts";
import type { Scheduler } from "../schedulers/scheduler.ts";

export class SchedulerModuleError extends Error {
  override readonly name = "SchedulerModuleError";
}

function isScheduler(value: unknown): value is Scheduler {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof (value as Scheduler).name === "string" &&
    typeof (value as Scheduler).schedule === "function"
  );
}

/**
 * Registers the built-in schedulers and every scheduler that these modules export (under any name). Throws
 * SchedulerModuleError when one cannot be loaded, exports none, or takes a name that exists.
 */
export async function loadSchedulers(paths: readonly string[]): Promise<void> {
  registerBuiltIn();
  for (const path of paths) {
    try {
      const exported = Object.values((await import(pathToFileURL(path).href)) as object).filter(isScheduler);
      if (exported.length === 0) throw new TypeError("it exports no object with `name` and `schedule`");
      for (const scheduler of exported) registerScheduler(scheduler);
    } catch (error) {
      throw new SchedulerModuleError(`--scheduler ${path}: ${(error as Error).message}`);
    }
  }
}
