/**
 * Keeps the neighbour table: real server's address → MAC, by our own ARP and IPv6 neighbour discovery, with the life
 * cycle that Linux gives its entries (RFC 4861 §7.3.2; Documentation/networking/ip-sysctl.rst, neigh/*):
 *
 *     wanted → incomplete ─answer→ reachable ─30 s, more or less→ stale ─used→ delay ─5 s→ probe ─3 × no→ failed
 *                   └── 3 × no answer → failed ─wanted→ incomplete
 *
 * No clock and no socket of its own: time is an argument, frames go out through `NeighbourLink`.
 */
import { beginChange, endChange } from "../table/generation.ts";
import { NEIGHBOUR_STATE_NAMES, NeighbourState } from "../table/neighbours.ts";
import { Header, type Region } from "../table/region.ts";
import { formatAddress, formatMac, isMapped, type Mac, mapped, type Words } from "../wire/address.ts";
import { ArpOperation } from "../wire/arp.ts";
import { isUnspecified, type NdpMessage, sameAddress } from "../wire/ndp.ts";
import type { ArpPacket } from "../wire/value/arp.ts";

/** net.ipv4.neigh.*: the kernel's defaults, in milliseconds and numbers of probes. */
export const NeighbourTime = {
  baseReachable: 30_000,
  /** The reachable time is drawn anew this often (300 s in the kernel). */
  redraw: 300_000,
  delayProbe: 5_000,
  retransmit: 1_000,
  /** An answer within this time of the last one does not replace it: the first of several answers counts. */
  lock: 1_000,
} as const;
export const BROADCAST_PROBES = 3;
export const UNICAST_PROBES = 3;

/** How the keeper asks: "who has `target`?", everybody or one MAC. */
export interface NeighbourLink {
  ask(target: number, to?: Mac): void;
  ask6(target: Words, to?: Mac): void;
}

export interface NeighbourEvent {
  readonly kind: "resolved" | "moved" | "failed";
  readonly address: string;
  readonly mac?: string;
  readonly before?: string;
}

export interface NeighbourListing {
  readonly address: string;
  readonly state: (typeof NEIGHBOUR_STATE_NAMES)[number];
  /** Absent while it is not known. */
  readonly mac?: string;
  /** Seconds in this state. */
  readonly age: number;
  /** How many destinations use it. */
  readonly users: number;
}

export interface NeighbourOptions {
  /** Numbers in [0, 1), for the reachable time. */
  readonly random: () => number;
  /** Called after rows changed: the shards must look. */
  readonly wake: () => void;
  readonly event?: (event: NeighbourEvent) => void;
}

const { Free, Incomplete, Reachable, Stale, Delay, Probe, Failed, Permanent } = NeighbourState;
const NO_MAC: Mac = { hi: 0, lo: 0 };

export class NeighbourKeeper {
  readonly #region: Region;
  readonly #link: NeighbourLink;
  readonly #options: NeighbourOptions;
  #reachable = NeighbourTime.baseReachable as number;
  #drawn = Number.NEGATIVE_INFINITY;
  #dirty = false;
  /** Rows from here on are free, as of the last look. */
  #high = 0;
  #statics: ReadonlyMap<string, Mac> = new Map();

  constructor(region: Region, link: NeighbourLink, options: NeighbourOptions) {
    this.#region = region;
    this.#link = link;
    this.#options = options;
  }

  /** Runs every timer that is due and looks after what shards want; call it often (each 100 ms, and when kicked). */
  tend(now: number): void {
    if (now - this.#drawn >= NeighbourTime.redraw) this.#draw(now);
    const { state, capacity } = this.#region.neighbours;
    this.#high = 0;
    for (let row = 0; row < capacity; row++) {
      if (state[row] === Free) continue;
      this.#high = row + 1;
      this.#tendRow(row, now);
    }
    this.#publish();
  }

  #tendRow(row: number, now: number): void {
    const { state, users } = this.#region.neighbours;
    const current = state[row]!;
    if (users[row]! <= 0) {
      this.#write(row, Free, NO_MAC, now);
      return;
    }
    const wanted = this.#takeWish(row);
    const fixed = this.#statics.get(formatAddress(this.#words(row)));
    if (fixed !== undefined) {
      this.#fix(row, fixed, now);
      return;
    }
    if (current === Permanent || (current === Failed && wanted)) this.#enter(row, Incomplete, now);
    else if (current === Stale && wanted) this.#enter(row, Delay, now);
    else this.#age(row, current, now);
  }

