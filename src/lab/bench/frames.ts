/**
 * The frames of a bench: TCP to a virtual service, from clients of 28,000 ports each, numbered in the payload so that
 * lost, doubled and overtaken ones are told apart at the other end (sink.ts).
 */
import { parseMac } from "../../wire/address.ts";
import { DIRECTOR_MAC, PORT, VIP } from "./stage.ts";

export const SYN = 0x02;
export const ACK = 0x10;

export const CHECKSUM = 24;
export const SOURCE = 26;
export const SOURCE_PORT = 34;
/** Right behind the TCP header: 16 bits that say "ours", 32 bits of number, both in the machine's order. */
export const MAGIC_AT = 54;
export const NUMBER_AT = 56;
export const MAGIC = 0xd1e5;
const IP = 14;
const IP_END = 34;
export const SMALLEST = 60;

export const CLIENT_PORTS = 28_000;
export const FIRST_CLIENT = 0x0b00_0001;
export const FIRST_PORT = 32_768;

/** From one frame's flow to the next: a prime, so that neighbours in time are no neighbours in the table. */
export function stepFor(flows: number): number {
  return flows > 7919 ? 7919 : 1;
}

/** A frame of `size` bytes, whole words of it, without flow and number. */
export function template(size: number, flags: number): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(size / 4) * 4);
  const view = new DataView(bytes.buffer);
  const mac = parseMac(DIRECTOR_MAC)!;
  view.setUint16(0, mac.hi);
  view.setUint32(2, mac.lo);
  view.setUint16(6, 0x0200); // the router's
  view.setUint32(8, 0xfe);
  view.setUint16(12, 0x0800);
  view.setUint16(IP, 0x4500);
  view.setUint16(IP + 2, size - IP);
  view.setUint16(IP + 6, 0x4000);
  view.setUint16(IP + 8, (64 << 8) | 6);
  view.setUint32(30, VIP);
  view.setUint16(36, PORT);
  view.setUint8(46, 5 << 4);
  view.setUint8(47, flags);
  view.setUint16(48, 0xffff);
  view.setUint16(MAGIC_AT, MAGIC, true);
  return bytes;
}

/** Makes the template at `at` the frame of one flow, with the number `number`. */
export function fillIn(view: DataView, at: number, flow: number, number: number): void {
  view.setUint32(at + SOURCE, FIRST_CLIENT + Math.floor(flow / CLIENT_PORTS));
  view.setUint16(at + SOURCE_PORT, FIRST_PORT + (flow % CLIENT_PORTS));
  view.setUint32(at + NUMBER_AT, number, true);
  view.setUint16(at + CHECKSUM, 0);
  let sum = 0;
  for (let word = IP; word < IP_END; word += 2) sum += view.getUint16(at + word);
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);
  view.setUint16(at + CHECKSUM, ~sum & 0xffff);
}
