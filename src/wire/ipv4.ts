/**
 * IPv4 (RFC 791). `at` is the header's first byte. The caller has checked that IPV4_HEADER bytes are there, and
 * headerLength() of them before it looks at options. Addresses are u32, most significant byte first.
 */
import { checksum, update } from "./checksum.ts";

export const IPV4_VERSION_LENGTH = 0;
export const IPV4_TOS = 1;
export const IPV4_TOTAL_LENGTH = 2;
export const IPV4_IDENTIFICATION = 4;
export const IPV4_FLAGS_OFFSET = 6;
export const IPV4_TTL = 8;
export const IPV4_PROTOCOL = 9;
export const IPV4_CHECKSUM = 10;
export const IPV4_SOURCE = 12;
export const IPV4_DESTINATION = 16;
/** The header without options. */
export const IPV4_HEADER = 20;

export const IPV4_DONT_FRAGMENT = 0x4000;
export const IPV4_MORE_FRAGMENTS = 0x2000;
export const IPV4_OFFSET_MASK = 0x1fff;

/** IANA protocol numbers; the same register serves IPv6's next header. */
export const Protocol = {
  Ip: 0,
  Icmp: 1,
  Tcp: 6,
  Udp: 17,
  Icmpv6: 58,
  Sctp: 132,
} as const;
export type Protocol = (typeof Protocol)[keyof typeof Protocol];

/** The header's first four bytes in one read: the version, the header's length and the packet's. */
export function firstWord(view: DataView, ip: number): number {
  return view.getInt32(ip);
}

export const versionOf = (first: number): number => first >>> 28;
export const headerLengthOf = (first: number): number => (first >>> 22) & 0x3c;
export const totalLengthOf = (first: number): number => first & 0xffff;

export function version(frame: DataView, at: number): number {
  return frame.getUint8(at + IPV4_VERSION_LENGTH) >>> 4;
}

/** In bytes, 0…60; below IPV4_HEADER the header is malformed. */
export function headerLength(frame: DataView, at: number): number {
  return (frame.getUint8(at + IPV4_VERSION_LENGTH) & 0x0f) << 2;
}

export function tos(frame: DataView, at: number): number {
  return frame.getUint8(at + IPV4_TOS);
}

/** Bytes of header and payload. 0 in super-frames above 64 KiB. */
export function totalLength(frame: DataView, at: number): number {
  return frame.getUint16(at + IPV4_TOTAL_LENGTH);
}

export function identification(frame: DataView, at: number): number {
  return frame.getUint16(at + IPV4_IDENTIFICATION);
}

/** The raw 16 bits: reserved, DF, MF, offset in units of eight bytes. */
export function flagsAndOffset(frame: DataView, at: number): number {
  return frame.getUint16(at + IPV4_FLAGS_OFFSET);
}

export function dontFragment(frame: DataView, at: number): boolean {
  return (frame.getUint16(at + IPV4_FLAGS_OFFSET) & IPV4_DONT_FRAGMENT) !== 0;
}

export function moreFragments(frame: DataView, at: number): boolean {
  return (frame.getUint16(at + IPV4_FLAGS_OFFSET) & IPV4_MORE_FRAGMENTS) !== 0;
}

/** Where in the datagram this fragment's payload belongs, in bytes. */
export function fragmentOffset(frame: DataView, at: number): number {
  return (frame.getUint16(at + IPV4_FLAGS_OFFSET) & IPV4_OFFSET_MASK) << 3;
}

/** True for the first, any later and the last fragment; false for a whole datagram. */
export function isFragment(frame: DataView, at: number): boolean {
  return (frame.getUint16(at + IPV4_FLAGS_OFFSET) & (IPV4_MORE_FRAGMENTS | IPV4_OFFSET_MASK)) !== 0;
}

/** Option types of RFC 791 §3.1 that name routers to pass, copied flag and class included. */
const END_OF_OPTIONS = 0;
const NO_OPERATION = 1;
const LOOSE_SOURCE_ROUTE = 131;
const STRICT_SOURCE_ROUTE = 137;

