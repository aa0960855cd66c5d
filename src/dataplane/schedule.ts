/**
 * Third stage: a frame without a connection. Kernel IPVS's tcp_conn_schedule, udp_conn_schedule, ip_vs_schedule and
 * ip_vs_leave: which service wants it, may it open a connection, whom does the scheduler choose.
 */

import { NO_DESTINATION } from "../schedulers/scheduler.ts";
import { C_DESTINATION, C_EXPIRES, FAMILY6, HZ, ROW_SHIFT } from "../table/connections.ts";
import { ShardCount, STAT_CONNECTIONS, STATS } from "../table/counters.ts";
import { lock, unlock } from "../table/lock.ts";
import { ShardCell } from "../table/region.ts";
import { ServiceFlag } from "../table/services.ts";
import { Setting } from "../table/settings.ts";
import { checksumIsRight, Protocol } from "../wire/ipv4.ts";
import { Chunk, firstChunk, NO_CHUNK } from "../wire/sctp.ts";
import { UDP_HEADER } from "../wire/udp.ts";
import type { Context } from "./context.ts";
import { dropsThis } from "./defence.ts";
import type { ServiceEntry } from "./directory.ts";
import { FLOW_CLIENT } from "./flow.ts";
import { advance, chunkOf, count } from "./follow.ts";
import { NO_FLAGS } from "./frames.ts";
import { bear, bury, clearOverload, markOverload } from "./life.ts";
import { markOf } from "./mark.ts";
import { NO_ROOM, persist } from "./persist.ts";
import { RST, SYN } from "./tcp-state.ts";
import { Verdict } from "./verdict.ts";

const FTP = 21;
const FTP_DATA = 20;
/** net.ipv4.ip_unprivileged_port_start: below it a port may be another service's and is not FTP's passive data. */
const UNPRIVILEGED = 1024;

/** Chooses a destination for frame `i` and opens its connection. `context.flow` describes the frame. */
export function schedule(context: Context, i: number): Verdict {
  const { frames, flow } = context;
  const protocol = frames.flowKind[i]! & 0xff;
  const s = findService(context, protocol);
  if (s < 0) return Verdict.NotOurs;
  const refused = mayOpen(context, i, protocol);
  if (refused !== Verdict.Forwarded) return refused;
  if (isMartian(context) || !headerIsSound(context, i)) return Verdict.Malformed;
  if (dropsThis(context)) return Verdict.Defended;
  if (flow.clientPort === FTP_DATA) return Verdict.NotScheduled;
  const entry = context.directory.services[s]!;
  return (context.region.services.flags[s]! & ServiceFlag.Persistent) !== 0
    ? schedulePersistent(context, i, entry, protocol)
    : schedulePlain(context, i, entry, protocol);
}

/** May this frame open a connection? Forwarded if so. */
function mayOpen(context: Context, i: number, protocol: number): Verdict {
  const { frames, settings } = context;
  if (protocol === Protocol.Tcp) {
    const flags = frames.tcpFlags[i]!;
    if (flags === NO_FLAGS) return Verdict.Malformed;
    const opens = (flags & RST) === 0 && ((flags & SYN) !== 0 || settings[Setting.sloppy_tcp] !== 0);
    return opens ? Verdict.Forwarded : Verdict.NoConnection;
  }
  if (protocol === Protocol.Sctp) {
    const chunk = chunkOf(context, i, firstChunk);
    if (chunk === NO_CHUNK) return Verdict.Malformed;
    const opens = chunk === Chunk.Init || (chunk !== Chunk.Abort && settings[Setting.sloppy_sctp] !== 0);
    return opens ? Verdict.Forwarded : Verdict.NoConnection;
  }
  const bytes = frames.ip[i]! + frames.bytes[i]! - frames.transport[i]!;
  return bytes < UDP_HEADER ? Verdict.Malformed : Verdict.Forwarded;
}

