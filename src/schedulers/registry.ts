/** The schedulers by name: the built-in ones and those that users register. */
import type { Scheduler } from "./scheduler.ts";

const registered = new Map<string, Scheduler>();

/** What is wrong with a scheduler's name or functions; they would only fail at the first change of a server. */
export function schedulerProblem(scheduler: Scheduler): string | undefined {
  if (!/^[a-z][a-z0-9_-]{0,14}$/.test(scheduler.name))
    return `its name "${scheduler.name}" is not up to 15 of a-z 0-9 _ -, beginning with a letter`;
  if (typeof scheduler.schedule !== "function")
    return `scheduler "${scheduler.name}" has no schedule function`;
  for (const key of ["start", "changed", "prepare"] as const) {
    if (scheduler[key] !== undefined && typeof scheduler[key] !== "function")
      return `its ${key} is not a function`;
  }
  return undefined;
}

/** Makes a scheduler known under its name. A name taken by another one is refused: nobody expects rr to change. */
export function registerScheduler(scheduler: Scheduler): void {
  const problem = schedulerProblem(scheduler);
  if (problem !== undefined) throw new TypeError(problem);
  const known = registered.get(scheduler.name);
  if (known !== undefined && known !== scheduler)
    throw new TypeError(`scheduler "${scheduler.name}" is registered already`);
  registered.set(scheduler.name, scheduler);
}

export function findScheduler(name: string): Scheduler | undefined {
  return registered.get(name);
}

export function schedulerNames(): readonly string[] {
  return [...registered.keys()];
}
