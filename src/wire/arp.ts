/**
 * ARP over Ethernet for IPv4 (RFC 826; probes and announcements RFC 5227). `at` is the ARP header's first byte;
 * the caller has checked that ARP_PACKET bytes are there.
 */
import type { Mac } from "./address.ts";
import { ETH_DESTINATION, ETH_HEADER, ETH_SOURCE, EtherType, writeEtherType, writeMac } from "./ethernet.ts";

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

/** Writes ARP_PACKET bytes of Ethernet/IPv4 ARP. */
export function writePacket(
  frame: DataView,
  at: number,
  operation: number,
  senderHi: number,
  senderLo: number,
  senderIp: number,
  targetHi: number,
  targetLo: number,
  targetIp: number,
): void {
  frame.setUint32(at + ARP_HARDWARE_TYPE, ETHERNET_IPV4);
  frame.setUint16(at + ARP_HARDWARE_LENGTH, LENGTHS);
  frame.setUint16(at + ARP_OPERATION, operation);
  writeMac(frame, at + ARP_SENDER_MAC, senderHi, senderLo);
  frame.setUint32(at + ARP_SENDER_IP, senderIp);
  writeMac(frame, at + ARP_TARGET_MAC, targetHi, targetLo);
  frame.setUint32(at + ARP_TARGET_IP, targetIp);
}

/** Ethernet header and ARP packet, without padding: the NIC pads. */
export const ARP_FRAME = ETH_HEADER + ARP_PACKET;

function writeEthernet(frame: DataView, at: number, toHi: number, toLo: number, own: Mac): void {
  writeMac(frame, at + ETH_DESTINATION, toHi, toLo);
  writeMac(frame, at + ETH_SOURCE, own.hi, own.lo);
  writeEtherType(frame, at, EtherType.Arp);
}

/**
 * "Who has `targetIp`? Tell `ownIp`": a whole frame of ARP_FRAME bytes at `at`. Broadcast, or to `to` when a
 * neighbour is only asked again (RFC 1122 §2.3.2.1 unicast poll). `ownIp` 0 makes it a probe (RFC 5227 §2.1.1).
 */
export function writeRequest(
  frame: DataView,
  at: number,
  own: Mac,
  ownIp: number,
  targetIp: number,
  to: Mac = { hi: 0xffff, lo: 0xffffffff },
): number {
  writeEthernet(frame, at, to.hi, to.lo, own);
  writePacket(frame, at + ETH_HEADER, ArpOperation.Request, own.hi, own.lo, ownIp, 0, 0, targetIp);
  return ARP_FRAME;
}

/** "`ownIp` is at `own`", to the asker: a whole frame of ARP_FRAME bytes at `at`. */
export function writeReply(
  frame: DataView,
  at: number,
  own: Mac,
  ownIp: number,
  asker: Mac,
  askerIp: number,
): number {
  writeEthernet(frame, at, asker.hi, asker.lo, own);
  writePacket(frame, at + ETH_HEADER, ArpOperation.Reply, own.hi, own.lo, ownIp, asker.hi, asker.lo, askerIp);
  return ARP_FRAME;
}

/**
 * "`ip` is at `own` now", to everybody: an ARP announcement, which RFC 5227 §2.3 makes a request because some
 * hosts ignore gratuitous replies. A whole frame of ARP_FRAME bytes at `at`.
 */
export function writeGratuitous(frame: DataView, at: number, own: Mac, ip: number): number {
  return writeRequest(frame, at, own, ip, ip);
}
