/**
 * A connection's birth and death as its destination's counters see them: kernel IPVS's ip_vs_bind_dest and
 * ip_vs_unbind_dest, with the overload mark that thresholds -x and -y set and clear.
 */
import {
  C_CLIENT,
  C_CLIENT4,
  C_DESTINATION,
  C_EXPIRES,
  C_KIND,
  C_PORTS,
  C_STATUS,
  C_VIRTUAL,
  C_VIRTUAL4,
  ConnectionFlag,
  type Connections,
  FAMILY6,
  ROW_SHIFT,
} from "../table/connections.ts";
import { ShardCount } from "../table/counters.ts";
import { flowHash, foldAddress } from "../table/hash.ts";
import type { Region } from "../table/region.ts";
import type { Context } from "./context.ts";

/** Connections of a destination over all shards, active and inactive: what thresholds are compared with. */
export function totalConnections(region: Region, d: number): number {
  let total = 0;
  for (let i = 0; i < region.shards.length; i++) {
    const { active, inactive } = region.shards[i]!.counters;
    total += active[d]! + inactive[d]!;
  }
  return total;
}

/** After a connection came: at the upper threshold the destination takes no more. */
export function markOverload(region: Region, d: number): void {
  const { upper, overload } = region.destinations;
  if (upper[d] !== 0 && totalConnections(region, d) >= upper[d]!) overload[d] = 1;
}

/** After a connection went: below the lower threshold, or three quarters of the upper one, it takes some again. */
export function clearOverload(region: Region, d: number): void {
  const { upper, lower, overload } = region.destinations;
  if (lower[d] !== 0) {
    if (totalConnections(region, d) < lower[d]!) overload[d] = 0;
  } else if (upper[d] !== 0) {
    if (totalConnections(region, d) * 4 < upper[d]! * 3) overload[d] = 0;
  } else if (overload[d] !== 0) {
    overload[d] = 0;
  }
}

/** The flow hash of a table's row, from its own key. */
export function hashOfRow(table: Connections, row: number, seed: number): number {
  const rows = table.rows;
  const at = row << ROW_SHIFT;
  if ((rows[at + C_KIND]! & FAMILY6) === 0) {
    return flowHash(seed, rows[at + C_CLIENT4]!, rows[at + C_VIRTUAL4]!, rows[at + C_PORTS]!);
  }
  const client = at + C_CLIENT;
  const virtual = at + C_VIRTUAL;
  return flowHash(
    seed,
    foldAddress(rows[client]!, rows[client + 1]!, rows[client + 2]!, rows[client + 3]!),
    foldAddress(rows[virtual]!, rows[virtual + 1]!, rows[virtual + 2]!, rows[virtual + 3]!),
    rows[at + C_PORTS]!,
  );
}

/** Enters a new connection for `context.flow`. It begins inactive; its first state may change that. Returns the row or -1. */
export function bear(context: Context, hash: number, kind: number, d: number, flags: number): number {
  const { connections, flow } = context;
  const row = connections.take();
  if (row < 0) return -1;
  const rows = connections.rows;
  const at = row << ROW_SHIFT;
  const { words } = flow;
  for (let w = 0; w < 4; w++) {
    rows[at + C_CLIENT + w] = words[w]!;
    rows[at + C_VIRTUAL + w] = words[4 + w]!;
  }
  rows[at + C_PORTS] = (flow.clientPort << 16) | flow.virtualPort;
  rows[at + C_KIND] = kind;
  rows[at + C_DESTINATION] = d;
  rows[at + C_EXPIRES] = context.tick;
  connections.parent[row] = 0;
  connections.mark[row] = 0;
  rows[at + C_STATUS] = ConnectionFlag.Inactive | ConnectionFlag.NoOutput | flags;
  connections.hash(row, hash);
  context.counters.inactive[d]!++;
  context.counters.shard[ShardCount.Created]!++;
  markOverload(context.region, d);
  rows[at + C_STATUS]! |= ConnectionFlag.Live;
  context.changes++;
  return row;
}

/**
 * Lets a connection run out at the next tick. Until then it is found and counted, as in the kernel, where expiry is
 * a timer too: a scheduler that chooses anew for the same flow still sees the old connection's weight.
 */
export function expireNow(context: Context, row: number): void {
  const { connections } = context;
  connections.rows[(row << ROW_SHIFT) + C_EXPIRES] = context.tick;
  connections.arm(row);
}

/** Removes a connection from table, timers and counts. */
export function bury(context: Context, row: number): void {
  const { connections, counters, region } = context;
  const at = row << ROW_SHIFT;
  const status = connections.rows[at + C_STATUS]!;
  const d = connections.rows[at + C_DESTINATION]!;
  connections.unhash(row, hashOfRow(connections, row, context.seed));
  const parent = connections.parent[row]!;
  if (parent !== 0) Atomics.sub(region.templates.controlled, parent - 1, 1);
  connections.parent[row] = 0;
  connections.free(row);
  const counted = (status & ConnectionFlag.Inactive) !== 0 ? counters.inactive : counters.active;
  counted[d]!--;
  clearOverload(region, d);
  context.changes++;
  context.departures++;
}