/** Does the header carry a source route? Its options must lie within the frame; an overlong one ends the search. */
export function isSourceRouted(frame: DataView, at: number): boolean {
  const end = at + headerLength(frame, at);
  let option = at + IPV4_HEADER;
  while (option < end) {
    const type = frame.getUint8(option);
    if (type === LOOSE_SOURCE_ROUTE || type === STRICT_SOURCE_ROUTE) return true;
    if (type === END_OF_OPTIONS) return false;
    const length = type === NO_OPERATION ? 1 : option + 1 < end ? frame.getUint8(option + 1) : 0;
    if (length === 0) return false;
    option += length;
  }
  return false;
}

export function ttl(frame: DataView, at: number): number {
  return frame.getUint8(at + IPV4_TTL);
}

export function protocol(frame: DataView, at: number): number {
  return frame.getUint8(at + IPV4_PROTOCOL);
}

export function headerChecksum(frame: DataView, at: number): number {
  return frame.getUint16(at + IPV4_CHECKSUM);
}

export function source(frame: DataView, at: number): number {
  return frame.getUint32(at + IPV4_SOURCE);
}

export function destination(frame: DataView, at: number): number {
  return frame.getUint32(at + IPV4_DESTINATION);
}

/** Writes the TTL alone; the checksum is then wrong until written. See decrementTtl. */
export function writeTtl(frame: DataView, at: number, value: number): void {
  frame.setUint8(at + IPV4_TTL, value);
}

/** TTL - 1 with the checksum brought along (RFC 1624 eqn 3). The caller has made sure that the TTL is above 0. */
export function decrementTtl(frame: DataView, at: number): void {
  // The checksum runs over 16-bit words: TTL and protocol are one.
  const before = frame.getUint16(at + IPV4_TTL);
  const after = before - 0x0100;
  frame.setUint16(at + IPV4_TTL, after);
  frame.setUint16(at + IPV4_CHECKSUM, update(frame.getUint16(at + IPV4_CHECKSUM), before, after));
}

/** Writes a header without options, checksum included. `flagsAndOffset` as on the wire. */
export function writeHeader(
  frame: DataView,
  at: number,
  typeOfService: number,
  total: number,
  id: number,
  flagsOffset: number,
  timeToLive: number,
  proto: number,
  from: number,
  to: number,
): void {
  frame.setUint16(at, 0x4500 | typeOfService);
  frame.setUint16(at + IPV4_TOTAL_LENGTH, total);
  frame.setUint16(at + IPV4_IDENTIFICATION, id);
  frame.setUint16(at + IPV4_FLAGS_OFFSET, flagsOffset);
  frame.setUint16(at + IPV4_TTL, (timeToLive << 8) | proto);
  frame.setUint32(at + IPV4_SOURCE, from);
  frame.setUint32(at + IPV4_DESTINATION, to);
  writeChecksum(frame, at);
}

/** Writes the header checksum over the header as it stands, options included. */
export function writeChecksum(frame: DataView, at: number): void {
  frame.setUint16(at + IPV4_CHECKSUM, 0);
  frame.setUint16(at + IPV4_CHECKSUM, checksum(frame, at, headerLength(frame, at)));
}

export function checksumIsRight(frame: DataView, at: number): boolean {
  const length = headerLength(frame, at);
  if (length !== IPV4_HEADER) return checksum(frame, at, length) === 0;
  // Without options, as nearly always: ten words. A multiple of 0xffff, and it is not 0, folds to 0xffff at once.
  const first = frame.getUint16(at) + frame.getUint16(at + 2) + frame.getUint16(at + 4);
  const second = frame.getUint16(at + 6) + frame.getUint16(at + 8) + frame.getUint16(at + 10);
  const source = frame.getUint16(at + 12) + frame.getUint16(at + 14);
  const target = frame.getUint16(at + 16) + frame.getUint16(at + 18);
  const total = first + second + source + target;
  return (total >>> 16) + (total & 0xffff) === 0xffff;
}
