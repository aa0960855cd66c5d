/**
 * The ICMP messages that a director sends in the VIP's name: errors about a packet (RFC 792, RFC 1812 §4.3.2) and
 * the echo reply. Written as Linux writes them, so that clients see no difference to kernel IPVS. Whole IPv4
 * packets; the Ethernet header is the caller's.
 */
import { checksum, update } from "./checksum.ts";
import { ICMP_CHECKSUM, ICMP_CODE, ICMP_HEADER, ICMP_REST, ICMP_TYPE, IcmpType, isError } from "./icmp.ts";
import * as ipv4 from "./ipv4.ts";

/** RFC 1812 §4.3.2.3: an error quotes as much as fits into 576 bytes, its own headers included. */
export const ICMP_ERROR_MAXIMUM = 576;

const TIME_TO_LIVE = 64;

/** Precedence "internetwork control" for errors, the asker's type of service kept (RFC 1812 §4.3.2.5). */
function errorTos(original: number): number {
  return (original & 0x1e) | 0xc0;
}

/**
 * Whether an error may be sent about the IPv4 packet at `at`, `end` being where its bytes end: never about an
 * ICMP error, a later fragment, or a packet whose source is not one single host (RFC 1122 §3.2.2, RFC 1812
 * §4.3.2.7). What the link layer knows (group MAC) the caller has to check.
 */
export function mayAnswerWithError(packet: DataView, at: number, end: number): boolean {
  if (ipv4.fragmentOffset(packet, at) !== 0) return false;
  const source = ipv4.source(packet, at);
  const network = source >>> 24;
  // 0/8 is "this host", 127/8 loopback, 224/4 and above groups, reserved and broadcast.
  if (network === 0 || network === 127 || network >= 224) return false;
  if (ipv4.destination(packet, at) >>> 28 === 14) return false; // sent to a group
  if (ipv4.protocol(packet, at) !== ipv4.Protocol.Icmp) return true;
  const icmpAt = at + ipv4.headerLength(packet, at);
  return icmpAt < end && !isError(packet.getUint8(icmpAt + ICMP_TYPE));
}

function copyBytes(to: DataView, toAt: number, from: DataView, fromAt: number, length: number): void {
  const words = length & ~3;
  for (let i = 0; i < words; i += 4) to.setUint32(toAt + i, from.getUint32(fromAt + i));
  for (let i = words; i < length; i++) to.setUint8(toAt + i, from.getUint8(fromAt + i));
}

/**
 * Writes the ICMP error `type`/`code` about the IPv4 packet of `length` bytes at `original`[`originalAt`], from
 * `source` (the VIP) to that packet's source. `rest` is the header's second word: the next-hop MTU for
 * "fragmentation needed", else 0. Writes at most ICMP_ERROR_MAXIMUM bytes at `out`[`at`], IPv4 header first, and
 * returns how many. `out` and `original` may be one memory if the ranges do not overlap.
 */
export function writeIcmpError(
  out: DataView,
  at: number,
  type: number,
  code: number,
  rest: number,
  source: number,
  original: DataView,
  originalAt: number,
  length: number,
  identification: number = 0,
): number {
  const overhead = ipv4.IPV4_HEADER + ICMP_HEADER;
  const quoted = Math.min(length, ICMP_ERROR_MAXIMUM - overhead);
  const total = overhead + quoted;
  const icmpAt = at + ipv4.IPV4_HEADER;
  const tos = errorTos(ipv4.tos(original, originalAt));
  const client = ipv4.source(original, originalAt);
  ipv4.writeHeader(out, at, tos, total, identification, 0, TIME_TO_LIVE, ipv4.Protocol.Icmp, source, client);
  out.setUint8(icmpAt + ICMP_TYPE, type);
  out.setUint8(icmpAt + ICMP_CODE, code);
  out.setUint16(icmpAt + ICMP_CHECKSUM, 0);
  out.setUint32(icmpAt + ICMP_REST, rest);
  copyBytes(out, icmpAt + ICMP_HEADER, original, originalAt, quoted);
  out.setUint16(icmpAt + ICMP_CHECKSUM, checksum(out, icmpAt, ICMP_HEADER + quoted));
  return total;
}

/**
 * Turns the echo request whose IPv4 header is at `at` into its reply, in place: addresses swapped, TTL 64, no
 * fragmentation flags, type of service, identifier, sequence number and data kept (RFC 792). The caller has
 * checked that it is a whole, unfragmented echo request without IPv4 options.
 */
export function makeEchoReply(packet: DataView, at: number, identification: number = 0): void {
  turnRound(packet, at, identification, 0);
  becomeReply(packet, at + ipv4.IPV4_HEADER);
}

/**
 * The same for one piece of an echo request: it keeps its place in the datagram and the datagram's identification, so
 * that the other pieces, turned one by one, make up the reply. Only the first has the ICMP header, whose checksum runs
 * over all of them and moves by the type alone (RFC 1624 eqn 3).
 */
export function makeEchoReplyPiece(packet: DataView, at: number): void {
  const first = ipv4.fragmentOffset(packet, at) === 0;
  const place = ipv4.flagsAndOffset(packet, at) & (ipv4.IPV4_MORE_FRAGMENTS | ipv4.IPV4_OFFSET_MASK);
  turnRound(packet, at, ipv4.identification(packet, at), place);
  if (first) becomeReply(packet, at + ipv4.IPV4_HEADER);
}

/** A new header of the same packet from its destination to its source. */
function turnRound(packet: DataView, at: number, identification: number, flagsAndOffset: number): void {
  const source = ipv4.source(packet, at);
  const destination = ipv4.destination(packet, at);
  const tos = ipv4.tos(packet, at);
  const total = ipv4.totalLength(packet, at);
  const { Icmp } = ipv4.Protocol;
  ipv4.writeHeader(
    packet,
    at,
    tos,
    total,
    identification,
    flagsAndOffset,
    TIME_TO_LIVE,
    Icmp,
    destination,
    source,
  );
}

function becomeReply(packet: DataView, at: number): void {
  const before = packet.getUint16(at + ICMP_TYPE); // type and code are one checksum word
  packet.setUint8(at + ICMP_TYPE, IcmpType.EchoReply);
  const after = packet.getUint16(at + ICMP_TYPE);
  packet.setUint16(at + ICMP_CHECKSUM, update(packet.getUint16(at + ICMP_CHECKSUM), before, after));
}