  #fix(row: number, mac: Mac, now: number): void {
    const { state, macHi, macLo } = this.#region.neighbours;
    if (state[row] === Permanent && macHi[row] === mac.hi && macLo[row] === mac.lo) return;
    this.#write(row, Permanent, mac, now);
  }

  /** A solicitation or advertisement came in (RFC 4861 §7.2.3, §7.2.5). */
  heard6(message: NdpMessage, now: number): void {
    const asks = message.kind === "solicitation";
    if (asks && isUnspecified(message.source)) return; // it only wants to know whether the address is free
    const row = this.#find(asks ? message.source : message.target);
    if (row < 0 || this.#region.neighbours.state[row] === Permanent) return;
    const { mac } = message;
    if (asks) {
      if (mac !== undefined && !this.#isAt(row, mac)) this.#learn(row, mac, Stale, now);
    } else this.#advertised(row, message, now);
    this.#publish();
  }

  #advertised(row: number, { mac, solicited, override }: NdpMessage, now: number): void {
    const { state, macHi, macLo } = this.#region.neighbours;
    const current = state[row]!;
    const known = current !== Incomplete && current !== Failed;
    const told = mac ?? (known ? { hi: macHi[row]!, lo: macLo[row]! } : undefined);
    if (told === undefined) return;
    const same = this.#isAt(row, told);
    if (known && !same && !override) {
      // Somebody answers for it too; the MAC that we know stays, but is asked again.
      if (current === Reachable) this.#enter(row, Stale, now);
    } else if (solicited) this.#learn(row, told, Reachable, now);
    else if (!same) this.#learn(row, told, Stale, now);
  }

  #isAt(row: number, mac: Mac): boolean {
    const { macHi, macLo } = this.#region.neighbours;
    return macHi[row] === mac.hi && macLo[row] === mac.lo;
  }

  /** An ARP packet came in. `toUs`: it was sent to our MAC, not to everybody. */
  heard(packet: ArpPacket, toUs: boolean, now: number): void {
    const row = packet.senderIp === 0 ? -1 : this.#find(mapped(packet.senderIp));
    if (row < 0) return;
    const { state, macHi, macLo, since, confirmed } = this.#region.neighbours;
    const current = state[row]!;
    if (current === Permanent || (packet.senderMac.hi & 0x0100) !== 0) return; // nobody's own MAC is a group's
    const same = macHi[row] === packet.senderMac.hi && macLo[row] === packet.senderMac.lo;
    const known = current === Reachable || current === Stale || current === Delay || current === Probe;
    const gratuitous = packet.senderIp === packet.targetIp;
    const solicited = packet.operation === ArpOperation.Reply && toUs && !gratuitous;
    if (known && !same && !gratuitous && now - Math.max(since[row]!, confirmed[row]!) < NeighbourTime.lock)
      return;
    // Requests and broadcasts tell a MAC but do not prove that the neighbour hears us (arp_process, net/ipv4/arp.c).
    if (known && same && !solicited) return;
    this.#learn(row, packet.senderMac, solicited ? Reachable : Stale, now);
    this.#publish();
  }

  /** Static entries by address: ARP is neither asked nor believed for them. Those left out go back to ARP. */
  setStatics(entries: ReadonlyMap<string, Mac>, now: number): void {
    this.#statics = entries;
    this.tend(now);
  }

  /** Something else knows that the neighbour answers (a health check): as an ARP answer would. */
  confirm(row: number, now: number): void {
    const { state, confirmed } = this.#region.neighbours;
    const current = state[row]!;
    if (current === Stale || current === Delay || current === Probe) this.#enter(row, Reachable, now);
    if (current === Reachable) confirmed[row] = now;
    this.#publish();
  }

  /** The table as people read it. */
  list(now: number): NeighbourListing[] {
    const { state, macHi, macLo, since, users, capacity } = this.#region.neighbours;
    const listing: NeighbourListing[] = [];
    for (let row = 0; row < capacity; row++) {
      if (state[row] === Free) continue;
      const mac = { hi: macHi[row]!, lo: macLo[row]! };
      listing.push({
        address: formatAddress(this.#words(row)),
        state: NEIGHBOUR_STATE_NAMES[state[row]!] ?? "free",
        ...(mac.hi === 0 && mac.lo === 0 ? {} : { mac: formatMac(mac) }),
        age: Math.floor((now - since[row]!) / 1000),
        users: users[row]!,
      });
    }
    return listing;
  }

  /** What time does to a row that nobody asked about. */
  #age(row: number, current: number, now: number): void {
    const { since, confirmed, probes } = this.#region.neighbours;
    const elapsed = now - since[row]!;
    if (current === Reachable && now - confirmed[row]! >= this.#reachable) this.#enter(row, Stale, now);
    else if (current === Delay && elapsed >= NeighbourTime.delayProbe) this.#enter(row, Probe, now);
    else if (
      (current === Incomplete || current === Probe) &&
      elapsed >= probes[row]! * NeighbourTime.retransmit
    ) {
      if (probes[row]! >= (current === Probe ? UNICAST_PROBES : BROADCAST_PROBES))
        this.#enter(row, Failed, now);
      else this.#ask(row, current);
    }
  }

  #enter(row: number, state: number, now: number): void {
    const { macHi, macLo, probes, confirmed } = this.#region.neighbours;
    const keepsMac = state !== Incomplete && state !== Failed;
    const mac = keepsMac ? { hi: macHi[row]!, lo: macLo[row]! } : NO_MAC;
    this.#write(row, state, mac, now);
    if (state === Reachable) confirmed[row] = now;
    if (state === Incomplete || state === Probe) {
      probes[row] = 0;
      this.#ask(row, state);
    }
    if (state === Failed) this.#tell({ kind: "failed", address: formatAddress(this.#words(row)) });
  }

  #ask(row: number, state: number): void {
    const { macHi, macLo, probes } = this.#region.neighbours;
    probes[row]!++;
    const to = state === Probe ? { hi: macHi[row]!, lo: macLo[row]! } : undefined;
    const words = this.#words(row);
    if (isMapped(words)) this.#link.ask(words[3], to);
    else this.#link.ask6(words, to);
  }

  #learn(row: number, mac: Mac, state: number, now: number): void {
    const { macHi, macLo, confirmed } = this.#region.neighbours;
    const before: Mac = { hi: macHi[row]!, lo: macLo[row]! };
    this.#write(row, state, mac, now);
    confirmed[row] = now;
    const address = formatAddress(this.#words(row));
    if (before.hi === 0 && before.lo === 0) this.#tell({ kind: "resolved", address, mac: formatMac(mac) });
    else if (before.hi !== mac.hi || before.lo !== mac.lo) {
      this.#tell({ kind: "moved", address, mac: formatMac(mac), before: formatMac(before) });
    }
  }

  #write(row: number, state: number, mac: Mac, now: number): void {
    const { neighbours, header } = this.#region;
    if (!this.#dirty) beginChange(header, Header.NeighbourGeneration);
    this.#dirty = true;
    // The state comes last: whoever finds the row as we died in the middle must not send to half a MAC.
    if (neighbours.macHi[row] !== mac.hi || neighbours.macLo[row] !== mac.lo) {
      neighbours.state[row] = state === Free ? Free : Incomplete;
      neighbours.macHi[row] = mac.hi;
      neighbours.macLo[row] = mac.lo;
    }
    neighbours.since[row] = now;
    neighbours.state[row] = state;
  }

  #publish(): void {
    if (!this.#dirty) return;
    this.#dirty = false;
    endChange(this.#region.header, Header.NeighbourGeneration);
    this.#options.wake();
  }

  /** Whether some shard asked for the row since the last look. */
  #takeWish(row: number): boolean {
    const { wanted, capacity, shards } = this.#region.neighbours;
    let wish = false;
    for (let at = row; at < capacity * shards; at += capacity) {
      if (wanted[at] === 0) continue;
      Atomics.store(wanted, at, 0);
      wish = true;
    }
    return wish;
  }

  #find(words: Words): number {
    const { state, address } = this.#region.neighbours;
    for (let row = 0; row < this.#high; row++) {
      if (address[row * 4 + 3] !== words[3] || state[row] === Free) continue;
      if (sameAddress(this.#words(row), words)) return row;
    }
    return -1;
  }

  #words(row: number): Words {
    const { address } = this.#region.neighbours;
    return [address[row * 4]!, address[row * 4 + 1]!, address[row * 4 + 2]!, address[row * 4 + 3]!];
  }

  /** Between half and one and a half of the base, so that many directors do not ask in step. */
  #draw(now: number): void {
    this.#drawn = now;
    this.#reachable = NeighbourTime.baseReachable * (0.5 + this.#options.random());
  }

  #tell(event: NeighbourEvent): void {
    this.#options.event?.(event);
  }
}
