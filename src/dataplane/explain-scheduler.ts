/**
 * Watches a scheduler choose: the scheduler itself runs, over a view that writes down what it is asked and a prepared
 * table that writes down which places are read.
 */
import { type Flow, NO_DESTINATION, type Scheduler } from "../schedulers/scheduler.ts";
import { ServiceView } from "../schedulers/service-view.ts";
import type { Region } from "../table/region.ts";
import { NONE } from "../table/services.ts";
import type { Directory, ServiceEntry } from "./directory.ts";
import { type LookTold, MEMBERS, type MemberTold, type SchedulingTold } from "./explanation.ts";
import { serverName, serviceFlagNames, serviceName } from "./naming.ts";
import { schedulingWords } from "./scheduling-words.ts";

/** Questions told of at the most: a scheduler that walks a long list asks thousands. */
const LOOKS = 64;
const BUCKETS_TOLD = 16;

interface Log {
  readonly looks: LookTold[];
  readonly buckets: { place: number; of: number; server: string | null }[];
}

class ObservedView extends ServiceView {
  readonly #log: Log;

  constructor(view: ServiceView, log: Log) {
    super(view.region, view.service);
    this.#log = log;
    this.members = view.members;
    this.count = view.count;
    this.generation = view.generation;
    this.plan = observedPlan(view, log);
  }

  #note<T extends number | boolean>(d: number, asked: string, answer: T): T {
    const { looks } = this.#log;
    if (looks.length < LOOKS) looks.push({ server: serverName(this.region, d).text, asked, answer });
    return answer;
  }

  override weight(d: number): number {
    return this.#note(d, "weight", super.weight(d));
  }

  override lastWeight(d: number): number {
    return this.#note(d, "last weight", super.lastWeight(d));
  }

  override overloaded(d: number): boolean {
    return this.#note(d, "overloaded", super.overloaded(d));
  }

  override available(d: number): boolean {
    return this.#note(d, "available", super.available(d));
  }

  override active(d: number): number {
    return this.#note(d, "active", super.active(d));
  }

  override inactive(d: number): number {
    return this.#note(d, "inactive", super.inactive(d));
  }
}

/** A table of destination rows (sh, dh, mh) that tells which of its places are read; any other plan as it is. */
function observedPlan({ plan, region }: ServiceView, log: Log): unknown {
  if (!(plan instanceof Int32Array)) return plan;
  return new Proxy(plan, {
    get(target, key) {
      if (typeof key === "string" && /^\d+$/.test(key)) {
        const place = Number(key);
        const d = target[place];
        const server = d === undefined || d === NONE ? null : serverName(region, d).text;
        if (log.buckets.length < BUCKETS_TOLD) log.buckets.push({ place, of: target.length, server });
        return d;
      }
      const value = Reflect.get(target, key, target) as unknown;
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

export class SchedulerWatch {
  /** What the scheduler that was asked did; null while none was. */
  told: SchedulingTold | null = null;
  readonly #directory: Directory;
  readonly #entries: (ServiceEntry | undefined)[];

  /** Puts an observer in every scheduler's place, until `end`. */
  constructor(directory: Directory) {
    this.#directory = directory;
    this.#entries = [...directory.services];
    for (const [s, entry] of this.#entries.entries()) {
      if (entry?.scheduler !== undefined)
        directory.services[s] = { ...entry, scheduler: this.#observe(entry.scheduler) };
    }
  }

  end(): void {
    for (const [s, entry] of this.#entries.entries()) this.#directory.services[s] = entry;
  }

  #observe(scheduler: Scheduler): Scheduler {
    return { name: scheduler.name, schedule: (view, flow) => this.#watch(scheduler, view, flow) };
  }

  #watch(scheduler: Scheduler, view: ServiceView, flow: Flow): number {
    const log: Log = { looks: [], buckets: [] };
    const before = Array.from(view.memory);
    const members = Array.from(view.members.subarray(0, view.count));
    const pictures = members.slice(0, MEMBERS).map((d) => memberOf(view, d));
    let chosen: number = NO_DESTINATION;
    let fault: string | null = null;
    try {
      chosen = scheduler.schedule(new ObservedView(view, log), flow);
      return chosen;
    } catch (error) {
      fault = error instanceof Error ? error.message : String(error);
      throw error;
    } finally {
      const { region, service } = view;
      const at = members.indexOf(chosen);
      const told = {
        service: serviceName(region, service),
        scheduler: scheduler.name,
        flags: serviceFlagNames(region, service),
        members: pictures.map((picture, i) => ({ ...picture, chosen: i === at })),
        omitted: members.length - pictures.length,
        memory: { before, after: Array.from(view.memory) },
        ...log,
        chose: chosen === NO_DESTINATION ? null : serverName(region, chosen),
        fault,
      };
      this.told = { ...told, words: schedulingWords(told, (row) => serverText(region, row)) };
    }
  }
}

function serverText(region: Region, d: number): string {
  return d >= 0 && d < region.destinations.capacity ? serverName(region, d).text : "nobody";
}

function memberOf(view: ServiceView, d: number): Omit<MemberTold, "chosen"> {
  return {
    server: serverName(view.region, d),
    weight: view.weight(d),
    active: view.active(d),
    inactive: view.inactive(d),
    overloaded: view.overloaded(d),
    available: view.available(d),
  };
}
