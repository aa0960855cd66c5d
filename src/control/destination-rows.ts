/**
 * Rows of destinations: the live ones, found by service and server, and the trash.
 *
 * A deleted destination keeps its row while connections or templates point at it and for two minutes after
 * (IP_VS_DEST_TRASH_PERIOD), and comes back with its counts when the same real server is added to the same service
 * again, even to one that was deleted and made anew in between (IPVS-FACTS 4).
 */
import { KEY_WORDS, Life } from "../table/destinations.ts";
import { Header, type Region } from "../table/region.ts";
import { NONE } from "../table/services.ts";
import { Setting } from "../table/settings.ts";
import type { Words } from "../wire/address.ts";
import { isMapped } from "../wire/address.ts";
import { depart, destinationSum, references, zeroDestination } from "./counters-view.ts";
import { FreeRows } from "./free-rows.ts";
import {
  type ServerNumbers,
  type ServiceNumbers,
  serverText,
  serviceText,
  setWords,
  wordsAt,
} from "./keys.ts";
import { NeighbourUsers } from "./neighbour-users.ts";
import { setThresholds } from "./thresholds.ts";

/** How long a deleted destination nobody points at is kept, ms. */
export const TRASH_PERIOD = 120_000;
/** How often the trash is looked through, from the first deletion on: ip_vs_dest_trash_expire. */
const TRASH_ROUND = TRASH_PERIOD / 2;

/** What -a and -e set. */
export interface DestinationValues {
  readonly weight: number;
  readonly upper: number;
  readonly lower: number;
  readonly method: number;
}

export class DestinationRows {
  readonly #region: Region;
  readonly #free: FreeRows;
  readonly #live = new Map<string, number>();
  readonly #trash = new Map<string, number>();
  /** Trash of services that still exist, by service row. */
  readonly #trashOf = new Map<number, Set<number>>();
  readonly neighbours: NeighbourUsers;
  /** When the trash is looked through next, ms. */
  #round = 0;

  constructor(region: Region) {
    this.#region = region;
    const { life, service, capacity } = region.destinations;
    this.neighbours = new NeighbourUsers(region.neighbours);
    this.#free = new FreeRows(capacity, (d) => life[d] !== Life.Free);
    for (let d = 0; d < capacity; d++) {
      if (life[d] === Life.Live) this.#live.set(this.#liveText(service[d]!, this.server(d)), d);
      else if (life[d] === Life.Trash) this.#remember(d);
    }
  }

  server(d: number): ServerNumbers {
    const { address, port } = this.#region.destinations;
    return { address: wordsAt(address, d), port: port[d]! };
  }

  /** The live destination's row, or -1. */
  find(s: number, server: ServerNumbers): number {
    return this.#live.get(this.#liveText(s, server)) ?? -1;
  }

  /** Deleted destinations of service `s` whose rows are still kept. */
  trashOf(s: number): Iterable<number> {
    return this.#trashOf.get(s) ?? [];
  }

  get trashed(): number {
    return this.#trash.size;
  }

