/**
 * Ethernet II (IEEE 802.3 clause 3.2.6 "Length/Type"). A MAC is two numbers, its first 16 and its last 32 bits,
 * so that rewriting one is two stores. `at` is the frame's first byte; the caller has checked that ETH_HEADER
 * bytes are there.
 */
export const ETH_DESTINATION = 0;
export const ETH_SOURCE = 6;
export const ETH_TYPE = 12;
export const ETH_HEADER = 14;

/** The smallest frame a wire carries, without FCS; shorter ones are padded by the sender's NIC. */
export const ETH_MINIMUM = 60;

export const EtherType = {
  Ipv4: 0x0800,
  Arp: 0x0806,
  Vlan: 0x8100,
  QinQ: 0x88a8,
  Ipv6: 0x86dd,
} as const;
export type EtherType = (typeof EtherType)[keyof typeof EtherType];

export function etherType(frame: DataView, at: number): number {
  return frame.getUint16(at + ETH_TYPE);
}

export function writeEtherType(frame: DataView, at: number, type: number): void {
  frame.setUint16(at + ETH_TYPE, type);
}

/** First 16 bits of the MAC whose first byte is at `at` (frame start + ETH_DESTINATION or ETH_SOURCE). */
export function macHi(frame: DataView, at: number): number {
  return frame.getUint16(at);
}

/** Last 32 bits of the MAC whose first byte is at `at`, unsigned. */
export function macLo(frame: DataView, at: number): number {
  return frame.getUint32(at + 2);
}

/** Writes a MAC whose first byte is at `at`. */
export function writeMac(frame: DataView, at: number, hi: number, lo: number): void {
  frame.setUint16(at, hi);
  frame.setUint32(at + 2, lo);
}

/** The group bit: true for multicast and broadcast, the first bit on the wire (IEEE 802 §8.2.2). */
export function isGroupMac(hi: number): boolean {
  return (hi & 0x0100) !== 0;
}

export function isBroadcastMac(hi: number, lo: number): boolean {
  return hi === 0xffff && lo === 0xffffffff;
}
