/**
 * Moves everything from one region into another of different sizes: the number of shards or a table's size changed
 * between two starts. Every connection finds its new shard by its flow hash, as its frames will (table/hash.ts).
 */
import { hashOfRow } from "../dataplane/life.ts";
import {
  C_DESTINATION,
  C_STATUS,
  C_TIMER_NEXT,
  C_TIMER_PREV,
  ConnectionFlag,
  type Connections,
  ROW_SHIFT,
  ROW_WORDS,
} from "../table/connections.ts";
import { STATS } from "../table/counters.ts";
import { Life } from "../table/destinations.ts";
import { shardOf } from "../table/hash.ts";
import { NeighbourState } from "../table/neighbours.ts";
import { Header, type Region, RegionError } from "../table/region.ts";
import { NONE } from "../table/services.ts";
import { totalZero } from "./counters-view.ts";
import { mendTables } from "./mend.ts";
import { isHalfOpen } from "./recover.ts";
import { translateDestinations } from "./scheduler-binding.ts";

export interface Rehomed {
  readonly connections: number;
  /** Connections and templates that the smaller table had no room for. */
  readonly lost: number;
}

/**
 * Old row → new row, NONE where the old one is free. Rows keep their numbers when they fit, because schedulers
 * remember them. Throws RegionError when the new table is too small.
 */
function numbering(capacity: number, room: number, used: (row: number) => boolean, word: string): Int32Array {
  const map = new Int32Array(capacity).fill(NONE);
  let high = capacity;
  while (high > 0 && !used(high - 1)) high--;
  let next = 0;
  for (let row = 0; row < high; row++) {
    if (!used(row)) continue;
    if (next === room) throw new RegionError(`it holds more than ${room} ${word}`);
    map[row] = high <= room ? row : next;
    next++;
  }
  return map;
}

type Column = Int32Array | Uint32Array | Uint8Array | Float64Array;

/** Copies each column's row (of however many cells) to its new place. */
function moveRows(from: object, to: object, capacity: number, room: number, map: Int32Array): void {
  for (const [name, value] of Object.entries(from)) {
    if (!ArrayBuffer.isView(value) || value instanceof DataView) continue;
    const column = value as Column;
    const target = (to as Record<string, Column>)[name]!;
    const cells = column.length / capacity;
    if (!Number.isInteger(cells) || target.length !== cells * room) continue; // not one of the row columns
    for (let row = 0; row < capacity; row++) {
      const place = map[row]!;
      if (place !== NONE) target.set(column.subarray(row * cells, (row + 1) * cells) as never, place * cells);
    }
  }
}

const through = (map: Int32Array, row: number): number => (row < 0 || row >= map.length ? NONE : map[row]!);

/** Fills `to`, a new region made with the same seed, from `from`, which is left as it is. */
export function rehome(from: Region, to: Region): Rehomed {
  const { services, destinations, neighbours } = from;
  const torn = mendTables(from);
  const s = numbering(services.capacity, to.services.capacity, (row) => services.live[row] === 1, "services");
  const d = numbering(
    destinations.capacity,
    to.destinations.capacity,
    (row) => destinations.life[row] !== Life.Free,
    "destinations",
  );
  const n = numbering(
    neighbours.capacity,
    to.neighbours.capacity,
    (row) => neighbours.state[row] !== NeighbourState.Free,
    "neighbours",
  );
  to.settings.set(from.settings);
  moveRows(services, to.services, services.capacity, to.services.capacity, s);
  moveRows(destinations, to.destinations, destinations.capacity, to.destinations.capacity, d);
  const { wanted: _old, ...asked } = neighbours; // a cell per shard: asked for anew when wanted
  moveRows(asked, to.neighbours, neighbours.capacity, to.neighbours.capacity, n);
  for (const row of s) if (row !== NONE) to.services.first[row] = through(d, to.services.first[row]!);
  for (const row of s) if (row !== NONE) translateDestinations(to.services, row, (old) => through(d, old));
  for (const row of d) {
    if (row === NONE) continue;
    to.destinations.next[row] = through(d, to.destinations.next[row]!);
    to.destinations.service[row] = through(s, to.destinations.service[row]!);
    to.destinations.neighbour[row] = through(n, to.destinations.neighbour[row]!);
  }
  to.header[Header.Config] = from.header[Header.Config]!;
  if (torn) to.header[Header.Generation] = 1; // odd: the schedulers look at their lists once more (mend.ts)
  to.header[Header.Services4] = from.header[Header.Services4]!;
  to.header[Header.Services6] = from.header[Header.Services6]!;
  moveCounters(from, to, d);
  return moveConnections(from, to, d);
}

