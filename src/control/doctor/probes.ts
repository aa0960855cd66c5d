/**
 * The frames that ask the link, and what their answers look like. Everything is asked from the director's own address
 * (DIP), so that a real server's answer comes back here although answers to clients do not.
 */
import type { Mac } from "../../wire/address.ts";
import { checksum, finish, pseudoHeaderSum, sum } from "../../wire/checksum.ts";
import { ETH_HEADER, ETH_SOURCE, EtherType, writeEtherType, writeMac } from "../../wire/ethernet.ts";
import * as icmp from "../../wire/icmp.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import * as tcp from "../../wire/tcp.ts";
import * as udp from "../../wire/udp.ts";
import { emit } from "../../wire/value/tcp.ts";

/** Where a probe goes and whence. Addresses are u32. */
export interface Way {
  readonly from: Mac;
  readonly to: Mac;
  readonly source: number;
  readonly destination: number;
}

/**
 * A client beyond every gateway: TEST-NET-1 (RFC 5737), which belongs to nobody. A real server's answer to it goes the
 * way that all its answers to clients go.
 */
export const FAR_CLIENT = 0xc000_0201;

const TTL = 64;

function packet(way: Way, protocol: number, payload: number, flags: number): DataView {
  const total = ipv4.IPV4_HEADER + payload;
  const frame = new DataView(new ArrayBuffer(ETH_HEADER + total));
  writeMac(frame, 0, way.to.hi, way.to.lo);
  writeMac(frame, ETH_SOURCE, way.from.hi, way.from.lo);
  writeEtherType(frame, 0, EtherType.Ipv4);
  ipv4.writeHeader(frame, ETH_HEADER, 0, total, 0, flags, TTL, protocol, way.source, way.destination);
  return frame;
}

const bytesOf = (frame: DataView): Uint8Array => new Uint8Array(frame.buffer);

/** Echo request whose IP packet is `total` bytes long, at least 28, and may not be cut into fragments. */
export function echoRequest(way: Way, identifier: number, sequence: number, total = 56): Uint8Array {
  const length = total - ipv4.IPV4_HEADER;
  const frame = packet(way, ipv4.Protocol.Icmp, length, ipv4.IPV4_DONT_FRAGMENT);
  const at = ETH_HEADER + ipv4.IPV4_HEADER;
  frame.setUint8(at + icmp.ICMP_TYPE, icmp.IcmpType.EchoRequest);
  frame.setUint16(at + icmp.ICMP_IDENTIFIER, identifier);
  frame.setUint16(at + icmp.ICMP_SEQUENCE, sequence);
  frame.setUint16(at + icmp.ICMP_CHECKSUM, checksum(frame, at, length));
  return bytesOf(frame);
}

/** A TCP segment without data: a SYN that asks, or the RST that takes the question back. */
export function tcpSegment(way: Way, from: number, to: number, flags: number, sequence: number): Uint8Array {
  const frame = packet(way, ipv4.Protocol.Tcp, tcp.TCP_HEADER, ipv4.IPV4_DONT_FRAGMENT);
  const at = ETH_HEADER + ipv4.IPV4_HEADER;
  emit(frame, at, {
    sourcePort: from,
    destinationPort: to,
    sequence,
    acknowledgement: 0,
    reserved: 0,
    flags,
    window: 1024,
    checksum: 0,
    urgent: 0,
    options: new Uint8Array(0),
  });
  const pseudo = pseudoHeaderSum(way.source, way.destination, ipv4.Protocol.Tcp, tcp.TCP_HEADER);
  frame.setUint16(at + tcp.TCP_CHECKSUM, finish(sum(frame, at, tcp.TCP_HEADER, pseudo)));
  return bytesOf(frame);
}

