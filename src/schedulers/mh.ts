/**
 * Maglev hashing (Eisenbud et al., "Maglev", NSDI 2016, section 3.4): each destination prefers the table's places in
 * an order of its own, and they take turns at claiming. When a server goes, mostly its own clients move.
 *
 * The table is made with each destination's last weight that was not 0, so quiescing one moves nobody else's client:
 * its own are refused, or with `mh-fallback` look further. With `mh-port` the client's port counts too.
 */
import { NONE, ServiceFlag } from "../table/services.ts";
import { foldedAddress } from "./address-hash.ts";
import { FLOW_CLIENT, NO_DESTINATION, type Scheduler } from "./scheduler.ts";
import type { ServiceView } from "./service-view.ts";
import { halfSipHash } from "./siphash.ts";
import { commonWeight } from "./weights.ts";

/** Places in the table: the prime that belongs to CONFIG_IP_VS_MH_TAB_INDEX=12, Debian's kernel. */
export const PLACES = 4093;
/** A destination with much more than the others takes at most about 2^6 turns in a row: half of the index's bits. */
const TURN_BITS = 6;
/** Keys of the kernel's two hashes: where a destination (or a client) begins, and how far its steps go. */
const OFFSET_KEY = 2654435761;
const SKIP_KEY = 2654446892;

/** The destination's address and port in one word, as `foldedAddress` of a flow plus the port. */
function identity(service: ServiceView, d: number): number {
  const port = service.port(d);
  if (service.region.services.family[service.service] === 4) return (service.address(d, 3) + port) >>> 0;
  let fold = 0;
  for (let word = 0; word < 4; word++) fold ^= service.address(d, word);
  return (fold + port) >>> 0;
}

/** How many places in a row each member claims when it is its turn; all 0 when nobody ever had a weight. */
function turnsOf(service: ServiceView): Int32Array {
  const { members, count } = service;
  const turns = new Int32Array(count);
  const step = commonWeight(service, (d) => service.lastWeight(d));
  if (step === 0) return turns;
  let greatest = 0;
  for (let i = 0; i < count; i++) greatest = Math.max(greatest, service.lastWeight(members[i]!));
  const shift = Math.max(0, 32 - Math.clz32(greatest / step) - TURN_BITS);
  for (let i = 0; i < count; i++) {
    const weight = service.lastWeight(members[i]!);
    turns[i] = weight === 0 ? 0 : (weight / step) >> shift || 1;
  }
  return turns;
}

/** Who has which place: rows, or NONE everywhere. */
function populate(service: ServiceView): Int32Array {
  const { members, count } = service;
  const table = new Int32Array(PLACES).fill(NONE);
  const turns = turnsOf(service);
  if (turns.every((n) => n === 0)) return table;
  const next = new Int32Array(count);
  const skip = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const word = identity(service, members[i]!);
    next[i] = halfSipHash(OFFSET_KEY, word) % PLACES;
    skip[i] = (halfSipHash(SKIP_KEY, word) % (PLACES - 1)) + 1;
  }
  for (let claimed = 0; ; ) {
    for (let i = 0; i < count; i++) {
      for (let turn = 0; turn < turns[i]!; turn++) {
        while (table[next[i]!] !== NONE) next[i] = (next[i]! + skip[i]!) % PLACES;
        table[next[i]!] = members[i]!;
        if (++claimed === PLACES) return table;
      }
    }
  }
}

function placeOf(word: number, offset: number): number {
  return halfSipHash(OFFSET_KEY, (word + offset) >>> 0) % PLACES;
}

function fallBack(service: ServiceView, table: Int32Array, word: number, home: number): number {
  for (let step = 0; step < PLACES; step++) {
    const d = table[placeOf(word, (step + home) % PLACES)]!;
    if (service.available(d)) return d;
  }
  return NO_DESTINATION;
}

export const mh: Scheduler = {
  name: "mh",

  prepare(service) {
    // More destinations than places: the kernel refuses to make a table and goes on with the one it had.
    return service.count > PLACES && service.plan instanceof Int32Array ? service.plan : populate(service);
  },

  schedule(service, flow) {
    const table = service.plan as Int32Array;
    const port = (service.flags & ServiceFlag.Sched2) !== 0 ? flow.clientPort : 0;
    const word = (port + foldedAddress(flow, FLOW_CLIENT)) >>> 0;
    const home = placeOf(word, 0);
    const d = table[home]!;
    if (d === NONE) return NO_DESTINATION;
    if (service.available(d)) return d;
    return (service.flags & ServiceFlag.Sched1) !== 0 ? fallBack(service, table, word, home) : NO_DESTINATION;
  },
};
