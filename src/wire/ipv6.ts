/**
 * IPv6 (RFC 8200). `at` is the fixed header's first byte; the caller has checked that IPV6_HEADER bytes are there.
 * An address is four u32 words, word 0 first on the wire.
 */
export const IPV6_VERSION_CLASS_FLOW = 0;
export const IPV6_PAYLOAD_LENGTH = 4;
export const IPV6_NEXT_HEADER = 6;
export const IPV6_HOP_LIMIT = 7;
export const IPV6_SOURCE = 8;
export const IPV6_DESTINATION = 24;
export const IPV6_HEADER = 40;

/** Next-header numbers that name an extension header. */
export const Extension = {
  HopByHop: 0,
  Routing: 43,
  Fragment: 44,
  Authentication: 51,
  NoNext: 59,
  Destination: 60,
} as const;

export const IPV6_FRAGMENT_HEADER = 8;
export const FRAGMENT_OFFSET_FLAGS = 2;
export const FRAGMENT_IDENTIFICATION = 4;

export function version(frame: DataView, at: number): number {
  return frame.getUint8(at) >>> 4;
}

export function trafficClass(frame: DataView, at: number): number {
  return (frame.getUint16(at) >>> 4) & 0xff;
}

export function flowLabel(frame: DataView, at: number): number {
  return frame.getUint32(at) & 0xfffff;
}

/** Bytes after the fixed header, extension headers included. 0 in super-frames above 64 KiB. */
export function payloadLength(frame: DataView, at: number): number {
  return frame.getUint16(at + IPV6_PAYLOAD_LENGTH);
}

export function nextHeader(frame: DataView, at: number): number {
  return frame.getUint8(at + IPV6_NEXT_HEADER);
}

export function hopLimit(frame: DataView, at: number): number {
  return frame.getUint8(at + IPV6_HOP_LIMIT);
}

/** No checksum covers the hop limit: writing it is all there is to do. */
export function writeHopLimit(frame: DataView, at: number, value: number): void {
  frame.setUint8(at + IPV6_HOP_LIMIT, value);
}

/** Word 0…3 of the source address. */
export function source(frame: DataView, at: number, word: number): number {
  return frame.getUint32(at + IPV6_SOURCE + (word << 2));
}

/** Word 0…3 of the destination address. */
export function destination(frame: DataView, at: number, word: number): number {
  return frame.getUint32(at + IPV6_DESTINATION + (word << 2));
}

/** Writes the first eight bytes of the fixed header; the two addresses after them are the caller's. */
export function writeStart(
  frame: DataView,
  at: number,
  trafficClassByte: number,
  label: number,
  payload: number,
  next: number,
  hops: number,
): void {
  frame.setUint32(at + IPV6_VERSION_CLASS_FLOW, 0x60000000 + trafficClassByte * 0x100000 + label);
  frame.setUint16(at + IPV6_PAYLOAD_LENGTH, payload);
  frame.setUint8(at + IPV6_NEXT_HEADER, next);
  frame.setUint8(at + IPV6_HOP_LIMIT, hops);
}

/** What walkExtensions found. The caller makes one and gives it again for every frame: nothing is allocated. */
export interface Walk {
  /** The transport protocol, or the next-header number at which the walk had to stop. */
  protocol: number;
  /** Where that header begins; beyond `end` never. */
  at: number;
  /** Where the fragment header begins, -1 without one. */
  fragmentAt: number;
  /** Fragment offset in bytes, 0 without a fragment header. */
  fragmentOffset: number;
  moreFragments: boolean;
  /** The fragment header's identification, 0 without one. */
  identification: number;
}

export function createWalk(): Walk {
  return { protocol: 0, at: 0, fragmentAt: -1, fragmentOffset: 0, moreFragments: false, identification: 0 };
}

/** Those that Linux looks behind (ipv6_ext_hdr, net/ipv6/exthdrs_core.c): no mobility, HIP or Shim6 header. */
function isExtension(header: number): boolean {
  return (
    header === Extension.HopByHop ||
    header === Extension.Routing ||
    header === Extension.Fragment ||
    header === Extension.Authentication ||
    header === Extension.Destination
  );
}

/** Bytes of the extension header at `at`: its second byte counts eights, except AH's, which counts fours (RFC 4302 §2.2). */
export function extensionLength(frame: DataView, header: number, at: number): number {
  if (header === Extension.Fragment) return IPV6_FRAGMENT_HEADER;
  const units = frame.getUint8(at + 1);
  return header === Extension.Authentication ? (units + 2) << 2 : (units + 1) << 3;
}

function readFragment(frame: DataView, at: number, walk: Walk): void {
  const bits = frame.getUint16(at + FRAGMENT_OFFSET_FLAGS);
  walk.fragmentAt = at;
  walk.fragmentOffset = bits & 0xfff8;
  walk.moreFragments = (bits & 1) !== 0;
  walk.identification = frame.getUint32(at + FRAGMENT_IDENTIFICATION);
}

/**
 * Follows the extension headers from the fixed header at `at` to the transport header; `end` is the first byte
 * after the packet. False when a header claims more than there is. In a non-first fragment the walk stops behind
 * the fragment header: what follows is data, not a header (RFC 8200 §4.5).
 */
export function walkExtensions(frame: DataView, at: number, end: number, walk: Walk): boolean {
  walk.fragmentAt = -1;
  walk.fragmentOffset = 0;
  walk.moreFragments = false;
  walk.identification = 0;
  let header = nextHeader(frame, at);
  let position = at + IPV6_HEADER;
  while (isExtension(header) && walk.fragmentOffset === 0) {
    if (position + 8 > end) return false; // every extension header has at least eight bytes
    const length = extensionLength(frame, header, position);
    if (header === Extension.Fragment) readFragment(frame, position, walk);
    header = frame.getUint8(position);
    position += length;
  }
  walk.protocol = header;
  walk.at = position;
  return position <= end;
}