/**
 * Sources that Linux takes for martians and drops on input: of IPv4 0/8, 127/8, multicast, broadcast and whatever is an
 * address of the director itself (ip_route_input_slow, fib_validate_source); of IPv6 multicast, loopback and v4-mapped
 * (ip6_rcv_core), but no address of its own.
 */
export function isMartian(context: Context): boolean {
  const { directory, flow, settings } = context;
  const { words, family } = flow;
  if (family === 6) {
    if (words[0]! >>> 24 === 0xff) return true;
    const mapped = words[2] === 0xffff || (words[2] === 0 && words[3] === 1);
    return words[0] === 0 && words[1] === 0 && mapped;
  }
  const first = words[3]! >>> 24;
  if (first === 0 || first === 127 || (first & 0xf0) === 0xe0 || words[3] === -1) return true;
  return words[3] === words[7] || words[3] === settings[Setting.dip] || directory.isOwn(words, FLOW_CLIENT);
}

/** Linux drops a packet whose IPv4 header checksum is wrong; looked at only when it would open a connection. */
function headerIsSound(context: Context, i: number): boolean {
  return context.flow.family !== 4 || checksumIsRight(context.ring.view, context.frames.ip[i]!);
}

/**
 * `schedule_icmp`: an ICMP error about a flow that has no connection opens one, as its first frame would. The entry
 * has no state and lives three seconds (ip_vs_conn_new's default) unless frames of the flow follow.
 */
export function scheduleRelated(context: Context, i: number): Verdict {
  const protocol = context.frames.flowKind[i]! & 0xff;
  const s = findService(context, protocol);
  if (s < 0) return Verdict.NotOurs;
  if (dropsThis(context)) return Verdict.Defended;
  if (context.flow.clientPort === FTP_DATA) return Verdict.NotScheduled;
  const entry = context.directory.services[s]!;
  const persistent = (context.region.services.flags[s]! & ServiceFlag.Persistent) !== 0;
  related = true;
  try {
    return persistent
      ? schedulePersistent(context, i, entry, protocol)
      : schedulePlain(context, i, entry, protocol);
  } finally {
    related = false;
  }
}
const RELATED_TIMEOUT = 3 * HZ;
let related = false;

/**
 * The order of ip_vs_service_find: firewall mark, exact address and port, FTP's data ports, port zero.
 */
export function findService(context: Context, protocol: number): number {
  const { directory, flow } = context;
  const { family, words, virtualPort } = flow;
  const mark = markOf(context, protocol);
  if (mark !== 0) {
    const s = directory.findMark(mark, family);
    if (s >= 0) return s;
  }
  const exact = directory.find(protocol, family, words, 4, virtualPort);
  if (exact >= 0) return exact;
  if (
    protocol === Protocol.Tcp &&
    directory.anyFtp &&
    (virtualPort === FTP_DATA || virtualPort >= UNPRIVILEGED)
  ) {
    const ftp = directory.find(protocol, family, words, 4, FTP);
    if (ftp >= 0) return ftp;
  }
  return directory.anyPortZero ? directory.find(protocol, family, words, 4, 0) : -1;
}

function schedulePlain(context: Context, i: number, entry: ServiceEntry, protocol: number): Verdict {
  const { services } = context.region;
  const s = entry.view.service;
  if (services.mark[s] === 0 && context.flow.virtualPort !== services.port[s]) return leave(context, s);
  const d = choose(context, entry);
  if (d === NO_DESTINATION) return leave(context, s);
  if (isOnePacket(context, s, protocol)) return forwardOnce(context, i, d);
  return connect(context, i, s, d, 0);
}

function schedulePersistent(context: Context, i: number, entry: ServiceEntry, protocol: number): Verdict {
  const { templates } = context.region;
  const s = entry.view.service;
  const template = persist(context, entry, protocol);
  if (template === NO_DESTINATION) return leave(context, s);
  if (template === NO_ROOM) return Verdict.TableFull;
  const d = templates.rows[(template << ROW_SHIFT) + C_DESTINATION]!;
  if (isOnePacket(context, s, protocol)) return forwardOnce(context, i, d);
  return connect(context, i, s, d, template + 1);
}

