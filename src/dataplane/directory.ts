/**
 * One thread's own picture of the services, destinations and neighbours, copied from the shared tables when their
 * generation moved. Between two generations it stands still, so a burst is decided on one consistent state.
 */
import { findScheduler } from "../schedulers/registry.ts";
import type { Scheduler } from "../schedulers/scheduler.ts";
import { ServiceView } from "../schedulers/service-view.ts";
import { generation, isChanging } from "../table/generation.ts";
import { foldAddress } from "../table/hash.ts";
import { NeighbourState, usable } from "../table/neighbours.ts";
import { PLACE_PEERS, PLACE_VIPS } from "../table/place.ts";
import { Header, type Region, ShardCell } from "../table/region.ts";
import { ServiceFlag, schedulerName } from "../table/services.ts";
import { Setting } from "../table/settings.ts";
import type { Station } from "./classify.ts";

export interface ServiceEntry {
  readonly view: ServiceView;
  scheduler: Scheduler | undefined;
  name: string;
}

const FTP = 21;

/**
 * Words of a route: all that sending to a destination needs, in one place, where by columns it would be seven lines of
 * the cache. Ready or not, then its neighbour's MAC: four bytes, and the other two above 16 bits of zero.
 */
export const ROUTE_SHIFT = 2;
export const ROUTE_READY = 0;
export const ROUTE_MAC = 1;
export const ROUTE_MAC_END = 2;

/** Words of a slot: service + 1, then what it is known by. */
const SLOT_SHIFT = 2;
const SLOT_WORDS = 1 << SLOT_SHIFT;
const SLOT_NAME = 1;
const SLOT_ADDRESS = 2;

export class Directory {
  readonly region: Region;
  readonly station: Station = { macHi: 0, macLo: 0, peers: new Uint32Array(0), peerCount: 0 };
  /** By service row. */
  readonly services: (ServiceEntry | undefined)[] = [];
  /** Services of either family; with none the kernel has no hooks and everything is the host's (IPVS-FACTS 6). */
  services4 = 0;
  services6 = 0;
  /** Is there a service on port 0, or on FTP's port: only then the kernel looks for one. */
  anyPortZero = false;
  anyFtp = false;
  /** By neighbour row: its MAC in two numbers, and whether frames may be sent there now. */
  readonly macHi: Int32Array;
  readonly macLo: Uint32Array;
  readonly reachable: Int32Array;
  readonly failed: Int32Array;
  /** Stale neighbours: the first frame to one asks control to confirm it (RFC 4861 §7.3.3). */
  readonly stale: Int32Array;
  /**
   * By destination row, what was worked out for the last frame that went there; zero until then and after each change.
   * Ready: the destination lives, is another machine, and its neighbour wants nothing but the frame.
   */
  readonly routes: Int32Array;
  /** Rows of `routes` that may hold something. */
  private routed = 0;
  /** Services by address, protocol and port: open addressing, all of a slot in one cache line. */
  private slots = new Int32Array(SLOT_WORDS);
  ownVips: Uint32Array = new Uint32Array(0);
  #generation = -1;
  #neighbourGeneration = -1;

  readonly #cells: Int32Array | undefined;

  /** `cells`: the shard's own, to tell there whose scheduler it is in. */
  constructor(region: Region, cells?: Int32Array) {
    this.region = region;
    this.#cells = cells;
    const n = region.neighbours.capacity;
    this.macHi = new Int32Array(n);
    this.macLo = new Uint32Array(n);
    this.reachable = new Int32Array(n);
    this.failed = new Int32Array(n);
    this.stale = new Int32Array(n);
    this.routes = new Int32Array(region.destinations.capacity << ROUTE_SHIFT);
  }

  /** Once per burst. Returns true when neighbours may have changed. */
  sync(): boolean {
    const { header } = this.region;
    const now = generation(header, Header.Generation);
    if (now !== this.#generation && !isChanging(now)) {
      this.#forgetRoutes();
      this.#readServices();
      this.#readPlace();
      // Had control changed something meanwhile, the picture may be torn: it is drawn again before the next burst.
      this.#generation = generation(header, Header.Generation) === now ? now : -1;
    }
    const neighbours = generation(header, Header.NeighbourGeneration);
    if (neighbours === this.#neighbourGeneration || isChanging(neighbours)) return false;
    this.#forgetRoutes();
    this.#readNeighbours();
    this.#neighbourGeneration =
      generation(header, Header.NeighbourGeneration) === neighbours ? neighbours : -1;
    return true;
  }

  /** The service's row for an address and port, or -1. `words` holds the address from `at` on. */
  find(protocol: number, family: number, words: Int32Array, at: number, port: number): number {
    const slots = this.slots;
    const mask = slots.length - 1;
    const name = nameOf(protocol, family, port);
    const last = words[at + 3]!;
    const fold = foldAddress(words[at]!, words[at + 1]!, words[at + 2]!, last);
    for (let slot = slotOf(fold, name) & mask; ; slot = (slot + SLOT_WORDS) & mask) {
      const s = slots[slot]! - 1;
      if (s < 0) return -1;
      if (slots[slot + SLOT_NAME] !== name || slots[slot + SLOT_ADDRESS] !== last) continue;
      if (family === 4 || this.#startsAlike(s, words, at)) return s;
    }
  }

  /** Do the first three words of the service's IPv6 address agree? */
  #startsAlike(s: number, words: Int32Array, at: number): boolean {
    const { address } = this.region.services;
    for (let w = 0; w < 3; w++) if (address[s * 4 + w] !== words[at + w]! >>> 0) return false;
    return true;
  }

  /** The service of a firewall mark, or -1. */
  findMark(mark: number, family: number): number {
    const { services } = this.region;
    for (let s = 0; s < this.services.length; s++) {
      if (this.services[s] !== undefined && services.mark[s] === mark && services.family[s] === family)
        return s;
    }
    return -1;
  }

  /** Is it one of the virtual addresses that we, and not the host, have? Four words, as Flow has them, from `at` on. */
  isOwn(words: Int32Array, at: number): boolean {
    const { ownVips } = this;
    for (let v = 0; v < ownVips.length; v += 4) {
      let same = true;
      for (let w = 0; w < 4; w++) same = same && (ownVips[v + w]! | 0) === words[at + w];
      if (same) return true;
    }
    return false;
  }

  /** Frames to destination `d` go to neighbour `n`, until something changes. */
  learnRoute(d: number, n: number): void {
    const at = d << ROUTE_SHIFT;
    this.routes[at + ROUTE_READY] = 1;
    this.routes[at + ROUTE_MAC] = (this.macHi[n]! << 16) | (this.macLo[n]! >>> 16);
    this.routes[at + ROUTE_MAC_END] = this.macLo[n]! << 16;
    if (d >= this.routed) this.routed = d + 1;
  }

  #forgetRoutes(): void {
    this.routes.fill(0, 0, this.routed << ROUTE_SHIFT);
    this.routed = 0;
  }