/** A datagram without data. */
export function emptyDatagram(way: Way, from: number, to: number): Uint8Array {
  const frame = packet(way, ipv4.Protocol.Udp, udp.UDP_HEADER, ipv4.IPV4_DONT_FRAGMENT);
  const at = ETH_HEADER + ipv4.IPV4_HEADER;
  frame.setUint16(at + udp.UDP_SOURCE_PORT, from);
  frame.setUint16(at + udp.UDP_DESTINATION_PORT, to);
  frame.setUint16(at + udp.UDP_LENGTH, udp.UDP_HEADER);
  const pseudo = pseudoHeaderSum(way.source, way.destination, ipv4.Protocol.Udp, udp.UDP_HEADER);
  frame.setUint16(at + udp.UDP_CHECKSUM, finish(sum(frame, at, udp.UDP_HEADER, pseudo)));
  return bytesOf(frame);
}

/** An answer to one of the above, reduced to what it says. */
export type Answer =
  | { readonly kind: "echo"; readonly identifier: number; readonly sequence: number; readonly cut: boolean }
  | { readonly kind: "open"; readonly port: number; readonly mss: number }
  | { readonly kind: "closed"; readonly port: number };

/** Reads what came: a frame of `end` bytes, IPv4 as its EtherType says. undefined when it answers nothing of ours. */
export function readAnswer(frame: DataView, end: number): Answer | undefined {
  const at = ETH_HEADER;
  if (end < at + ipv4.IPV4_HEADER) return undefined;
  const next = at + ipv4.headerLength(frame, at);
  if (ipv4.fragmentOffset(frame, at) > 0) return undefined;
  const protocol = ipv4.protocol(frame, at);
  if (protocol === ipv4.Protocol.Icmp && next + icmp.ICMP_HEADER <= end)
    return readIcmp(frame, next, end, ipv4.moreFragments(frame, at));
  if (protocol === ipv4.Protocol.Tcp && next + tcp.TCP_HEADER <= end) return readTcp(frame, next, end);
  return undefined;
}

function readIcmp(frame: DataView, at: number, end: number, cut: boolean): Answer | undefined {
  const type = icmp.type(frame, at);
  if (type === icmp.IcmpType.EchoReply) {
    return { kind: "echo", identifier: icmp.identifier(frame, at), sequence: icmp.sequence(frame, at), cut };
  }
  const inner = at + icmp.ICMP_EMBEDDED;
  const isPort =
    type === icmp.IcmpType.DestinationUnreachable && icmp.code(frame, at) === icmp.UnreachableCode.Port;
  if (!isPort || inner + ipv4.IPV4_HEADER > end) return undefined;
  const transport = inner + ipv4.headerLength(frame, inner);
  if (transport + 4 > end) return undefined;
  return { kind: "closed", port: udp.sourcePort(frame, transport) };
}

function readTcp(frame: DataView, at: number, end: number): Answer | undefined {
  const flags = tcp.flags(frame, at);
  const port = tcp.destinationPort(frame, at);
  if ((flags & tcp.TCP_FLAGS.RST) !== 0) return { kind: "closed", port };
  const both = tcp.TCP_FLAGS.SYN | tcp.TCP_FLAGS.ACK;
  if ((flags & both) !== both) return undefined;
  return { kind: "open", port, mss: maximumSegment(frame, at, end) };
}

const OPTION_END = 0;
const OPTION_NOTHING = 1;
const OPTION_MSS = 2;

/** The MSS option of a SYN (RFC 9293 §3.7.1); 0 when there is none. */
function maximumSegment(frame: DataView, at: number, end: number): number {
  const stop = Math.min(end, at + tcp.dataOffset(frame, at));
  for (let option = at + tcp.TCP_HEADER; option + 1 < stop; ) {
    const kind = frame.getUint8(option);
    if (kind === OPTION_END) return 0;
    const length = kind === OPTION_NOTHING ? 1 : frame.getUint8(option + 1);
    if (length === 0) return 0;
    if (kind === OPTION_MSS && length === 4 && option + 4 <= stop) return frame.getUint16(option + 2);
    option += length;
  }
  return 0;
}
