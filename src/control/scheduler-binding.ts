/** Tells a service's scheduler, in the control thread, what became of the service's destinations. */
import { findScheduler } from "../schedulers/registry.ts";
import type { Change, Scheduler } from "../schedulers/scheduler.ts";
import { ServiceView } from "../schedulers/service-view.ts";
import { CONTROL_OWNER, lock, type Relax, unlock } from "../table/lock.ts";
import type { Region } from "../table/region.ts";
import { SCHEDULER_WORDS, type Services, schedulerName } from "../table/services.ts";

/** Destinations have other rows: where the scheduler of `s` remembers one it gets its new row, NONE for none. */
export function translateDestinations(services: Services, s: number, row: (old: number) => number): void {
  for (const word of findScheduler(schedulerName(services, s))?.destinationWords ?? []) {
    const at = s * SCHEDULER_WORDS + word;
    const old = services.memory[at]!;
    if (old !== 0) services.memory[at] = row(old - 1) + 1;
  }
}

export class SchedulerBinding {
  readonly #region: Region;
  readonly #find: (name: string) => Scheduler | undefined;
  readonly #relax: Relax;
  readonly #views = new Map<number, ServiceView>();

  constructor(region: Region, find: (name: string) => Scheduler | undefined, relax: Relax) {
    this.#region = region;
    this.#find = find;
    this.#relax = relax;
  }

  knows(name: string): boolean {
    return this.#find(name) !== undefined;
  }

  /** The service or its destinations changed: shards read them anew. */
  touch(s: number): void {
    this.#region.services.generation[s]!++;
  }

  /** The service has this scheduler from now on; its memory is zero. */
  start(s: number): void {
    this.forget(s);
    const scheduler = this.#scheduler(s);
    if (scheduler?.start !== undefined) this.#locked(s, (view) => scheduler.start!(view));
  }

  /** The service's memory is another process's: when it cannot be the scheduler begins anew. */
  adopt(s: number): void {
    const scheduler = this.#scheduler(s);
    if (scheduler?.isSound === undefined) return;
    this.#locked(s, (view) => {
      if (scheduler.isSound!(view)) return;
      view.memory.fill(0);
      scheduler.start?.(view);
    });
  }

  changed(s: number, change: Change): void {
    this.touch(s);
    const scheduler = this.#scheduler(s);
    if (scheduler?.changed !== undefined) this.#locked(s, (view) => scheduler.changed!(view, change));
  }

  /** The service is gone, or is about to begin anew. */
  forget(s: number): void {
    this.#views.delete(s);
    this.touch(s);
  }

  #scheduler(s: number): Scheduler | undefined {
    return this.#find(schedulerName(this.#region.services, s));
  }

  /** Lets the scheduler at the service's memory; with more than one shard under the service's lock. */
  #locked(s: number, work: (view: ServiceView) => void): void {
    const view = this.#views.get(s) ?? new ServiceView(this.#region, s);
    this.#views.set(s, view);
    view.refresh();
    const shared = this.#region.shards.length > 1;
    const locks = this.#region.services.lock;
    if (shared) lock(locks, s, CONTROL_OWNER, this.#relax);
    try {
      work(view);
    } finally {
      if (shared) unlock(locks, s);
    }
  }
}
