/** Which schedulers a lab tries, from names and module files on the command line. */
import { resolve } from "node:path";
import { loadSchedulers } from "../control/scheduler-modules.ts";
import { registerBuiltIn } from "../schedulers/built-in.ts";
import { findScheduler, schedulerNames } from "../schedulers/registry.ts";

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

/** Loads a module and tells which schedulers came with it. */
async function namesIn(module: string): Promise<string[]> {
  const before = new Set(schedulerNames());
  await loadSchedulers([module]);
  return schedulerNames().filter((name) => !before.has(name));
}
