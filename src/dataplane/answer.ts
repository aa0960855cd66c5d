/**
 * What the director itself says to a client in the VIP's name: ICMP errors, rate limited as Linux limits them, and
 * echo replies. Answers go back to the MAC the frame came from.
 */
import { ShardCount } from "../table/counters.ts";
import { Setting } from "../table/settings.ts";
import * as ethernet from "../wire/ethernet.ts";
import { IcmpType, TimeExceededCode, UnreachableCode } from "../wire/icmp.ts";
import { mayAnswerWithError, writeIcmpError } from "../wire/icmp-message.ts";
import { Icmpv6Type } from "../wire/icmpv6.ts";
import { mayAnswerWithError6, writeIcmpv6Error } from "../wire/icmpv6-message.ts";
import * as ipv4 from "../wire/ipv4.ts";
import { createWalk, walkExtensions } from "../wire/ipv6.ts";
import type { Context } from "./context.ts";

/** Room for any error with its Ethernet header: ICMPv6 quotes up to 1280 bytes. */
const ERROR_ROOM = 1_300;
/** Linux allows IPv6 clients behind a default route sixteen errors where IPv4's get one (icmpv6_xrlim_allow). */
const ROUTED6_SHIFT = 4;
/** RFC 4443 §3.1: destination unreachable, port. */
const PORT_UNREACHABLE6 = 4;

export function answerUnreachable(context: Context, i: number): void {
  if (is4(context, i)) answer4(context, i, IcmpType.DestinationUnreachable, UnreachableCode.Port, 0);
  else answer6(context, i, Icmpv6Type.DestinationUnreachable, PORT_UNREACHABLE6, 0);
}

export function answerTimeExceeded(context: Context, i: number): void {
  if (is4(context, i)) answer4(context, i, IcmpType.TimeExceeded, TimeExceededCode.InTransit, 0);
  else answer6(context, i, Icmpv6Type.TimeExceeded, 0, 0);
}

export function answerTooBig(context: Context, i: number, mtu: number): void {
  if (is4(context, i))
    answer4(context, i, IcmpType.DestinationUnreachable, UnreachableCode.FragmentationNeeded, mtu);
  else answer6(context, i, Icmpv6Type.PacketTooBig, 0, mtu);
}

function is4(context: Context, i: number): boolean {
  return ipv4.version(context.ring.view, context.frames.ip[i]!) === 4;
}

function answer4(context: Context, i: number, type: number, code: number, rest: number): void {
  const { frames, ring } = context;
  const ip = frames.ip[i]!;
  if (!mayAnswerWithError(ring.view, ip, ip + frames.bytes[i]!)) return;
  const tooBig = type === IcmpType.DestinationUnreachable && code === UnreachableCode.FragmentationNeeded;
  if (!mayAsk(context, i, tooBig)) return;
  const to = ring.reserve(ERROR_ROOM);
  if (to < 0) return;
  const header = linkHeader(context, i, to);
  const source = ipv4.destination(ring.view, ip);
  const length = writeIcmpError(
    ring.view,
    to + header,
    type,
    code,
    rest,
    source,
    ring.view,
    ip,
    frames.bytes[i]!,
    context.limiter.identification(),
  );
  context.answers.push(to, header + length);
}

const walk = createWalk();

function answer6(context: Context, i: number, type: number, code: number, rest: number): void {
  const { frames, ring } = context;
  const ip = frames.ip[i]!;
  const end = ip + frames.bytes[i]!;
  if (!walkExtensions(ring.view, ip, end, walk) || !mayAnswerWithError6(ring.view, ip, end, walk)) return;
  if (!mayAsk(context, i, type === Icmpv6Type.PacketTooBig)) return;
  const to = ring.reserve(ERROR_ROOM);
  if (to < 0) return;
  const header = linkHeader(context, i, to);
  const length = writeIcmpv6Error(ring.view, to + header, type, code, rest, ring.view, ip, frames.bytes[i]!);
  context.answers.push(to, header + length);
}

/** Path MTU discovery is never limited, in Linux as here: without it the connection hangs. */
function mayAsk(context: Context, i: number, tooBig: boolean): boolean {
  const { counters, limiter, settings, frames, ring } = context;
  const toGroup = ethernet.isGroupMac(ethernet.macHi(ring.view, frames.burst.at[i]!));
  if (toGroup) return false;
  const each = settings[Setting.icmp_ratelimit]! >> (is4(context, i) ? 0 : ROUTED6_SHIFT);
  if (tooBig || limiter.allows(settings, frames.client[i]!, each, context.now)) {
    counters.shard[ShardCount.Errors]!++;
    return true;
  }
  counters.shard[ShardCount.RateLimited]!++;
  return false;
}

/** Copies the frame's link header (VLAN tags included) to `to` with its MACs exchanged; returns its length. */
function linkHeader(context: Context, i: number, to: number): number {
  const { frames, ring, directory } = context;
  const at = frames.burst.at[i]!;
  const length = frames.ip[i]! - at;
  ring.bytes.copyWithin(to, at, at + length);
  ethernet.writeMac(
    ring.view,
    to,
    ethernet.macHi(ring.view, at + ethernet.ETH_SOURCE),
    ethernet.macLo(ring.view, at + ethernet.ETH_SOURCE),
  );
  ethernet.writeMac(ring.view, to + ethernet.ETH_SOURCE, directory.station.macHi, directory.station.macLo);
  return length;
}
