/**
 * What listings show of the counters: every shard counts on its own, so a number is a sum over the shards, less what
 * stood at the last --zero. A service's counters are those of its destinations, of the deleted ones that still have
 * connections, and of those that are gone for good (`departed`).
 */
import { STAT_BYTES, STAT_CONNECTIONS, STAT_PACKETS, STATS } from "../table/counters.ts";
import { Header, type Region } from "../table/region.ts";
import type { Rates, Stats } from "./model.ts";

/** Where --rate's numbers come from (observe/rates.ts); without one all rates are 0. */
export interface RateSource {
  service(s: number): Rates;
  destination(d: number): Rates;
  /** Of the director as a whole. */
  total?(): Rates;
  /** Called often with the time in ms: looks at the counters when it is time. */
  tick?(now: number): void;
  /** The counters of this service and of its destinations were zeroed. */
  zeroed?(s: number): void;
}

/** Connections, packets and bytes. */
export type Sum = [number, number, number];

/** Everything the row has ever counted, its former destinations' share included: it never falls. */
export function destinationTotal(region: Region, d: number, column: number): number {
  let sum = 0;
  for (const shard of region.shards) sum += shard.counters.destination[d * STATS + column]!;
  return sum;
}

/** What destination `d` has counted in one column since it was added, or since the last --zero. */
export function destinationCount(region: Region, d: number, column: number): number {
  return destinationTotal(region, d, column) - region.destinations.zero[d * 3 + column]!;
}

/** The same in all three columns. */
export function destinationSum(region: Region, d: number): Sum {
  return [
    destinationCount(region, d, STAT_CONNECTIONS),
    destinationCount(region, d, STAT_PACKETS),
    destinationCount(region, d, STAT_BYTES),
  ];
}

/** Makes the present counts the new zero. */
export function zeroDestination(region: Region, d: number): void {
  const { zero } = region.destinations;
  zero[d * 3] = destinationTotal(region, d, STAT_CONNECTIONS);
  zero[d * 3 + 1] = destinationTotal(region, d, STAT_PACKETS);
  zero[d * 3 + 2] = destinationTotal(region, d, STAT_BYTES);
}

/**
 * Where --zero of everything keeps what had been counted until then: in the header, so that it outlives the process.
 * Below 0 when rows that had counted are gone (rehome.ts).
 */
export function totalZero({ header }: Region): Float64Array {
  return new Float64Array(header.buffer, header.byteOffset + Header.TotalZero * 4, 3);
}

function everTotal(region: Region): Sum {
  const total: Sum = [0, 0, 0];
  for (const column of [STAT_CONNECTIONS, STAT_PACKETS, STAT_BYTES] as const) {
    for (let d = 0; d < region.destinations.capacity; d++)
      total[column] += destinationTotal(region, d, column);
  }
  return total;
}

/** What the director as a whole has counted since the last --zero of everything, deleted services included. */
export function directorSum(region: Region): Sum {
  const zero = totalZero(region);
  const [connections, packets, bytes] = everTotal(region);
  return [connections - zero[0]!, packets - zero[1]!, bytes - zero[2]!];
}

export function zeroDirector(region: Region): void {
  totalZero(region).set(everTotal(region));
}

export function addSum(to: Sum, more: Sum): void {
  to[0] += more[0];
  to[1] += more[1];
  to[2] += more[2];
}

/** `sign` +1 adds to what destinations that are gone had counted, -1 takes away. */
export function depart(region: Region, s: number, sum: Sum, sign: 1 | -1): void {
  const { departed } = region.services;
  for (let i = 0; i < 3; i++) departed[s * 3 + i]! += sign * sum[i]!;
}

/** As in the kernel nothing is seen of the way back in direct routing: the out columns stay 0. */
export function statsOf(sum: Sum): Stats {
  return { conns: sum[0], inPkts: sum[1], outPkts: 0, inBytes: sum[2], outBytes: 0 };
}

export function activeConnections(region: Region, d: number): number {
  let sum = 0;
  for (const shard of region.shards) sum += shard.counters.active[d]!;
  return sum;
}

export function inactiveConnections(region: Region, d: number): number {
  let sum = 0;
  for (const shard of region.shards) sum += shard.counters.inactive[d]!;
  return sum;
}

/** Everything in the connection tables that points at `d`: connections and persistence templates. */
export function references(region: Region, d: number): number {
  return activeConnections(region, d) + inactiveConnections(region, d) + region.destinations.persistent[d]!;
}
