/**
 * ICMP addressed to a VIP or to the director: errors about a connection follow it to its real server, whatever the
 * outer addresses (kernel IPVS's ip_vs_in_icmp, recorded in the oracle's icmp/); echo to a VIP that the director owns
 * is answered; the rest is left to the host. State and timers are not touched.
 */
import { C_DESTINATION, FAMILY6, ROW_SHIFT } from "../table/connections.ts";
import { Life } from "../table/destinations.ts";
import { flowHash, foldAddress, shardOf } from "../table/hash.ts";
import { Setting } from "../table/settings.ts";
import { ICMP_EMBEDDED, ICMP_HEADER, ICMP_TYPE, IcmpType } from "../wire/icmp.ts";
import { Icmpv6Type } from "../wire/icmpv6.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as ipv6 from "../wire/ipv6.ts";
import { hasPorts } from "./classify.ts";
import type { Context } from "./context.ts";
import { answerEcho } from "./echo.ts";
import { livesElsewhere } from "./elsewhere.ts";
import { handOver } from "./extras.ts";
import { fillFlow } from "./flow.ts";
import { count } from "./follow.ts";
import { NO_FLAGS } from "./frames.ts";
import { scheduleRelated } from "./schedule.ts";
import { Verdict } from "./verdict.ts";

const PORTS = 4;
/** From here on a type of ICMPv6 is no error (RFC 4443 §2.1); the kernel follows all below (ICMPV6_INFOMSG_MASK). */
const INFORMATIONAL = 128;

export function icmp4(context: Context, i: number): Verdict {
  const { frames, ring } = context;
  const at = frames.transport[i]!;
  const end = frames.ip[i]! + frames.bytes[i]!;
  if (at + ICMP_HEADER > end) return Verdict.Malformed;
  const type = ring.view.getUint8(at + ICMP_TYPE);
  if (type === IcmpType.EchoRequest) return answerEcho(context, i);
  const relates =
    type === IcmpType.DestinationUnreachable ||
    type === IcmpType.SourceQuench ||
    type === IcmpType.TimeExceeded;
  return relates && readEmbedded4(context, i, at + ICMP_EMBEDDED, end)
    ? related(context, i)
    : Verdict.NotOurs;
}

/** Reads the flow out of the quoted packet, which went from the VIP to the client: the flow's other direction. */
function readEmbedded4(context: Context, i: number, at: number, end: number): boolean {
  const { frames, ring, seed } = context;
  const { view } = ring;
  if (at + ipv4.IPV4_HEADER > end || ipv4.version(view, at) !== 4) return false;
  const header = ipv4.headerLength(view, at);
  const protocol = ipv4.protocol(view, at);
  if (header < ipv4.IPV4_HEADER || ipv4.fragmentOffset(view, at) !== 0 || !hasPorts(protocol)) return false;
  if (at + header + PORTS > end) return false;
  frames.flowKind[i] = protocol;
  frames.client[i] = ipv4.destination(view, at);
  frames.virtual[i] = ipv4.source(view, at);
  readPortsReversed(context, i, at + header);
  frames.hash[i] = flowHash(seed, frames.client[i]!, frames.virtual[i]!, frames.ports[i]!);
  return true;
}

function readPortsReversed(context: Context, i: number, at: number): void {
  const { frames, ring } = context;
  frames.ports[i] = (ring.view.getUint16(at + 2) << 16) | ring.view.getUint16(at);
  frames.tcpFlags[i] = NO_FLAGS;
}

export function icmp6(context: Context, i: number): Verdict {
  const { frames, ring } = context;
  const at = frames.transport[i]!;
  const end = frames.ip[i]! + frames.bytes[i]!;
  if (at + ICMP_HEADER > end) return Verdict.Malformed;
  const type = ring.view.getUint8(at + ICMP_TYPE);
  if (type === Icmpv6Type.EchoRequest) return answerEcho(context, i);
  return type < INFORMATIONAL && readEmbedded6(context, i, at + ICMP_EMBEDDED, end)
    ? related(context, i)
    : Verdict.NotOurs;
}

const walk = ipv6.createWalk();

function readEmbedded6(context: Context, i: number, at: number, end: number): boolean {
  const { frames, ring, seed } = context;
  const { view } = ring;
  if (at + ipv6.IPV6_HEADER > end || ipv6.version(view, at) !== 6) return false;
  if (!ipv6.walkExtensions(view, at, end, walk) || walk.fragmentOffset !== 0 || !hasPorts(walk.protocol))
    return false;
  if (walk.at + PORTS > end) return false;
  const w = frames.words;
  const o = i * 8;
  for (let k = 0; k < 4; k++) {
    w[o + k] = ipv6.destination(view, at, k);
    w[o + 4 + k] = ipv6.source(view, at, k);
  }
  frames.flowKind[i] = walk.protocol | FAMILY6;
  frames.client[i] = foldAddress(w[o]!, w[o + 1]!, w[o + 2]!, w[o + 3]!);
  frames.virtual[i] = foldAddress(w[o + 4]!, w[o + 5]!, w[o + 6]!, w[o + 7]!);
  readPortsReversed(context, i, walk.at);
  frames.hash[i] = flowHash(seed, frames.client[i]!, frames.virtual[i]!, frames.ports[i]!);
  return true;
}

/** The error goes where its flow goes, even to a real server that was deleted. */
function related(context: Context, i: number): Verdict {
  const { connections, directory, frames, region, settings } = context;
  const six = (frames.flowKind[i]! & FAMILY6) !== 0;
  if ((six ? directory.services6 : directory.services4) === 0) return Verdict.NotOurs;
  const home = context.byArrival ? context.index : shardOf(frames.hash[i]!, context.shards);
  if (home !== context.index) return handOver(context, i, home);
  fillFlow(context, i);
  const kind = frames.flowKind[i]!;
  const row =
    (kind & FAMILY6) !== 0
      ? connections.find6(frames.hash[i]!, kind, context.flow.words, 0, frames.ports[i]!)
      : connections.find4(frames.hash[i]!, kind, frames.client[i]!, frames.virtual[i]!, frames.ports[i]!);
  if (row < 0 && context.byArrival && i < context.extras.first) {
    const other = livesElsewhere(context, i);
    if (other >= 0) return handOver(context, i, other);
  }
  if (row < 0) return settings[Setting.schedule_icmp] === 0 ? Verdict.NotOurs : scheduleRelated(context, i);
  const d = connections.rows[(row << ROW_SHIFT) + C_DESTINATION]!;
  frames.destination[i] = d;
  // A deleted real server still gets it, but the kernel counts for living ones only (ip_vs_in_stats).
  if (region.destinations.life[d] === Life.Live) count(context, d, frames.bytes[i]!);
  return Verdict.Forwarded;
}
