/**
 * Neighbours: IP address → MAC, with the life cycle of RFC 4861 §7.3.2 as Linux applies it to ARP. The control
 * thread writes; a shard reads a MAC only after `generation` told it to copy the row, so it never sees half of one.
 * Shards ask for an address to be resolved by setting their own cell in `wanted`.
 */
import type { Columns } from "./columns.ts";

export const NeighbourState = {
  Free: 0,
  Incomplete: 1, // asked, no answer yet
  Reachable: 2,
  Stale: 3, //      usable, to be confirmed when used
  Delay: 4, //      used while stale: a probe follows
  Probe: 5, //      asked again by unicast, still usable
  Failed: 6,
  Permanent: 7, //  static entry
} as const;

export const NEIGHBOUR_STATE_NAMES = [
  "free",
  "incomplete",
  "reachable",
  "stale",
  "delay",
  "probe",
  "failed",
  "permanent",
] as const;

export interface Neighbours {
  readonly capacity: number;
  readonly shards: number;
  readonly state: Int32Array;
  /** Four words a row, IPv4 as 0, 0, 0xffff, address. */
  readonly address: Uint32Array;
  /** MAC as two numbers: its first two bytes, its last four. */
  readonly macHi: Int32Array;
  readonly macLo: Uint32Array;
  /** When the state was entered, ms. */
  readonly since: Float64Array;
  /** When the address was last confirmed, ms. */
  readonly confirmed: Float64Array;
  readonly probes: Int32Array;
  /** How many destinations use it; a row with none may be freed. */
  readonly users: Int32Array;
  /** Cell [shard * capacity + n]: 1 when that shard holds frames for it or uses a stale one. */
  readonly wanted: Int32Array;
}

export function layNeighbours(columns: Columns, capacity: number, shards: number): Neighbours {
  return {
    capacity,
    shards,
    state: columns.int32(capacity),
    address: columns.uint32(capacity * 4),
    macHi: columns.int32(capacity),
    macLo: columns.uint32(capacity),
    since: columns.float64(capacity),
    confirmed: columns.float64(capacity),
    probes: columns.int32(capacity),
    users: columns.int32(capacity),
    wanted: columns.int32(capacity * shards),
  };
}

/** Can a frame be sent to a neighbour in this state now? */
export function usable(state: number): boolean {
  return (
    state === NeighbourState.Reachable ||
    state === NeighbourState.Stale ||
    state === NeighbourState.Delay ||
    state === NeighbourState.Probe ||
    state === NeighbourState.Permanent
  );
}
