/** The schedulers by name: the built-in ones and those that users register. */
import type { Scheduler } from "./scheduler.ts";

const registered = new Map<string, Scheduler>();

/** Makes a scheduler known under its name. A name taken by another one is refused: nobody expects rr to change. */
export function registerScheduler(scheduler: Scheduler): void {
  const { name } = scheduler;
  if (!/^[a-z][a-z0-9_-]{0,14}$/.test(name)) {
    throw new TypeError(`scheduler name "${name}": up to 15 of a-z 0-9 _ -, beginning with a letter`);
  }
  if (typeof scheduler.schedule !== "function")
    throw new TypeError(`scheduler "${name}" has no schedule function`);
  const known = registered.get(name);
  if (known !== undefined && known !== scheduler)
    throw new TypeError(`scheduler "${name}" is registered already`);
  registered.set(name, scheduler);
}

export function findScheduler(name: string): Scheduler | undefined {
  return registered.get(name);
}

export function schedulerNames(): readonly string[] {
  return [...registered.keys()];
}
