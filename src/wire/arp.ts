/**
 * ARP over Ethernet for IPv4 (RFC 826; probes and announcements RFC 5227). `at` is the ARP header's first byte;
 * the caller has checked that ARP_PACKET bytes are there.
 */
export const ARP_HARDWARE_TYPE = 0;
export const ARP_PROTOCOL_TYPE = 2;
export const ARP_HARDWARE_LENGTH = 4;
export const ARP_PROTOCOL_LENGTH = 5;
export const ARP_OPERATION = 6;
export const ARP_SENDER_MAC = 8;
export const ARP_SENDER_IP = 14;
export const ARP_TARGET_MAC = 18;
export const ARP_TARGET_IP = 24;
export const ARP_PACKET = 28;

export const ArpOperation = { Request: 1, Reply: 2 } as const;
export type ArpOperation = (typeof ArpOperation)[keyof typeof ArpOperation];

/** The four bytes type-type of Ethernet and IPv4, and the two lengths 6 and 4, as they stand on the wire. */
const ETHERNET_IPV4 = 0x0001_0800;
const LENGTHS = 0x0604;

/** True when this is ARP between Ethernet and IPv4; every other accessor relies on it. */
export function isEthernetIpv4(frame: DataView, at: number): boolean {
  return (
    frame.getUint32(at + ARP_HARDWARE_TYPE) === ETHERNET_IPV4 &&
    frame.getUint16(at + ARP_HARDWARE_LENGTH) === LENGTHS
  );
}

export function operation(frame: DataView, at: number): number {
  return frame.getUint16(at + ARP_OPERATION);
}

export function senderMacHi(frame: DataView, at: number): number {
  return frame.getUint16(at + ARP_SENDER_MAC);
}

export function senderMacLo(frame: DataView, at: number): number {
  return frame.getUint32(at + ARP_SENDER_MAC + 2);
}

/** u32; 0 in a probe (RFC 5227 §1.1). */
export function senderIp(frame: DataView, at: number): number {
  return frame.getUint32(at + ARP_SENDER_IP);
}

export function targetMacHi(frame: DataView, at: number): number {
  return frame.getUint16(at + ARP_TARGET_MAC);
}

export function targetMacLo(frame: DataView, at: number): number {
  return frame.getUint32(at + ARP_TARGET_MAC + 2);
}

export function targetIp(frame: DataView, at: number): number {
  return frame.getUint32(at + ARP_TARGET_IP);
}
