/**
 * The scenario's clock, and what the kernel's timer wheel does not do on time: it fires up to 12.5 % late, so for that
 * long an entry that is over still counts. Such entries are remembered as they leave our tables.
 */
import { stateLabel } from "../../src/control/connection-listing.ts";
import { formatWords, wordsAt } from "../../src/control/keys.ts";
import {
  C_DESTINATION,
  C_EXPIRES,
  C_KIND,
  C_STATUS,
  ConnectionFlag,
  type Connections,
  FAMILY6,
  HZ,
  ROW_SHIFT,
  STATE_MASK,
  TICK,
} from "../../src/table/connections.ts";
import { Setting } from "../../src/table/settings.ts";
import { Protocol } from "../../src/wire/ipv4.ts";
import { type Counts, entriesOf, nameOf } from "./compare.ts";
import type { World } from "./world.ts";

const LATENESS = 0.125;

interface Gone {
  readonly server: string;
  readonly column: keyof Counts;
  /** Until when the kernel may still count it, s. */
  readonly until: number;
}

export class Timers {
  readonly #world: World;
  #gone: Gone[] = [];
  #templates: { name: string; until: number }[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  advance(t: number): void {
    const world = this.#world;
    if (t <= world.t) return;
    const tick = Math.floor(world.nowAt(t) / TICK) | 0;
    for (const { connections } of world.region.shards) this.#remember(connections, tick, t);
    const before = world.region.templates.live > 0 ? entriesOf(world, 0) : [];
    world.advance(t);
    if (before.length > 0) this.#rememberTemplates(before);
  }

  /** Connections whose time is up by `tick`. */
  #remember(table: Connections, tick: number, t: number): void {
    const { rows } = table;
    const { destinations } = this.#world.region;
    for (let row = 0; row < table.high; row++) {
      const at = row << ROW_SHIFT;
      const status = rows[at + C_STATUS]!;
      const left = (rows[at + C_EXPIRES]! - tick) | 0;
      if ((status & ConnectionFlag.Live) === 0 || left > 0) continue;
      const family = (rows[at + C_KIND]! & FAMILY6) !== 0 ? 6 : 4;
      this.#gone.push({
        server: formatWords(family, wordsAt(destinations.address, rows[at + C_DESTINATION]!)),
        column: (status & ConnectionFlag.Inactive) !== 0 ? "inactive" : "active",
        until: t + left / HZ + LATENESS * this.#timeoutOf(rows[at + C_KIND]! & 0xff, status),
      });
    }
  }

  #timeoutOf(protocol: number, status: number): number {
    const { settings } = this.#world.region;
    if (protocol !== Protocol.Tcp) return settings[Setting.timeout_udp]!;
    return stateLabel(protocol, status) === "NONE"
      ? 3
      : settings[Setting.timeout_tcp + (status & STATE_MASK)]!;
  }

  #rememberTemplates(before: ReturnType<typeof entriesOf>): void {
    const now = new Set(entriesOf(this.#world, 0).map(nameOf));
    for (const entry of before) {
      const name = nameOf(entry);
      const until = this.#world.t + LATENESS * this.#world.t;
      if (entry.cport === 0 && !now.has(name)) this.#templates.push({ name, until });
    }
  }

  /** By real server, how many entries the kernel may still count although we do not. */
  late(): ReadonlyMap<string, Counts> {
    const late = new Map<string, Counts>();
    this.#gone = this.#gone.filter((entry) => entry.until >= this.#world.t);
    for (const { server, column } of this.#gone) {
      const counts = late.get(server) ?? { active: 0, inactive: 0 };
      counts[column]++;
      late.set(server, counts);
    }
    return late;
  }

  /** Templates that the kernel may still show. */
  lateTemplates(): ReadonlySet<string> {
    return new Set(this.#templates.filter(({ until }) => until >= this.#world.t).map(({ name }) => name));
  }
}
