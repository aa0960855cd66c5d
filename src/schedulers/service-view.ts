/**
 * What a scheduler sees of one virtual service: its destinations in the kernel's order (the one added last comes
 * first), their weights and connection counts, and the scheduler's own words of shared memory.
 *
 * Each thread has its own view of a service and refreshes it when the service's generation moved. Weights, counts and
 * the overload mark are read live from the shared tables.
 */

import type { Region } from "../table/region.ts";
import { NONE, SCHEDULER_WORDS } from "../table/services.ts";

export class ServiceView {
  readonly region: Region;
  /** The service's row. */
  readonly service: number;
  /** The scheduler's words of shared memory; zero when the scheduler is bound to the service. */
  readonly memory: Int32Array;
  /** Destination rows, newest first; the first `count` are valid. */
  members: Int32Array;
  count = 0;
  /** What the scheduler's `prepare` made for this thread. */
  plan: unknown = undefined;
  /** The generation of the service that this view shows. */
  generation = -1;
  // Looked at for each new connection, so they stand here rather than two objects away.
  private readonly weights: Int32Array;
  private readonly overload: Int32Array;
  readonly #active: readonly Int32Array[];
  readonly #inactive: readonly Int32Array[];

  constructor(region: Region, service: number) {
    this.region = region;
    this.service = service;
    this.memory = region.services.memory.subarray(service * SCHEDULER_WORDS, (service + 1) * SCHEDULER_WORDS);
    this.members = new Int32Array(8);
    this.weights = region.destinations.weight;
    this.overload = region.destinations.overload;
    this.#active = region.shards.map((shard) => shard.counters.active);
    this.#inactive = region.shards.map((shard) => shard.counters.inactive);
  }

  /** Reads the list of destinations anew. */
  refresh(): void {
    const { services, destinations } = this.region;
    this.count = 0;
    let d = services.first[this.service]!;
    // A list that is being changed may be read in any state; the caller checks the generation afterwards.
    while (d !== NONE && this.count < destinations.capacity) {
      if (this.count === this.members.length) {
        const longer = new Int32Array(this.members.length * 2);
        longer.set(this.members);
        this.members = longer;
      }
      this.members[this.count++] = d;
      d = destinations.next[d]!;
    }
    this.generation = services.generation[this.service]!;
  }

  /** ServiceFlag bits, among them the schedulers' own sh-fallback, sh-port … */
  get flags(): number {
    return this.region.services.flags[this.service]!;
  }

  weight(d: number): number {
    return this.weights[d]!;
  }

  /** The last weight of `d` that was not 0. */
  lastWeight(d: number): number {
    return this.region.destinations.lastWeight[d]!;
  }

  overloaded(d: number): boolean {
    return this.overload[d] !== 0;
  }

  /** May `d` take a new connection: neither quiesced (weight 0) nor overloaded. */
  available(d: number): boolean {
    return this.weights[d]! > 0 && this.overload[d] === 0;
  }

  /** Connections in an active state (ESTABLISHED, SYN_RECV …), over all shards. */
  active(d: number): number {
    let sum = 0;
    for (let i = 0; i < this.#active.length; i++) sum += this.#active[i]![d]!;
    return sum;
  }

  inactive(d: number): number {
    let sum = 0;
    for (let i = 0; i < this.#inactive.length; i++) sum += this.#inactive[i]![d]!;
    return sum;
  }

  /** A word (0…3) of the address of `d`; IPv4 in word 3 (u32). */
  address(d: number, word: number): number {
    return this.region.destinations.address[d * 4 + word]!;
  }

  port(d: number): number {
    return this.region.destinations.port[d]!;
  }

  /** Where `d` stands in `members`, or -1. */
  position(d: number): number {
    for (let i = 0; i < this.count; i++) {
      if (this.members[i] === d) return i;
    }
    return -1;
  }
}
