/**
 * A test bench: one virtual service on a small region in plain memory, its destinations changed as ipvsadm would and
 * their connections counted as the kernel counts them. No ring, no frame, no timer.
 */
import { BUILT_IN } from "../../src/schedulers/built-in.ts";
import { FLOW_CLIENT, FLOW_VIRTUAL, type Flow, type Scheduler } from "../../src/schedulers/scheduler.ts";
import { ServiceView } from "../../src/schedulers/service-view.ts";
import { Life } from "../../src/table/destinations.ts";
import { createRegion, Header, type Region, regionBytes } from "../../src/table/region.ts";
import { NONE } from "../../src/table/services.ts";
import { Setting } from "../../src/table/settings.ts";

export type Words = readonly [number, number, number, number];

/** 10.0.0.x and so on: an IPv4 address as the tables' four words. */
export function v4(address: number): Words {
  return [0, 0, 0xffff, address >>> 0];
}

export function flow(client: Words, virtual: Words, family = 4, clientPort = 10_000, now = 0): Flow {
  const words = new Int32Array(8);
  words.set(client, FLOW_CLIENT);
  words.set(virtual, FLOW_VIRTUAL);
  return { family, words, clientPort, virtualPort: 80, now };
}

export interface BenchOptions {
  shards?: number;
  family?: 4 | 6;
  flags?: number;
  seed?: number;
  destinations?: number;
}

export interface Thresholds {
  upper?: number;
  lower?: number;
}

const SERVICE = 1;

export class Bench {
  readonly region: Region;
  readonly scheduler: Scheduler;
  /** One view a shard. */
  readonly views: readonly ServiceView[];
  /** As the control thread sees the service. */
  readonly #control: ServiceView;

  constructor(scheduler: Scheduler | string, options: BenchOptions = {}) {
    const sizes = {
      shards: options.shards ?? 1,
      services: 2,
      destinations: options.destinations ?? 64,
      connections: 16,
      templates: 16,
      neighbours: 16,
    };
    this.region = createRegion(new ArrayBuffer(regionBytes(sizes)), sizes, options.seed ?? 1, 0);
    const named = typeof scheduler === "string" ? BUILT_IN.find((s) => s.name === scheduler) : scheduler;
    if (named === undefined) throw new Error(`no scheduler ${scheduler}`);
    this.scheduler = named;
    const { services } = this.region;
    services.live[SERVICE] = 1;
    services.family[SERVICE] = options.family ?? 4;
    services.flags[SERVICE] = options.flags ?? 0;
    this.views = Array.from({ length: sizes.shards }, () => new ServiceView(this.region, SERVICE));
    this.#control = new ServiceView(this.region, SERVICE);
    this.bind();
  }

  /** The service gets its scheduler. */
  bind(): void {
    this.region.header[Header.Generation]! += 2;
    this.#control.memory.fill(0);
    this.#control.refresh();
    this.scheduler.start?.(this.#control);
    this.#prepare();
  }

  /** ipvsadm -a; gives the row. A deleted destination of the same address comes back with its counts. */
  add(address: Words, weight: number, thresholds: Thresholds = {}, port = 80): number {
    const { destinations, services } = this.region;
    const d = this.#find(address, port);
    destinations.life[d] = Life.Live;
    destinations.service[d] = SERVICE;
    destinations.address.set(address, d * 4);
    destinations.port[d] = port;
    destinations.lastWeight[d] = weight;
    this.#update(d, weight, thresholds);
    destinations.next[d] = services.first[SERVICE]!;
    services.first[SERVICE] = d;
    this.#changed({ kind: "added", destination: d, before: NONE });
    return d;
  }

  /** ipvsadm -e */
  edit(d: number, weight: number, thresholds: Thresholds = {}): void {
    this.#update(d, weight, thresholds);
    this.#changed({ kind: "edited", destination: d, before: NONE });
  }

  /** ipvsadm -d */
  remove(d: number): void {
    const { destinations, services } = this.region;
    let before = NONE;
    for (let at = services.first[SERVICE]!; at !== d; at = destinations.next[at]!) before = at;
    if (before === NONE) services.first[SERVICE] = destinations.next[d]!;
    else destinations.next[before] = destinations.next[d]!;
    destinations.life[d] = Life.Trash;
    this.#changed({ kind: "removed", destination: d, before });
  }

  schedule(wanted: Flow, shard = 0): number {
    return this.scheduler.schedule(this.views[shard]!, wanted);
  }

  /** A connection begins (or, with -1, ends) at `d` in a shard; the overload mark follows (IPVS-FACTS 17). */
  count(d: number, active: number, inactive: number, shard = 0): void {
    const { counters } = this.region.shards[shard]!;
    counters.active[d]! += active;
    counters.inactive[d]! += inactive;
    if (active + inactive > 0) this.#markFull(d);
    if (active + inactive < 0) this.#markFree(d);
  }

  active(d: number): number {
    return this.#control.active(d);
  }

  inactive(d: number): number {
    return this.#control.inactive(d);
  }

  live(d: number): boolean {
    return this.region.destinations.life[d] === Life.Live;
  }

  get members(): number[] {
    return [...this.#control.members.subarray(0, this.#control.count)];
  }

  #find(address: Words, port: number): number {
    const { destinations } = this.region;
    for (let d = 0; d < destinations.capacity; d++) {
      if (destinations.life[d] === Life.Free) return d;
      if (
        destinations.port[d] === port &&
        address.every((w, i) => destinations.address[d * 4 + i] === w >>> 0)
      ) {
        return d;
      }
    }
    throw new Error("no room for another destination");
  }

  #update(d: number, weight: number, { upper = 0, lower = 0 }: Thresholds): void {
    const { destinations, settings } = this.region;
    const raised = upper === 0 || upper > destinations.upper[d]!;
    destinations.weight[d] = weight;
    if (weight !== 0) destinations.lastWeight[d] = weight;
    destinations.upper[d] = upper;
    destinations.lower[d] = lower;
    if (settings[Setting.overload_on_edit] === 0) {
      if (raised) destinations.overload[d] = 0;
      return;
    }
    this.#markFull(d);
    this.#markFree(d);
  }

  #total(d: number): number {
    return this.active(d) + this.inactive(d);
  }

  #markFull(d: number): void {
    const { destinations } = this.region;
    const upper = destinations.upper[d]!;
    if (upper !== 0 && this.#total(d) >= upper) destinations.overload[d] = 1;
  }

  #markFree(d: number): void {
    const { destinations } = this.region;
    const upper = destinations.upper[d]!;
    const lower = destinations.lower[d]!;
    const free = lower !== 0 ? this.#total(d) < lower : this.#total(d) * 4 < upper * 3;
    if (upper === 0 || free) destinations.overload[d] = 0;
  }

  #changed(change: Parameters<NonNullable<Scheduler["changed"]>>[1]): void {
    this.region.header[Header.Generation]! += 2;
    this.#control.refresh();
    this.scheduler.changed?.(this.#control, change);
    this.#prepare();
  }

  #prepare(): void {
    for (const view of this.views) {
      view.refresh();
      if (this.scheduler.prepare !== undefined) view.plan = this.scheduler.prepare(view);
    }
  }
}
