/**
 * expire_nodest_conn, its other half (Linux 5.9): when a destination is deleted while it is on, the connections that
 * lose their real server by it end at the next tick, without waiting for a frame of theirs; and with its last
 * connection, or at once when it has none, a persistence template that pointed there.
 *
 * The tables are looked through a stretch a tick, so that no burst waits for millions of rows. A destination that was
 * added again meanwhile keeps what was not reached yet.
 */
import {
  C_DESTINATION,
  C_STATUS,
  ConnectionFlag,
  type Connections,
  ROW_SHIFT,
} from "../table/connections.ts";
import { ShardCount } from "../table/counters.ts";
import { Life } from "../table/destinations.ts";
import { lock, unlock } from "../table/lock.ts";
import { Header } from "../table/region.ts";
import type { Context } from "./context.ts";
import { bury } from "./life.ts";

/** Rows a tick: about a tenth of a millisecond. */
const STRETCH = 16_384;

export class Departed {
  #seen: number;
  /** Next row to look at, in the connections and then (shard 0) in the templates; NaN when there is nothing to do. */
  #row = Number.NaN;
  #template = Number.NaN;

  constructor(departures: number) {
    this.#seen = departures;
  }

  /** Once a tick. */
  work(context: Context): void {
    const departures = Atomics.load(context.region.header, Header.Departures);
    if (departures !== this.#seen) {
      this.#seen = departures;
      this.#row = 0;
      if (context.index === 0) this.#template = 0;
    }
    if (this.#row >= 0) this.#row = this.#connections(context, this.#row);
    if (this.#row >= 0) return;
    if (this.#template >= 0) this.#template = this.#templates(context, this.#template);
  }

  #connections(context: Context, from: number): number {
    const { connections, counters } = context;
    const end = Math.min(from + STRETCH, connections.high);
    for (let row = from; row < end; row++) {
      if (!lostItsServer(context, connections, row)) continue;
      const parent = connections.parent[row]! - 1;
      bury(context, row);
      counters.shard[ShardCount.Expired]!++;
      if (parent >= 0) locked(context, () => endTemplate(context, parent));
    }
    return end < connections.high ? end : Number.NaN;
  }

  #templates(context: Context, from: number): number {
    const { templates } = context.region;
    const end = Math.min(from + STRETCH, templates.high);
    locked(context, () => {
      for (let row = from; row < end; row++) {
        if (lostItsServer(context, templates, row)) endTemplate(context, row);
      }
    });
    return end < templates.high ? end : Number.NaN;
  }
}

function lostItsServer(context: Context, table: Connections, row: number): boolean {
  const at = row << ROW_SHIFT;
  if ((table.rows[at + C_STATUS]! & ConnectionFlag.Live) === 0) return false;
  return context.region.destinations.life[table.rows[at + C_DESTINATION]!] !== Life.Live;
}

/** Ends a template at the next tick, unless connections hang on it. */
function endTemplate(context: Context, row: number): void {
  const { templates } = context.region;
  if (!templates.isLive(row) || Atomics.load(templates.controlled, row) > 0) return;
  templates.expireAt(row, context.tick);
}

function locked(context: Context, work: () => void): void {
  const { header } = context.region;
  if (context.shards > 1) lock(header, Header.TemplateLock, context.index, context.relax);
  work();
  if (context.shards > 1) unlock(header, Header.TemplateLock);
}
