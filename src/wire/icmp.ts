/** ICMP (RFC 792, RFC 1812 §4.3). `at` is the header's first byte; the caller has checked ICMP_HEADER bytes. */
export const ICMP_TYPE = 0;
export const ICMP_CODE = 1;
export const ICMP_CHECKSUM = 2;
/** The second word, which each type uses in its own way. */
export const ICMP_REST = 4;
/** Echo: identifier and sequence number. Fragmentation needed: unused and next-hop MTU (RFC 1191 §4). */
export const ICMP_IDENTIFIER = 4;
export const ICMP_SEQUENCE = 6;
export const ICMP_MTU = 6;
export const ICMP_HEADER = 8;
/** In an error message: where the header of the packet in error begins. */
export const ICMP_EMBEDDED = 8;

export const IcmpType = {
  EchoReply: 0,
  DestinationUnreachable: 3,
  SourceQuench: 4,
  Redirect: 5,
  EchoRequest: 8,
  TimeExceeded: 11,
  ParameterProblem: 12,
} as const;
export type IcmpType = (typeof IcmpType)[keyof typeof IcmpType];

/** Codes of DestinationUnreachable. */
export const UnreachableCode = {
  Network: 0,
  Host: 1,
  Protocol: 2,
  Port: 3,
  FragmentationNeeded: 4,
  AdministrativelyProhibited: 13,
} as const;

/** Codes of TimeExceeded. */
export const TimeExceededCode = { InTransit: 0, Reassembly: 1 } as const;

export function type(frame: DataView, at: number): number {
  return frame.getUint8(at + ICMP_TYPE);
}

export function code(frame: DataView, at: number): number {
  return frame.getUint8(at + ICMP_CODE);
}

/** The second word whole, u32. */
export function rest(frame: DataView, at: number): number {
  return frame.getUint32(at + ICMP_REST);
}

export function identifier(frame: DataView, at: number): number {
  return frame.getUint16(at + ICMP_IDENTIFIER);
}

export function sequence(frame: DataView, at: number): number {
  return frame.getUint16(at + ICMP_SEQUENCE);
}

/** Next-hop MTU of a "fragmentation needed" (RFC 1191 §4); 0 from routers older than that. */
export function mtu(frame: DataView, at: number): number {
  return frame.getUint16(at + ICMP_MTU);
}

/** The types that quote the packet they are about; IPVS relates these to a flow, all others are not errors. */
export function isError(icmpType: number): boolean {
  return (
    icmpType === IcmpType.DestinationUnreachable ||
    icmpType === IcmpType.SourceQuench ||
    icmpType === IcmpType.Redirect ||
    icmpType === IcmpType.TimeExceeded ||
    icmpType === IcmpType.ParameterProblem
  );
}
