/** ICMPv6 (RFC 4443). `at` is the header's first byte; the caller has checked ICMPV6_HEADER bytes. */
export const ICMPV6_TYPE = 0;
export const ICMPV6_CODE = 1;
export const ICMPV6_CHECKSUM = 2;
/** The second word; in PacketTooBig the MTU, 32 bits (RFC 4443 §3.2). */
export const ICMPV6_REST = 4;
export const ICMPV6_MTU = 4;
export const ICMPV6_HEADER = 8;
/** In an error message: where the header of the packet in error begins. */
export const ICMPV6_EMBEDDED = 8;

export const Icmpv6Type = {
  DestinationUnreachable: 1,
  PacketTooBig: 2,
  TimeExceeded: 3,
  ParameterProblem: 4,
  EchoRequest: 128,
  EchoReply: 129,
  RouterSolicitation: 133,
  RouterAdvertisement: 134,
  NeighbourSolicitation: 135,
  NeighbourAdvertisement: 136,
} as const;
export type Icmpv6Type = (typeof Icmpv6Type)[keyof typeof Icmpv6Type];

/** Codes of DestinationUnreachable. */
export const Unreachable6Code = { NoRoute: 0, Prohibited: 1, Address: 3, Port: 4 } as const;

export function type(frame: DataView, at: number): number {
  return frame.getUint8(at + ICMPV6_TYPE);
}

export function code(frame: DataView, at: number): number {
  return frame.getUint8(at + ICMPV6_CODE);
}

export function mtu(frame: DataView, at: number): number {
  return frame.getUint32(at + ICMPV6_MTU);
}

/** RFC 4443 §2.1: error messages are those with the type's high bit clear. */
export function isError(icmpType: number): boolean {
  return icmpType < 128;
}
