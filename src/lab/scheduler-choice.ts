/** Which schedulers a lab tries, from names and module files on the command line. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { registerBuiltIn } from "../schedulers/built-in.ts";
import { findScheduler, registerScheduler, schedulerNames } from "../schedulers/registry.ts";
import type { Scheduler } from "../schedulers/scheduler.ts";

/** The five that every introduction begins with. */
export const FIRST_SCHEDULERS = ["rr", "wrr", "lc", "wlc", "sh"] as const;

export interface SchedulerChoice {
  names: string[];
  /** Module files, absolute, that the director must load too. */
  modules: string[];
}

const isFile = (text: string): boolean => /[./]/.test(text);

export async function chooseSchedulers(wanted: readonly string[]): Promise<SchedulerChoice> {
  registerBuiltIn();
  if (wanted.length === 0) return { names: [...FIRST_SCHEDULERS], modules: [] };
  const choice: SchedulerChoice = { names: [], modules: [] };
  for (const each of wanted) {
    if (each === "all") choice.names.push(...schedulerNames());
    else if (isFile(each)) {
      const module = resolve(each);
      choice.modules.push(module);
      choice.names.push(...(await namesIn(module)));
    } else if (findScheduler(each) !== undefined) choice.names.push(each);
    else
      throw new Error(
        `there is no scheduler "${each}", only ${schedulerNames().join(", ")}, or a module file`,
      );
  }
  return { ...choice, names: [...new Set(choice.names)] };
}

/** Loads a module: what it registered itself, and what it exports as a scheduler. */
async function namesIn(module: string): Promise<string[]> {
  if (!existsSync(module)) throw new Error(`there is no file ${module}`);
  const before = new Set(schedulerNames());
  const exported = Object.values((await import(pathToFileURL(module).href)) as Record<string, unknown>);
  for (const each of exported) if (isScheduler(each)) registerScheduler(each);
  const added = schedulerNames().filter((name) => !before.has(name));
  if (added.length === 0) throw new Error(`${module} neither exports nor registers a scheduler`);
  return added;
}

function isScheduler(value: unknown): value is Scheduler {
  return typeof value === "object" && value !== null && "schedule" in value && "name" in value;
}