  #readServices(): void {
    const { services, header } = this.region;
    this.services4 = header[Header.Services4]!;
    this.services6 = header[Header.Services6]!;
    this.anyPortZero = false;
    this.anyFtp = false;
    let live = 0;
    for (let s = 0; s < services.capacity; s++) {
      if (services.live[s] !== 1) {
        if (s < this.services.length) this.services[s] = undefined;
        continue;
      }
      live++;
      this.#readService(s);
    }
    this.#fillSlots(live);
  }

  #readService(s: number): void {
    const { services } = this.region;
    if (services.mark[s] === 0 && services.port[s] === 0) this.anyPortZero = true;
    if (services.port[s] === FTP) this.anyFtp = true;
    let entry = this.services[s];
    if (entry !== undefined && entry.view.generation === services.generation[s]) return;
    const name = schedulerName(services, s);
    if (entry === undefined || entry.name !== name) {
      entry = { view: new ServiceView(this.region, s), scheduler: findScheduler(name), name };
      while (this.services.length < s) this.services.push(undefined);
      this.services[s] = entry;
    }
    entry.scheduler = (services.flags[s]! & ServiceFlag.Suspended) !== 0 ? undefined : findScheduler(name);
    entry.view.refresh();
    if (this.#cells !== undefined) this.#cells[ShardCell.Service] = s + 1;
    entry.view.plan = prepared(entry);
    if (this.#cells !== undefined) this.#cells[ShardCell.Service] = 0;
  }

  #fillSlots(live: number): void {
    const { services } = this.region;
    const size = SLOT_WORDS * 2 ** Math.ceil(Math.log2(Math.max(8, live * 2)));
    const slots = new Int32Array(size);
    for (let s = 0; s < this.services.length; s++) {
      if (this.services[s] === undefined || services.mark[s] !== 0) continue;
      const a = services.address;
      const fold = foldAddress(a[s * 4]!, a[s * 4 + 1]!, a[s * 4 + 2]!, a[s * 4 + 3]!);
      const name = nameOf(services.protocol[s]!, services.family[s]!, services.port[s]!);
      let slot = slotOf(fold, name) & (size - 1);
      while (slots[slot] !== 0) slot = (slot + SLOT_WORDS) & (size - 1);
      slots[slot] = s + 1;
      slots[slot + SLOT_NAME] = name;
      slots[slot + SLOT_ADDRESS] = a[s * 4 + 3]!;
    }
    this.slots = slots;
  }

  #readPlace(): void {
    const { place, settings } = this.region;
    this.station.macHi = settings[Setting.mac_hi]!;
    this.station.macLo = settings[Setting.mac_lo]!;
    this.station.peerCount = place.counts[PLACE_PEERS]!;
    this.station.peers = place.peers;
    this.ownVips = place.vips.slice(0, place.counts[PLACE_VIPS]! * 4);
  }

  #readNeighbours(): void {
    const { neighbours } = this.region;
    for (let n = 0; n < neighbours.capacity; n++) {
      const state = neighbours.state[n]!;
      this.macHi[n] = neighbours.macHi[n]!;
      this.macLo[n] = neighbours.macLo[n]!;
      this.reachable[n] = usable(state) ? 1 : 0;
      this.failed[n] = state === NeighbourState.Failed ? 1 : 0;
      this.stale[n] = state === NeighbourState.Stale ? 1 : 0;
    }
  }
}

/** A user's scheduler that throws here is asked again at the next change; until then `schedule` does without a plan. */
function prepared({ scheduler, view }: ServiceEntry): unknown {
  try {
    return scheduler?.prepare?.(view);
  } catch {
    return undefined;
  }
}

/** Everything that names a service but its address. */
function nameOf(protocol: number, family: number, port: number): number {
  return (family << 24) | (protocol << 16) | port;
}

/** Where a slot begins, before it is cut to the number of slots. */
function slotOf(fold: number, name: number): number {
  const hash = Math.imul(fold ^ Math.imul(name, 0x9e3779b1), 0x85ebca6b);
  return (hash ^ (hash >>> 15)) << SLOT_SHIFT;
}
