/**
 * The ICMPv6 messages that a director sends in the VIP's name: errors about a packet (RFC 4443 §3) and the echo
 * reply. Whole IPv6 packets; the Ethernet header is the caller's.
 */
import { finish, pseudoHeaderSum6, sum, update } from "./checksum.ts";
import {
  ICMPV6_CHECKSUM,
  ICMPV6_CODE,
  ICMPV6_HEADER,
  ICMPV6_REST,
  ICMPV6_TYPE,
  Icmpv6Type,
  isError,
} from "./icmpv6.ts";
import { Protocol } from "./ipv4.ts";
import * as ipv6 from "./ipv6.ts";

/** RFC 4443 §3.1: an error quotes as much as fits into the minimum IPv6 MTU. */
export const ICMPV6_ERROR_MAXIMUM = 1280;

const HOP_LIMIT = 64;

/**
 * Whether an error may be sent about the IPv6 packet at `at` whose walk (ipv6.walkExtensions) succeeded: never
 * about an ICMPv6 error, a later fragment, a packet to a group (but for PacketTooBig, which the caller decides)
 * or one whose source is not one single host (RFC 4443 §2.4 e).
 */
export function mayAnswerWithError6(packet: DataView, at: number, end: number, walk: ipv6.Walk): boolean {
  if (walk.fragmentOffset !== 0) return false;
  if (ipv6.destination(packet, at, 0) >>> 24 === 0xff || ipv6.source(packet, at, 0) >>> 24 === 0xff)
    return false;
  const upper = ipv6.source(packet, at, 0) | ipv6.source(packet, at, 1) | ipv6.source(packet, at, 2);
  if (upper === 0 && ipv6.source(packet, at, 3) <= 1) return false; // unspecified and loopback
  if (walk.protocol !== Protocol.Icmpv6) return true;
  return walk.at < end && !isError(packet.getUint8(walk.at + ICMPV6_TYPE));
}

function copyWords(to: DataView, toAt: number, from: DataView, fromAt: number, words: number): void {
  for (let i = 0; i < words * 4; i += 4) to.setUint32(toAt + i, from.getUint32(fromAt + i));
}

/**
 * Writes the ICMPv6 error `type`/`code` about the IPv6 packet of `length` bytes at `original`[`originalAt`], from
 * that packet's destination (the VIP) to its source. `rest` is the header's second word: the MTU for PacketTooBig,
 * else 0. Writes at most ICMPV6_ERROR_MAXIMUM bytes at `out`[`at`], IPv6 header first, and returns how many.
 */
export function writeIcmpv6Error(
  out: DataView,
  at: number,
  type: number,
  code: number,
  rest: number,
  original: DataView,
  originalAt: number,
  length: number,
): number {
  const quoted = Math.min(length, ICMPV6_ERROR_MAXIMUM - ipv6.IPV6_HEADER - ICMPV6_HEADER);
  const payload = ICMPV6_HEADER + quoted;
  const icmpAt = at + ipv6.IPV6_HEADER;
  ipv6.writeStart(out, at, 0, 0, payload, Protocol.Icmpv6, HOP_LIMIT);
  copyWords(out, at + ipv6.IPV6_SOURCE, original, originalAt + ipv6.IPV6_DESTINATION, 4);
  copyWords(out, at + ipv6.IPV6_DESTINATION, original, originalAt + ipv6.IPV6_SOURCE, 4);
  out.setUint8(icmpAt + ICMPV6_TYPE, type);
  out.setUint8(icmpAt + ICMPV6_CODE, code);
  out.setUint16(icmpAt + ICMPV6_CHECKSUM, 0);
  out.setUint32(icmpAt + ICMPV6_REST, rest);
  copyWords(out, icmpAt + ICMPV6_HEADER, original, originalAt, quoted >>> 2);
  for (let i = quoted & ~3; i < quoted; i++)
    out.setUint8(icmpAt + ICMPV6_HEADER + i, original.getUint8(originalAt + i));
  const pseudo = pseudoHeaderSum6(out, at + ipv6.IPV6_SOURCE, Protocol.Icmpv6, payload);
  out.setUint16(icmpAt + ICMPV6_CHECKSUM, finish(sum(out, icmpAt, payload, pseudo)));
  return ipv6.IPV6_HEADER + payload;
}

/**
 * Turns the echo request whose IPv6 header is at `at` into its reply, in place (RFC 4443 §4.2). The caller has
 * checked that it is a whole echo request without extension headers, sent to one single host.
 */
export function makeEchoReply6(packet: DataView, at: number): void {
  turnRound(packet, at);
  becomeReply(packet, at + ipv6.IPV6_HEADER);
}

/**
 * The same for one piece of an echo request whose fragment header stands behind the IPv6 header: it keeps its place and
 * its identification, and the first becomes a reply.
 */
export function makeEchoReplyPiece6(packet: DataView, at: number): void {
  turnRound(packet, at);
  const fragment = at + ipv6.IPV6_HEADER;
  const offset = packet.getUint16(fragment + ipv6.FRAGMENT_OFFSET_FLAGS) & ~7;
  if (offset === 0) becomeReply(packet, fragment + ipv6.IPV6_FRAGMENT_HEADER);
}

/** Swapping the addresses leaves the pseudo-header's sum as it was. */
function turnRound(packet: DataView, at: number): void {
  for (let i = 0; i < 16; i += 4) {
    const source = packet.getUint32(at + ipv6.IPV6_SOURCE + i);
    packet.setUint32(at + ipv6.IPV6_SOURCE + i, packet.getUint32(at + ipv6.IPV6_DESTINATION + i));
    packet.setUint32(at + ipv6.IPV6_DESTINATION + i, source);
  }
  ipv6.writeHopLimit(packet, at, HOP_LIMIT);
}

function becomeReply(packet: DataView, at: number): void {
  const before = packet.getUint16(at + ICMPV6_TYPE);
  packet.setUint8(at + ICMPV6_TYPE, Icmpv6Type.EchoReply);
  const after = packet.getUint16(at + ICMPV6_TYPE);
  const field = packet.getUint16(at + ICMPV6_CHECKSUM);
  packet.setUint16(at + ICMPV6_CHECKSUM, update(field, before, after));
}
