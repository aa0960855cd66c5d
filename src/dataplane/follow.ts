/**
 * Second stage: a frame of a connection that exists. Kernel IPVS's ip_vs_in for a found entry: may it go on to its
 * real server, must it be scheduled anew, or has its real server gone; then state, timer and counters.
 */
import {
  C_DESTINATION,
  C_KIND,
  C_STATUS,
  ConnectionFlag,
  FRAMES_MASK,
  FRAMES_ONE,
  HZ,
  ROW_SHIFT,
  STATE_MASK,
} from "../table/connections.ts";
import { STAT_BYTES, STAT_PACKETS, STATS } from "../table/counters.ts";
import { Life } from "../table/destinations.ts";
import { lock, unlock } from "../table/lock.ts";
import { Header } from "../table/region.ts";
import { Setting } from "../table/settings.ts";
import { Protocol } from "../wire/ipv4.ts";
import { Chunk, firstChunk, NO_CHUNK, tellingChunk } from "../wire/sctp.ts";
import type { Context } from "./context.ts";
import { underPressure } from "./defence.ts";
import { ROUTE_SHIFT } from "./directory.ts";
import { NO_FLAGS } from "./frames.ts";
import { expireNow } from "./life.ts";
import { nextSctpState, SCTP_TIMEOUTS, SctpState } from "./sctp-state.ts";
import { isActive, isEstablished, isHalfOpen } from "./states.ts";
import { nextState, SYN, TcpState } from "./tcp-state.ts";
import { Verdict } from "./verdict.ts";

/** Returned instead of a verdict: the connection is done with, treat the frame as one without a connection. */
export const ANEW = -1;

/** What becomes of frame `i`, which belongs to connection `row`: Forwarded, DestinationGone or ANEW. */
export function follow(context: Context, i: number, row: number): number {
  const { connections, directory, frames, region, settings } = context;
  const d = connections.rows[(row << ROW_SHIFT) + C_DESTINATION]!;
  const protocol = frames.flowKind[i]! & 0xff;
  if ((frames.tcpFlags[i]! & SYN) !== 0 || protocol === Protocol.Sctp) {
    if (isOpening(context, i, protocol) && beginsAnew(context, row, d, protocol)) {
      expireNow(context, row);
      return ANEW;
    }
  }
  if (directory.routes[d << ROUTE_SHIFT] === 0 && region.destinations.life[d] !== Life.Live) {
    if (settings[Setting.expire_nodest_conn] === 0) return Verdict.DestinationGone;
    expireNow(context, row);
    return ANEW;
  }
  advance(context, i, row);
  frames.destination[i] = d;
  return Verdict.Forwarded;
}

/** A SYN, or SCTP's INIT. */
function isOpening(context: Context, i: number, protocol: number): boolean {
  if (protocol === Protocol.Sctp) return chunkOf(context, i, firstChunk) === Chunk.Init;
  return protocol === Protocol.Tcp && context.frames.tcpFlags[i] !== NO_FLAGS;
}

/** A chunk's type, as `find` (wire/sctp.ts) finds it in frame `i`. */
export function chunkOf(context: Context, i: number, find: typeof firstChunk): number {
  const { frames, ring } = context;
  return find(ring.view, frames.transport[i]!, frames.ip[i]! + frames.bytes[i]!);
}

/**
 * Does a SYN on this connection open a new one? With expire_nodest_conn when its server is quiesced, also in
 * conn_reuse_mode 0 (Linux 5.16: "Fix reuse connection if RS weight is 0"); else, by conn_reuse_mode, when it is over.
 */
function beginsAnew(context: Context, row: number, d: number, protocol: number): boolean {
  const { connections, region, settings } = context;
  const mode = settings[Setting.conn_reuse_mode]!;
  if (settings[Setting.expire_nodest_conn] !== 0 && region.destinations.weight[d] === 0) return true;
  if (mode === 0 || connections.parent[row] !== 0) return false;
  const state = connections.rows[(row << ROW_SHIFT) + C_STATUS]! & STATE_MASK;
  if (protocol === Protocol.Sctp) return state === SctpState.Closed;
  return (
    state === TcpState.TimeWait ||
    state === TcpState.Close ||
    ((mode & 2) !== 0 && state === TcpState.FinWait)
  );
}