/**
 * What the shards had counted is a sum anyway: the first new shard inherits it. What stands in rows of destinations
 * that are gone is part of the whole director's sum; where there is no such row any more, the sum's zero moves.
 */
function moveCounters(from: Region, to: Region, d: Int32Array): void {
  const heir = to.shards[0]!.counters;
  const zero = totalZero(to);
  zero.set(totalZero(from));
  for (const { counters } of from.shards) {
    for (let i = 0; i < heir.verdict.length; i++) heir.verdict[i]! += counters.verdict[i]!;
    for (let i = 0; i < heir.shard.length; i++) heir.shard[i]! += counters.shard[i]!;
    for (let row = 0; row < d.length; row++) {
      const counts = counters.destination.subarray(row * STATS, (row + 1) * STATS);
      const [column, at] = d[row] === NONE ? [zero, 0] : [heir.destination, d[row]! * STATS];
      const sign = d[row] === NONE ? -1 : 1;
      for (let i = 0; i < STATS; i++) column[at + i]! += sign * counts[i]!;
    }
  }
}

function moveConnections(from: Region, to: Region, d: Int32Array): Rehomed {
  const seed = from.header[Header.Seed]!;
  let connections = 0;
  let lost = 0;
  const parents = new Int32Array(from.templates.capacity).fill(NONE);
  for (let row = 0; row < from.templates.high; row++) {
    if (!from.templates.isLive(row)) continue;
    parents[row] = moveRow(from.templates, row, to.templates, d, hashOfRow(from.templates, row, seed));
    if (parents[row] === NONE) lost++;
  }
  for (const shard of from.shards) {
    for (let row = 0; row < shard.connections.high; row++) {
      if (!shard.connections.isLive(row)) continue;
      const hash = hashOfRow(shard.connections, row, seed);
      const home = to.shards[shardOf(hash, to.shards.length)]!.connections;
      const place = moveRow(shard.connections, row, home, d, hash);
      if (place === NONE) lost++;
      else {
        connections++;
        const parent = shard.connections.parent[row]!;
        home.parent[place] = parent === 0 ? 0 : through(parents, parent - 1) + 1;
      }
    }
  }
  return { connections, lost };
}

/** Copies one row to another table; its new row, or NONE when there was no room. */
function moveRow(from: Connections, row: number, to: Connections, d: Int32Array, hash: number): number {
  const destination = through(d, from.rows[(row << ROW_SHIFT) + C_DESTINATION]!);
  const place = destination === NONE ? NONE : to.take();
  if (place < 0) return NONE;
  const at = place << ROW_SHIFT;
  to.rows.set(from.rows.subarray(row << ROW_SHIFT, (row << ROW_SHIFT) + ROW_WORDS), at);
  to.rows[at + C_DESTINATION] = destination;
  to.rows[at + C_STATUS]! &= ~(ConnectionFlag.Hashed | ConnectionFlag.HalfOpen);
  to.rows[at + C_TIMER_NEXT] = 0;
  to.rows[at + C_TIMER_PREV] = 0;
  to.timeout[place] = from.timeout[row]!;
  to.mark[place] = from.mark[row]!;
  to.serverPort[place] = from.serverPort[row]!;
  to.hash(place, hash);
  to.arm(place);
  if (isHalfOpen(to.rows, place)) to.joinHalfOpen(place);
  return place;
}
