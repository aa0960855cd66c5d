/**
 * One shard's counters. That shard alone writes them, by plain stores (a double is exact to 2^53); everybody may
 * read. What is shown is the sum over shards (less what stood at the last --zero).
 */
import type { Columns } from "./columns.ts";

/** Columns per destination in `Counters.destination`. */
export const STAT_CONNECTIONS = 0;
export const STAT_PACKETS = 1;
export const STAT_BYTES = 2;
export const STATS = 3;

/** Room for verdicts in the layout; more than there are, so that a new one does not change it. */
export const VERDICT_ROOM = 32;

/** Rows of `Counters.shard`. */
export const ShardCount = {
  Received: 0, //      frames taken from the ring or from another shard's queue
  Bytes: 1, //         their bytes
  FromShards: 2, //    of these, taken over from other shards
  Busy: 3, //          milliseconds spent in turns that handled frames
  Bursts: 4,
  FullBursts: 5, //    bursts that were full: more was waiting
  Created: 6, //       connections made
  Expired: 7, //       connections that ran out
  Evicted: 8, //       half-open connections that had to go because the table was full
  Errors: 9, //        ICMP errors we made
  RateLimited: 10, //  ICMP errors we did not make because of the rate limit
  Late: 11, //         frames that waited for a neighbour or first fragment and then went out
  RingDrops: 12, //    frames the kernel dropped before we saw them
  Starts: 13, //       how often this shard's thread was started
  Live: 14, //         live connections, as of the last turn
  Turns: 15,
  SchedulerFaults: 16, // exceptions thrown by a user's scheduler
  Answers: 17, //      frames of our own that went out
  Longest: 18, //      the longest such turn of the last ten to twenty seconds, milliseconds
} as const;

export interface Counters {
  readonly verdict: Float64Array;
  readonly shard: Float64Array;
  /** STATS numbers per destination. */
  readonly destination: Float64Array;
  readonly active: Int32Array;
  readonly inactive: Int32Array;
}

export function layCounters(columns: Columns, destinations: number): Counters {
  return {
    verdict: columns.float64(VERDICT_ROOM),
    shard: columns.float64(32),
    destination: columns.float64(destinations * STATS),
    active: columns.int32(destinations),
    inactive: columns.int32(destinations),
  };
}