/** State, timer and counters of a frame that goes to its real server. */
export function advance(context: Context, i: number, row: number): void {
  const { connections, frames, settings } = context;
  const rows = connections.rows;
  const at = row << ROW_SHIFT;
  const status = rows[at + C_STATUS]!;
  const state = status & STATE_MASK;
  if ((status & FRAMES_MASK) !== FRAMES_MASK) rows[at + C_STATUS] = status + FRAMES_ONE;
  let timeout = settings[Setting.timeout_udp]!;
  if ((frames.flowKind[i]! & 0xff) === Protocol.Tcp) {
    const flags = frames.tcpFlags[i]!;
    const secure =
      settings[Setting.secure_tcp] !== 0 && underPressure(context, settings[Setting.secure_tcp]!);
    const next = flags === NO_FLAGS ? state : nextState(state, flags, secure);
    if (next !== state) enter(context, row, next);
    timeout = settings[Setting.timeout_tcp + next]!;
  } else if ((frames.flowKind[i]! & 0xff) === Protocol.Sctp) {
    timeout = advanceSctp(context, i, row, state);
  }
  connections.expireAt(row, (context.tick + timeout * HZ) | 0);
  count(context, rows[at + C_DESTINATION]!, frames.bytes[i]!);
}

/** Seconds that an SCTP association may rest after this frame. */
function advanceSctp(context: Context, i: number, row: number, state: number): number {
  const chunk = chunkOf(context, i, tellingChunk);
  const next = chunk === NO_CHUNK ? state : nextSctpState(state, chunk);
  if (next !== state) enter(context, row, next);
  return SCTP_TIMEOUTS[next]!;
}

/** The connection enters another state: its place among active and inactive, and in the half-open queue. */
function enter(context: Context, row: number, state: number): void {
  const { connections, counters } = context;
  const rows = connections.rows;
  const at = (row << ROW_SHIFT) + C_STATUS;
  const d = rows[(row << ROW_SHIFT) + C_DESTINATION]!;
  const protocol = rows[(row << ROW_SHIFT) + C_KIND]! & 0xff;
  const inactive = (rows[at]! & ConnectionFlag.Inactive) !== 0;
  const active = isActive(protocol, state);
  if (inactive && active) {
    rows[at]! &= ~ConnectionFlag.Inactive;
    counters.inactive[d]!--;
    counters.active[d]!++;
  } else if (!inactive && !active) {
    rows[at]! |= ConnectionFlag.Inactive;
    counters.active[d]!--;
    counters.inactive[d]!++;
  }
  rows[at] = (rows[at]! & ~STATE_MASK) | state;
  if (isHalfOpen(protocol, state)) connections.joinHalfOpen(row);
  else connections.leaveHalfOpen(row);
  if (isEstablished(protocol, state)) assureTemplate(context, row);
}

/** State of a persistence template one of whose connections was established (IP_VS_CTPL_S_ASSURED). */
export const TEMPLATE_ASSURED = 1;

function assureTemplate(context: Context, row: number): void {
  const parent = context.connections.parent[row]!;
  if (parent === 0) return;
  const { templates, header } = context.region;
  if (context.shards > 1) lock(header, Header.TemplateLock, context.index, context.relax);
  const at = ((parent - 1) << ROW_SHIFT) + C_STATUS;
  if ((templates.rows[at]! & ConnectionFlag.Live) !== 0) templates.rows[at]! |= TEMPLATE_ASSURED;
  if (context.shards > 1) unlock(header, Header.TemplateLock);
}

export function count(context: Context, d: number, bytes: number): void {
  const { destination } = context.counters;
  destination[d * STATS + STAT_PACKETS]!++;
  destination[d * STATS + STAT_BYTES]! += bytes;
}

/** Seconds left of a connection, rounded down as `ipvsadm -Lnc` shows them. */
export function secondsLeft(expires: number, tick: number): number {
  return Math.max(0, Math.floor(((expires - tick) | 0) / HZ));
}
