/**
 * Makes a region whole again after its process or one of its shards died in the middle of something. What a dead
 * thread can leave behind: a held lock, an odd generation, links half laid, counts not yet moved, frames that waited.
 * Rows are whole by construction (Live is a row's last store), so everything else is told anew from them.
 */
import { hashOfRow } from "../dataplane/life.ts";
import { isHalfOpen as isHalfOpenState } from "../dataplane/states.ts";
import { VERDICTS, Verdict } from "../dataplane/verdict.ts";
import {
  C_DESTINATION,
  C_EXPIRES,
  C_KIND,
  C_STATUS,
  ConnectionFlag,
  type Connections,
  ROW_SHIFT,
  STATE_MASK,
} from "../table/connections.ts";
import { ShardCount } from "../table/counters.ts";
import { Life } from "../table/destinations.ts";
import { isChanging } from "../table/generation.ts";
import { breakLocks, CONTROL_OWNER, unlock } from "../table/lock.ts";
import { Header, type Region, ShardCell } from "../table/region.ts";

/** After the process died, or before it begins to work on a region that it found. `tick` is the time now. */
export function recoverRegion(region: Region, tick: number): void {
  const { header, services } = region;
  services.lock.fill(0);
  header[Header.TemplateLock] = 0;
  // The services' own generation is left odd: mend.ts sees by it that lists were left torn.
  if (isChanging(header[Header.NeighbourGeneration]!)) {
    header[Header.NeighbourGeneration] = (header[Header.NeighbourGeneration]! + 1) | 0;
  }
  recoverTemplates(region, tick);
  for (let index = 0; index < region.shards.length; index++) recoverShardTables(region, index, tick);
  recountTemplates(region);
}

/** After an orderly rest: the tables are whole, only the frames that waited in the threads' own memory are gone. */
export function settleRegion(region: Region): void {
  for (const { counters, cells } of region.shards) {
    settleVerdicts(counters.verdict, counters.shard);
    cells[ShardCell.Stop] = 0;
    cells[ShardCell.Sleeping] = 0;
    cells[ShardCell.Tap] = 0; // a descriptor of the other process
  }
}

/**
 * After one shard's thread died while the others work on. Returns how many locks it had held; with the templates'
 * lock their table is rebuilt before anybody else gets in.
 */
export function recoverShard(region: Region, index: number, tick: number): number {
  const { header, services } = region;
  let broken = breakLocks(services.lock, index);
  if (Atomics.compareExchange(header, Header.TemplateLock, index + 1, CONTROL_OWNER + 1) === index + 1) {
    recoverTemplates(region, tick);
    unlock(header, Header.TemplateLock);
    broken++;
  }
  recoverShardTables(region, index, tick);
  return broken;
}

function recoverShardTables(region: Region, index: number, tick: number): void {
  const { connections, counters, cells } = region.shards[index]!;
  dropOrphans(region, connections);
  rebuild(region, connections, tick);
  counters.active.fill(0);
  counters.inactive.fill(0);
  const { rows } = connections;
  for (let row = 0; row < connections.high; row++) {
    if (!connections.isLive(row)) continue;
    const at = row << ROW_SHIFT;
    const counted =
      (rows[at + C_STATUS]! & ConnectionFlag.Inactive) !== 0 ? counters.inactive : counters.active;
    counted[rows[at + C_DESTINATION]!]!++;
  }
  settleVerdicts(counters.verdict, counters.shard);
  cells[ShardCell.Stop] = 0;
  cells[ShardCell.Sleeping] = 0;
  // A descriptor of a process that may be gone; whoever looks on says so again.
  cells[ShardCell.Tap] = 0;
}

/** Rows that point at a destination which is not there: a file from elsewhere, or a bug, must not crash the shards. */
function dropOrphans(region: Region, table: Connections): void {
  const { rows, high, capacity } = table;
  const { life } = region.destinations;
  for (let row = 0; row < Math.min(high, capacity); row++) {
    const d = rows[(row << ROW_SHIFT) + C_DESTINATION]!;
    if (d < 0 || d >= life.length || life[d] === Life.Free) rows[(row << ROW_SHIFT) + C_STATUS] = 0;
  }
}

function rebuild(region: Region, table: Connections, tick: number): void {
  const seed = region.header[Header.Seed]!;
  const { rows } = table;
  table.rebuild(
    tick,
    (row) => hashOfRow(table, row, seed),
    (row) => isHalfOpen(rows, row),
  );
}

export function isHalfOpen(rows: Int32Array, row: number): boolean {
  const at = row << ROW_SHIFT;
  if ((rows[at + C_STATUS]! & ConnectionFlag.Template) !== 0) return false;
  return isHalfOpenState(rows[at + C_KIND]! & 0xff, rows[at + C_STATUS]! & STATE_MASK);
}

function recoverTemplates(region: Region, tick: number): void {
  const { templates, destinations } = region;
  dropOrphans(region, templates);
  rebuild(region, templates, tick);
  destinations.persistent.fill(0);
  for (let row = 0; row < templates.high; row++) {
    if (templates.isLive(row))
      destinations.persistent[templates.rows[(row << ROW_SHIFT) + C_DESTINATION]!]!++;
  }
}

/** How many connections hang on each template; a connection whose template is gone hangs on none. */
function recountTemplates(region: Region): void {
  const { templates } = region;
  templates.controlled.fill(0);
  for (const { connections } of region.shards) {
    for (let row = 0; row < connections.high; row++) {
      const parent = connections.parent[row]!;
      if (parent === 0 || !connections.isLive(row)) continue;
      if (parent <= templates.capacity && templates.isLive(parent - 1)) templates.controlled[parent - 1]!++;
      else connections.parent[row] = 0;
    }
  }
}

/** Frames that waited are gone, and so are those of the turn in which the thread died: received = Σ verdicts again. */
function settleVerdicts(verdict: Float64Array, shard: Float64Array): void {
  verdict[Verdict.NeighbourFailed]! += verdict[Verdict.Waiting]!;
  verdict[Verdict.Waiting] = 0;
  let sum = 0;
  for (let v = 0; v < VERDICTS; v++) sum += verdict[v]!;
  const missing = shard[ShardCount.Received]! - sum;
  if (missing > 0) verdict[Verdict.TransmitFailed]! += missing;
  else shard[ShardCount.Received]! -= missing;
}

/**
 * The machine was booted since: its clock began anew, so every moment in the region is moved to keep what was left
 * of each timer. Call before `recoverRegion`.
 */
export function rebaseClock(region: Region, now: number, tick: number): void {
  for (const table of [region.templates, ...region.shards.map((shard) => shard.connections)]) {
    const shift = (tick - table.clock) | 0;
    for (let row = 0; row < table.high; row++) {
      const at = (row << ROW_SHIFT) + C_EXPIRES;
      table.rows[at] = (table.rows[at]! + shift) | 0;
    }
  }
  region.neighbours.since.fill(now);
  region.neighbours.confirmed.fill(now);
  region.destinations.idle.fill(0);
}
