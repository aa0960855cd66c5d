/** One virtual service on a small region in plain memory, with no ring and no frames: a stage for a scheduler. */
import { type Flow, NO_DESTINATION, type Scheduler } from "../../schedulers/scheduler.ts";
import { ServiceView } from "../../schedulers/service-view.ts";
import { Life } from "../../table/destinations.ts";
import { createRegion, Header, type Region, regionBytes } from "../../table/region.ts";
import { NONE } from "../../table/services.ts";
import type { Words } from "../../wire/address.ts";

const SERVICE = 0;
const TCP = 6;
const PORT = 80;

/** A scheduler broke its contract; the message says how. */
export class SchedulerFault extends Error {
  override readonly name = "SchedulerFault";
}

export class SimulatedService {
  readonly region: Region;
  readonly #scheduler: Scheduler;
  readonly #view: ServiceView;
  readonly #active: Int32Array;
  readonly #inactive: Int32Array;

  /** @param flags ServiceFlag bits: sh-fallback, sh-port and so on */
  constructor(scheduler: Scheduler, family: 4 | 6, flags: number, servers: number, seed: number) {
    const sizes = {
      shards: 1,
      services: 1,
      destinations: servers,
      connections: 1,
      templates: 1,
      neighbours: 1,
    };
    this.region = createRegion(new ArrayBuffer(regionBytes(sizes)), sizes, seed, 0);
    this.#scheduler = scheduler;
    const { services } = this.region;
    services.live[SERVICE] = 1;
    services.protocol[SERVICE] = TCP;
    services.family[SERVICE] = family;
    services.flags[SERVICE] = flags;
    services.port[SERVICE] = PORT;
    this.#view = new ServiceView(this.region, SERVICE);
    const { counters } = this.region.shards[0]!;
    this.#active = counters.active;
    this.#inactive = counters.inactive;
    this.#guard("start", () => scheduler.start?.(this.#view));
    this.#prepare();
  }

  /** Adds a server at the head of the list, as the kernel does. `d` is its row, from 0 on. */
  add(d: number, address: Words, weight: number): void {
    const { destinations, services } = this.region;
    destinations.life[d] = Life.Live;
    destinations.service[d] = SERVICE;
    destinations.address.set(address, d * 4);
    destinations.port[d] = PORT;
    destinations.weight[d] = weight;
    destinations.lastWeight[d] = weight;
    destinations.next[d] = services.first[SERVICE]!;
    services.first[SERVICE] = d;
    this.#changed("added", d, NONE);
  }

  remove(d: number): void {
    const { destinations, services } = this.region;
    let before: number = NONE;
    for (let at = services.first[SERVICE]!; at !== d; at = destinations.next[at]!) before = at;
    if (before === NONE) services.first[SERVICE] = destinations.next[d]!;
    else destinations.next[before] = destinations.next[d]!;
    destinations.life[d] = Life.Trash;
    this.#changed("removed", d, before);
  }

  /** The row that the scheduler chooses, or NO_DESTINATION. Throws SchedulerFault when it chooses nonsense. */
  schedule(flow: Flow): number {
    const d = this.#guard("schedule", () => this.#scheduler.schedule(this.#view, flow));
    if (d !== NO_DESTINATION && this.#view.position(d) < 0) {
      throw new SchedulerFault(
        `${this.#scheduler.name} chose ${String(d)}: neither NO_DESTINATION nor one of service.members`,
      );
    }
    return d;
  }

  count(d: number, active: number, inactive: number): void {
    this.#active[d]! += active;
    this.#inactive[d]! += inactive;
  }

  active(d: number): number {
    return this.#active[d]!;
  }

  #changed(kind: "added" | "removed", destination: number, before: number): void {
    this.region.header[Header.Generation]! += 2;
    this.#view.refresh();
    this.#guard("changed", () => this.#scheduler.changed?.(this.#view, { kind, destination, before }));
    this.#prepare();
  }

  #prepare(): void {
    this.#view.refresh();
    this.#guard("prepare", () => {
      this.#view.plan = this.#scheduler.prepare?.(this.#view);
    });
  }

  #guard<T>(where: string, work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw new SchedulerFault(`${this.#scheduler.name} threw in ${where}: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }
}
