/** Stretches of frames through both sides: filled in, handed out, timed, and looked at afterwards. */
import { native } from "../../src/ring/native.ts";
import { OUR_MAC, type Pair, serverMac } from "./director.ts";
import { FLOW_WORDS, serviceAddress } from "./flows.ts";
import { SLOTS } from "./slots.ts";

export const FRAME_BYTES = 60;
const MACS = 12;
const CHECKSUM_AT = 24;
const PORTS_END = 38;
const FLAGS_AT = 47;

export const Flags = { Syn: 0x02, Ack: 0x10 } as const;

/** A TCP frame to our MAC, but for addresses, ports and the header's checksum. */
export function template(flags: number): Uint8Array {
  const bytes = new Uint8Array(FRAME_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, OUR_MAC.hi);
  view.setUint32(2, OUR_MAC.lo);
  view.setUint16(6, 0x0200); // the router's
  view.setUint32(8, 0xfe);
  view.setUint16(12, 0x0800);
  view.setUint16(14, 0x4500);
  view.setUint16(16, 40);
  view.setUint16(20, 0x4000);
  view.setUint16(22, (64 << 8) | 6);
  view.setUint8(46, 5 << 4);
  view.setUint8(FLAGS_AT, flags);
  return bytes;
}

export interface Traffic {
  readonly flows: Uint32Array;
  /** Flows by number, in the order their frames come. */
  readonly order: Uint32Array;
  readonly template: Uint8Array;
}

/** Puts the frames of order[from …] in the slots and offers them; returns how many. */
export function fill(pair: Pair, traffic: Traffic, from: number): number {
  const { ring, reference } = pair;
  const { flows, order } = traffic;
  const count = Math.min(SLOTS, order.length - from);
  reference.fill(ring.bytes, ring.at, count, flows, order, from, traffic.template, FRAME_BYTES);
  ring.length.fill(FRAME_BYTES, 0, count);
  ring.offer(count);
  return count;
}

/** CPU nanoseconds of this thread: what other programs on the machine take is not counted. */
export function cpuTime(): number {
  return native().threadCpu() * 1e6;
}

/** CPU nanoseconds our data path takes for the frames that were filled in. */
export function ours(pair: Pair): number {
  const { shard, now } = pair;
  const start = cpuTime();
  while (shard.turn(now) > 0);
  return cpuTime() - start;
}

/** CPU nanoseconds the reference takes for `count` frames. */
export function theirs(pair: Pair, count: number): number {
  const { reference, c, ring, now } = pair;
  const start = cpuTime();
  ring.sent = reference.run(c, ring.bytes, ring.at, ring.length, count, now);
  return cpuTime() - start;
}

export class WrongFrame extends Error {
  override readonly name = "WrongFrame";
}

/**
 * Holds every frame of the slots against what direct routing says: our MAC as source, a real server of the flow's
 * service as destination, and not one byte else changed. Returns the frames' bytes.
 */
export function inspect(pair: Pair, traffic: Traffic, from: number, count: number, side: string): Uint8Array {
  const { ring } = pair;
  const seen = new Uint8Array(count * FRAME_BYTES);
  if (ring.sent !== count) throw new WrongFrame(`${side} sent ${ring.sent} of ${count} frames`);
  for (let i = 0; i < count; i++) {
    const at = ring.at[i]!;
    const flow = traffic.order[from + i]! * FLOW_WORDS;
    if (!isDirected(pair, at, traffic.flows, flow)) {
      const mac = ring.bytes.subarray(at, at + MACS).toString();
      throw new WrongFrame(`${side} forwarded frame ${i} wrongly: its MACs are ${mac}`);
    }
    seen.set(ring.bytes.subarray(at, at + FRAME_BYTES), i * FRAME_BYTES);
    checkRest(seen, i * FRAME_BYTES, traffic.template, side);
  }
  return seen;
}

function isDirected(pair: Pair, at: number, flows: Uint32Array, flow: number): boolean {
  const { view } = pair.ring;
  const d = view.getUint32(at + 2) - serverMac(0).lo;
  return (
    view.getUint16(at) === serverMac(0).hi &&
    serviceAddress(Math.floor(d / pair.shape.destinations)) === flows[flow + 1] &&
    view.getUint16(at + 6) === OUR_MAC.hi &&
    view.getUint32(at + 8) === OUR_MAC.lo &&
    view.getUint32(at + 26) === flows[flow] &&
    view.getUint32(at + 34) === flows[flow + 2]
  );
}

/** Addresses, ports and the checksum are the flow's; all else must be the template's. */
function checkRest(seen: Uint8Array, at: number, expected: Uint8Array, side: string): void {
  for (let byte = MACS; byte < FRAME_BYTES; byte++) {
    if (byte >= CHECKSUM_AT && byte < PORTS_END) continue;
    if (seen[at + byte] !== expected[byte]) throw new WrongFrame(`${side} changed byte ${byte} of a frame`);
  }
}

/** Both sides must have sent the same bytes: the same real server for every flow. */
export function compare(ours: Uint8Array, theirs: Uint8Array): void {
  for (let byte = 0; byte < ours.length; byte++) {
    if (ours[byte] === theirs[byte]) continue;
    const frame = Math.floor(byte / FRAME_BYTES);
    throw new WrongFrame(`frame ${frame} went to another real server in C than in TypeScript`);
  }
}