  /** Can one more be added? Makes room from idle trash when rows run short. */
  hasRoom(key: ServiceNumbers, server: ServerNumbers): boolean {
    if (this.#trash.has(this.#trashText(key, server))) return true;
    if (this.#free.count === 0) this.#freeIdle(() => true);
    return this.#free.count > 0 && this.neighbours.hasRoom(server.address);
  }

  /** Puts a destination at the head of the service's list, out of the trash if it lies there. */
  add(s: number, key: ServiceNumbers, server: ServerNumbers, values: DestinationValues, now: number): number {
    const { destinations, services } = this.#region;
    let d = this.#trash.get(this.#trashText(key, server)) ?? -1;
    if (d >= 0) this.#restore(d, s);
    else d = this.#create(s, key, server, now);
    destinations.lastWeight[d] = values.weight;
    this.set(d, values);
    destinations.next[d] = services.first[s]!;
    destinations.life[d] = Life.Live;
    services.first[s] = d;
    this.#live.set(this.#liveText(s, server), d);
    return d;
  }

  set(d: number, values: DestinationValues): void {
    const { destinations } = this.#region;
    destinations.method[d] = values.method;
    destinations.weight[d] = values.weight;
    if (values.weight !== 0) destinations.lastWeight[d] = values.weight;
    setThresholds(this.#region, d, values.upper, values.lower);
  }

  /** Takes a destination out of its service's list into the trash; the one before it, or NONE. */
  remove(s: number, d: number, now: number): number {
    const { destinations, services } = this.#region;
    let before = NONE;
    let at = services.first[s]!;
    while (at !== d && at !== NONE) {
      before = at;
      at = destinations.next[at]!;
    }
    if (before === NONE) services.first[s] = destinations.next[d]!;
    else destinations.next[before] = destinations.next[d]!;
    this.#throwAway(s, d, now);
    return before;
  }

  /** The service goes: all its destinations to the trash, and what lay there already loses its service. */
  removeAll(s: number, now: number): void {
    const { destinations, services } = this.#region;
    let d = services.first[s]!;
    services.first[s] = NONE;
    while (d !== NONE) {
      const next = destinations.next[d]!;
      this.#throwAway(s, d, now);
      d = next;
    }
    for (const gone of this.trashOf(s)) destinations.service[gone] = NONE;
    this.#trashOf.delete(s);
  }

  /**
   * Frees what has lain idle in the trash for two minutes. Call about once a second. As in the kernel the trash is
   * looked through once a minute, so that a real server comes back with its numbers for three minutes and more.
   */
  sweep(now: number): void {
    if (this.#trash.size === 0 || now < this.#round) return;
    this.#round = now + TRASH_ROUND;
    const { idle } = this.#region.destinations;
    this.#freeIdle((d) => idle[d] !== 0 && idle[d]! + TRASH_PERIOD <= now);
    for (const d of this.#trash.values()) {
      if (idle[d] === 0 && references(this.#region, d) === 0) idle[d] = Math.max(now, Number.MIN_VALUE);
    }
  }

  #freeIdle(may: (d: number) => boolean): void {
    for (const [text, d] of this.#trash) {
      if (references(this.#region, d) > 0 || !may(d)) continue;
      this.#trash.delete(text);
      this.#release(d);
    }
  }

  #release(d: number): void {
    const { destinations } = this.#region;
    const s = destinations.service[d]!;
    if (s !== NONE) {
      depart(this.#region, s, destinationSum(this.#region, d), 1);
      this.#trashOf.get(s)?.delete(d);
    }
    this.neighbours.release(destinations.neighbour[d]!);
    destinations.life[d] = Life.Free;
    destinations.neighbour[d] = NONE;
    destinations.service[d] = NONE;
    this.#free.give(d);
  }

  #restore(d: number, s: number): void {
    const { destinations } = this.#region;
    const text = this.#textOf(d);
    this.#trash.delete(text);
    const old = destinations.service[d]!;
    if (old !== NONE) this.#trashOf.get(old)?.delete(d);
    // A service that was deleted and made anew counts from zero, and so do its destinations.
    if (old !== s) zeroDestination(this.#region, d);
    destinations.service[d] = s;
  }

  #create(s: number, key: ServiceNumbers, server: ServerNumbers, now: number): number {
    const { destinations } = this.#region;
    const d = this.#free.take();
    destinations.service[d] = s;
    setWords(destinations.address, d, server.address);
    destinations.port[d] = server.port;
    destinations.upper[d] = 0;
    destinations.lower[d] = 0;
    destinations.overload[d] = 0;
    destinations.persistent[d] = 0;
    destinations.idle[d] = 0;
    destinations.key.set([key.protocol, key.port, key.mark, ...key.address], d * KEY_WORDS);
    destinations.neighbour[d] = this.neighbours.use(server.address, now);
    zeroDestination(this.#region, d);
    return d;
  }

  #throwAway(s: number, d: number, now: number): void {
    const { destinations, header, settings } = this.#region;
    if (this.#trash.size === 0) this.#round = now + TRASH_ROUND;
    this.#live.delete(this.#liveText(s, this.server(d)));
    destinations.life[d] = Life.Trash;
    destinations.idle[d] = 0;
    this.#remember(d);
    if (settings[Setting.expire_nodest_conn] !== 0) Atomics.add(header, Header.Departures, 1);
  }

  #remember(d: number): void {
    const s = this.#region.destinations.service[d]!;
    this.#trash.set(this.#textOf(d), d);
    if (s === NONE) return;
    const of = this.#trashOf.get(s) ?? new Set();
    this.#trashOf.set(s, of.add(d));
  }

  #liveText(s: number, server: ServerNumbers): string {
    return `${s}|${serverText(server)}`;
  }

  #trashText(key: ServiceNumbers, server: ServerNumbers): string {
    return `${serviceText(key)}|${serverText(server)}`;
  }

  /** The trash text of a row, from the key that the row itself keeps. */
  #textOf(d: number): string {
    const { key } = this.#region.destinations;
    const at = d * KEY_WORDS;
    const address: Words = [key[at + 3]!, key[at + 4]!, key[at + 5]!, key[at + 6]!];
    const server = this.server(d);
    // A v4-mapped address is refused for an IPv6 real server, so the server's address tells the family.
    const family = isMapped(server.address) ? 4 : 6;
    return this.#trashText(
      { family, protocol: key[at]!, port: key[at + 1]!, mark: key[at + 2]!, address },
      server,
    );
  }
}
