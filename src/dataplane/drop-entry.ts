/**
 * drop_entry (ipvs-sysctl.rst; ip_vs_random_dropentry): while the defence is on, every second a thirty-second part of
 * the connection table, chosen by lot, is looked through, and connections that look like a flood's are ended:
 * half-open ones, and of those that were silent for a minute and carried at most eight frames every n-th, n being the
 * number of their frames. Templates that never saw an established connection, and have none left, go too; those of
 * one-packet scheduling, which never have any, as connections do.
 */
import {
  C_DESTINATION,
  C_EXPIRES,
  C_KIND,
  C_NEXT,
  C_STATUS,
  type Connections,
  FRAMES_MASK,
  FRAMES_SHIFT,
  HZ,
  ROW_SHIFT,
  STATE_MASK,
} from "../table/connections.ts";
import { ShardCount } from "../table/counters.ts";
import { lock, unlock } from "../table/lock.ts";
import { Header } from "../table/region.ts";
import { NONE, ServiceFlag } from "../table/services.ts";
import { Setting } from "../table/settings.ts";
import { Protocol } from "../wire/ipv4.ts";
import type { Context } from "./context.ts";
import { underPressure } from "./defence.ts";
import { TEMPLATE_ASSURED } from "./follow.ts";
import { bury } from "./life.ts";
import { SCTP_TIMEOUTS } from "./sctp-state.ts";
import { isEstablished, isHalfOpen } from "./states.ts";

/** A part of 1 / 2^5 of the buckets a second. */
const PART_SHIFT = 5;
/** A connection that had a frame this recently is nobody's flood. */
const SPARED = 60 * HZ;
const MOST_FRAMES = 8;

export class DropEntry {
  /** Countdown by number of frames: how many such connections are still spared. */
  readonly #spare = new Int32Array(MOST_FRAMES + 1);
  #lot: number;

  constructor(seed: number) {
    this.#lot = seed | 1;
  }

  /** Once a second. */
  defend(context: Context): void {
    const mode = context.settings[Setting.drop_entry]!;
    if (mode === 0 || !underPressure(context, mode)) return;
    this.#thin(
      context.connections,
      (row) => this.#looksLikeFlood(context, row),
      (row) => endWithTemplate(context, row),
    );
    if (context.index !== 0) return;
    const { templates } = context.region;
    locked(context, () => {
      this.#thin(
        templates,
        (row) => this.#isIdleTemplate(context, row),
        (row) => templates.expireAt(row, context.tick),
      );
    });
  }

  #thin(table: Connections, chosen: (row: number) => boolean, end: (row: number) => void): void {
    const { heads, rows } = table;
    for (let n = heads.length >>> PART_SHIFT; n >= 0; n--) {
      let link = heads[this.#draw() & (heads.length - 1)]!;
      while (link !== 0) {
        const row = link - 1;
        link = rows[(row << ROW_SHIFT) + C_NEXT]!;
        if (chosen(row)) end(row);
      }
    }
  }

  #looksLikeFlood(context: Context, row: number): boolean {
    const { rows } = context.connections;
    const status = rows[(row << ROW_SHIFT) + C_STATUS]!;
    const protocol = rows[(row << ROW_SHIFT) + C_KIND]! & 0xff;
    if (isHalfOpen(protocol, status & STATE_MASK)) return true;
    if (protocol !== Protocol.Udp && !isEstablished(protocol, status & STATE_MASK)) return false;
    return this.#isUnlucky(
      context,
      context.connections,
      row,
      timeoutOf(context.settings, protocol, status & STATE_MASK) * HZ,
    );
  }

  #isIdleTemplate(context: Context, row: number): boolean {
    const { templates } = context.region;
    if (!templates.isLive(row) || Atomics.load(templates.controlled, row) !== 0) return false;
    if (isOnePacket(context, row)) return this.#isUnlucky(context, templates, row, templates.timeout[row]!);
    return !isAssured(templates, row);
  }

  /** Was it silent for a minute with few frames, and is it its turn? `timeout`: ticks it may rest. */
  #isUnlucky({ tick }: Context, { rows }: Connections, row: number, timeout: number): boolean {
    const at = row << ROW_SHIFT;
    const silent = (timeout - ((rows[at + C_EXPIRES]! - tick) | 0)) | 0;
    const frames = (rows[at + C_STATUS]! & FRAMES_MASK) >>> FRAMES_SHIFT;
    if (silent < SPARED || frames === 0 || frames > MOST_FRAMES) return false;
    if (--this.#spare[frames]! > 0) return false;
    this.#spare[frames] = frames;
    return true;
  }

  /** xorshift32: lots need not be good, only spread. */
  #draw(): number {
    let x = this.#lot;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#lot = x;
    return x >>> 0;
  }
}

/** Seconds between a connection's last frame and its end. */
function timeoutOf(settings: Int32Array, protocol: number, state: number): number {
  if (protocol === Protocol.Tcp) return settings[Setting.timeout_tcp + state]!;
  return protocol === Protocol.Sctp ? SCTP_TIMEOUTS[state]! : settings[Setting.timeout_udp]!;
}

/** Has one of the template's connections been established? */
function isAssured(templates: Connections, row: number): boolean {
  return (templates.rows[(row << ROW_SHIFT) + C_STATUS]! & STATE_MASK) === TEMPLATE_ASSURED;
}

function isOnePacket({ region }: Context, template: number): boolean {
  const { destinations, services, templates } = region;
  const s = destinations.service[templates.rows[(template << ROW_SHIFT) + C_DESTINATION]!]!;
  return s !== NONE && (services.flags[s]! & ServiceFlag.OnePacket) !== 0;
}

/** The connection ends, and with its last one a template that never saw an established one (ip_vs_conn_expire). */
function endWithTemplate(context: Context, row: number): void {
  const { templates } = context.region;
  const parent = context.connections.parent[row]! - 1;
  bury(context, row);
  context.counters.shard[ShardCount.Expired]!++;
  if (parent < 0) return;
  locked(context, () => {
    if (!templates.isLive(parent) || Atomics.load(templates.controlled, parent) !== 0) return;
    if (!isAssured(templates, parent)) templates.expireAt(parent, context.tick);
  });
}

function locked(context: Context, work: () => void): void {
  const { header } = context.region;
  if (context.shards > 1) lock(header, Header.TemplateLock, context.index, context.relax);
  work();
  if (context.shards > 1) unlock(header, Header.TemplateLock);
}