function isOnePacket(context: Context, s: number, protocol: number): boolean {
  return protocol === Protocol.Udp && (context.region.services.flags[s]! & ServiceFlag.OnePacket) !== 0;
}

/**
 * ip_vs_leave: nobody can take it. With an FTP service the other ports of its address are left to the host; else the
 * client is told port unreachable (by the caller, verdict NoDestination).
 */
function leave(context: Context, s: number): Verdict {
  const { services } = context.region;
  return services.port[s] === FTP && context.flow.virtualPort !== FTP
    ? Verdict.NotOurs
    : Verdict.NoDestination;
}

/** Asks the service's scheduler. An exception in a user's scheduler means "nobody", never a dead shard. */
export function choose(context: Context, entry: ServiceEntry): number {
  const { scheduler, view } = entry;
  if (scheduler === undefined) return NO_DESTINATION;
  const locks = context.region.services.lock;
  const { cells } = context;
  cells[ShardCell.Service] = view.service + 1;
  if (context.shards > 1) lock(locks, view.service, context.index, context.relax);
  try {
    return scheduler.schedule(view, context.flow);
  } catch {
    context.counters.shard[ShardCount.SchedulerFaults]!++;
    return NO_DESTINATION;
  } finally {
    if (context.shards > 1) unlock(locks, view.service);
    cells[ShardCell.Service] = 0;
  }
}

/** Opens the connection and treats the frame as its first. */
function connect(context: Context, i: number, s: number, d: number, parent: number): Verdict {
  const { frames, connections, counters, region } = context;
  const kind = frames.flowKind[i]! & (0xff | FAMILY6);
  const hash = frames.hash[i]!;
  let row = bear(context, hash, kind, d, 0);
  if (row < 0) {
    const oldest = connections.oldestHalfOpen();
    if (oldest < 0) return Verdict.TableFull;
    bury(context, oldest);
    counters.shard[ShardCount.Evicted]!++;
    row = bear(context, hash, kind, d, 0);
  }
  connections.mark[row] = region.services.mark[s]!;
  connections.serverPort[row] = serverPort(context, s, d);
  connections.parent[row] = parent;
  if (parent !== 0) Atomics.add(region.templates.controlled, parent - 1, 1);
  counters.destination[d * STATS + STAT_CONNECTIONS]!++;
  connections.rows[(row << ROW_SHIFT) + C_EXPIRES] = context.tick;
  if (related) stay(context, i, row, d);
  else advance(context, i, row);
  connections.arm(row);
  frames.row[i] = row;
  frames.destination[i] = d;
  return Verdict.Forwarded;
}

/**
 * The port as listed: the destination's own, but the frame's on any other port than the service's (FTP's data, port
 * zero, a firewall mark's templates) and when the destination has none.
 */
function serverPort(context: Context, s: number, d: number): number {
  const { services, destinations } = context.region;
  const { virtualPort } = context.flow;
  const port = destinations.port[d]!;
  const persistent = (services.flags[s]! & ServiceFlag.Persistent) !== 0;
  return port === 0 || (persistent && virtualPort !== services.port[s]) ? virtualPort : port;
}

function stay(context: Context, i: number, row: number, d: number): void {
  context.connections.expireAt(row, (context.tick + RELATED_TIMEOUT) | 0);
  count(context, d, context.frames.bytes[i]!);
}

/** One-packet scheduling (-o): the connection lives for this frame only, yet thresholds see it come and go. */
function forwardOnce(context: Context, i: number, d: number): Verdict {
  const { counters, frames, region } = context;
  counters.inactive[d]!++;
  markOverload(region, d);
  counters.destination[d * STATS + STAT_CONNECTIONS]!++;
  count(context, d, frames.bytes[i]!);
  counters.inactive[d]!--;
  clearOverload(region, d);
  frames.destination[i] = d;
  return Verdict.Forwarded;
}
