/**
 * A copy of a region to try things on. A running region's shards write while it is copied, so its tables' links may
 * be torn; rows are whole by construction (Live is a row's last store), and links are laid anew from them.
 */
import {
  C_DESTINATION,
  C_KIND,
  C_STATUS,
  ConnectionFlag,
  type Connections,
  ROW_SHIFT,
  STATE_MASK,
  TICK,
} from "../table/connections.ts";
import { Life } from "../table/destinations.ts";
import { Header, openRegion, type Region, ShardCell } from "../table/region.ts";
import { hashOfRow } from "./life.ts";
import { isHalfOpen as isHalfOpenState } from "./states.ts";

export interface SnapshotOptions {
  /** ms of the clock that the region's shards turn by. */
  readonly now: number;
  /** Other threads write the region right now. Without, the copy is exact. */
  readonly running: boolean;
}

/** The region as it stands, in memory of its own. Only rows that were ever used are copied: the rest is zero. */
export function copyRegion(region: Region, options: SnapshotOptions): Region {
  const from = region.header;
  const memory = new ArrayBuffer(region.bytes);
  const to = new Uint8Array(memory);
  let at = 0;
  for (const [begin, end] of unused(region)) {
    if (begin > at) to.set(new Uint8Array(from.buffer, from.byteOffset + at, begin - at), at);
    at = end;
  }
  to.set(new Uint8Array(from.buffer, from.byteOffset + at, region.bytes - at), at);
  const copy = openRegion(memory);
  for (const { cells } of copy.shards) cells[ShardCell.Tap] = 0;
  if (options.running) makeWhole(copy, options.now);
  return copy;
}

/** Parts of the region that no row has ever used, as [begin, end) of bytes, in order. */
function unused(region: Region): [number, number][] {
  const parts: [number, number][] = [];
  for (const table of [region.templates, ...region.shards.map((shard) => shard.connections)]) {
    const { high, capacity } = table;
    const columns = [table.rows, table.timeout, table.parent, table.controlled, table.mark, table.serverPort];
    for (const column of columns) {
      const row = column.byteLength / capacity;
      const begin = column.byteOffset - region.header.byteOffset;
      parts.push([begin + high * row, begin + column.byteLength]);
    }
  }
  return parts.sort((a, b) => a[0] - b[0]);
}

function makeWhole(copy: Region, now: number): void {
  const { header, services, templates, shards } = copy;
  services.lock.fill(0);
  header[Header.TemplateLock] = 0;
  rebuild(copy, templates, now);
  for (const { connections, inbox } of shards) {
    rebuild(copy, connections, now);
    // What is on its way between two shards is theirs to decide.
    for (const queue of inbox) while (queue.peek() > 0) queue.skip();
  }
}

function rebuild(copy: Region, table: Connections, now: number): void {
  const { rows, high } = table;
  const { life } = copy.destinations;
  const seed = copy.header[Header.Seed]!;
  for (let row = 0; row < high; row++) {
    const at = row << ROW_SHIFT;
    const d = rows[at + C_DESTINATION]!;
    const taken = (rows[at + C_STATUS]! & ConnectionFlag.Live) !== 0;
    if (taken && (d < 0 || d >= life.length || life[d] === Life.Free)) rows[at + C_STATUS] = 0;
  }
  table.rebuild(
    Math.floor(now / TICK) | 0,
    (row) => hashOfRow(table, row, seed),
    (row) => isHalfOpen(rows, row),
  );
}

function isHalfOpen(rows: Int32Array, row: number): boolean {
  const at = row << ROW_SHIFT;
  const status = rows[at + C_STATUS]!;
  if ((status & ConnectionFlag.Template) !== 0) return false;
  return isHalfOpenState(rows[at + C_KIND]! & 0xff, status & STATE_MASK);
}
