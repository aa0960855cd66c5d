/** Reads the witness's capture at the director's port of the switch: what went in, what came out, what changed. */
import { completeChecksum } from "../ring/half-done.ts";
import { parseIpv4 } from "../wire/address.ts";
import { ETH_HEADER, ETH_TYPE, EtherType, etherType } from "../wire/ethernet.ts";
import { destination, headerLength, IPV4_HEADER, Protocol, protocol, source } from "../wire/ipv4.ts";
import { flags, TCP_FLAGS, TCP_HEADER } from "../wire/tcp.ts";
import type { CapturedFrame } from "./capture.ts";
import type { FrameReport } from "./report.ts";
import { VIP } from "./topology.ts";

/** Direct routing may change the two MAC addresses and nothing else. */
const FIRST_UNCHANGED = ETH_TYPE;

const vip = parseIpv4(VIP)!;

const viewOf = ({ bytes }: CapturedFrame): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export function isIpv4(frame: CapturedFrame): boolean {
  return frame.bytes.length >= ETH_HEADER + IPV4_HEADER && etherType(viewOf(frame), 0) === EtherType.Ipv4;
}

/** An answer: the VIP speaks. */
export function isAnswer(frame: CapturedFrame): boolean {
  return isIpv4(frame) && source(viewOf(frame), ETH_HEADER) === vip;
}

/** Something for the VIP. */
export function isForVip(frame: CapturedFrame): boolean {
  return isIpv4(frame) && destination(viewOf(frame), ETH_HEADER) === vip;
}

function isSyn(frame: CapturedFrame): boolean {
  const view = viewOf(frame);
  if (!isForVip(frame) || protocol(view, ETH_HEADER) !== Protocol.Tcp) return false;
  const tcp = ETH_HEADER + headerLength(view, ETH_HEADER);
  return frame.bytes.length >= tcp + TCP_HEADER && (flags(view, tcp) & TCP_FLAGS.SYN) !== 0;
}

/** Offsets at which two frames differ; a length that differs counts from the shorter one's end. */
export function changedBytes(before: Uint8Array, after: Uint8Array): number[] {
  const changed: number[] = [];
  for (let i = 0; i < Math.max(before.length, after.length); i++) if (before[i] !== after[i]) changed.push(i);
  return changed;
}

/** A frame in a memory as completeChecksum wants it: 2 mod 4. */
const PLACE = 2;

/**
 * The frame as it stands on a real wire: a sender on the same machine leaves the checksum half done, and what sends the
 * frame through AF_XDP finishes it, as a NIC would.
 */
export function onTheWire(frame: Uint8Array): Uint8Array {
  const words = new Uint32Array((PLACE + frame.length + 3) >>> 2);
  const bytes = new Uint8Array(words.buffer);
  bytes.set(frame, PLACE);
  completeChecksum({ bytes, view: new DataView(words.buffer), words }, PLACE, frame.length);
  return bytes.subarray(PLACE, PLACE + frame.length);
}

const tail = ({ bytes }: CapturedFrame): string =>
  Buffer.from(onTheWire(bytes).subarray(FIRST_UNCHANGED)).toString("latin1");

/**
 * Pairs each frame that came to the director with the one that left it. Frames equal from byte 12 on, a half-done
 * checksum being as good as a finished one, are paired in the order in which they went.
 */
export function pairFrames(frames: readonly CapturedFrame[]): {
  pairs: { before: CapturedFrame; after: CapturedFrame }[];
  /** Went in, did not come out unchanged. */
  lost: CapturedFrame[];
  /** Came out and had not gone in like this. */
  strange: CapturedFrame[];
} {
  const waiting = new Map<string, CapturedFrame[]>();
  const pairs: { before: CapturedFrame; after: CapturedFrame }[] = [];
  const strange: CapturedFrame[] = [];
  // "sent" is by the switch: towards the director. All of those first, for the two directions are read by two sockets.
  for (const frame of frames.filter((each) => each.sent && isForVip(each))) {
    const same = waiting.get(tail(frame));
    if (same === undefined) waiting.set(tail(frame), [frame]);
    else same.push(frame);
  }
  for (const frame of frames.filter((each) => !each.sent && isForVip(each))) {
    const before = waiting.get(tail(frame))?.shift();
    if (before === undefined) strange.push(frame);
    else pairs.push({ before, after: frame });
  }
  return { pairs, lost: [...waiting.values()].flat(), strange };
}

/** The first connection's SYN, before and after, or null when none was forwarded. */
export function forwardedFrame(
  frames: readonly CapturedFrame[],
  realServerOf: (mac: string) => string | undefined,
): FrameReport | null {
  const pair = pairFrames(frames).pairs.find(({ before }) => isSyn(before));
  if (pair === undefined) return null;
  const [before, after] = [Buffer.from(pair.before.bytes), Buffer.from(pair.after.bytes)];
  const changed = changedBytes(before, after);
  const unchanged = (bytes: readonly number[]): boolean => bytes.every((at) => at < FIRST_UNCHANGED);
  const onlyMacs = unchanged(changed);
  const checksumFinished = !onlyMacs && unchanged(changedBytes(onTheWire(before), after));
  const mac = after.toString("hex", 0, 6).replace(/(..)(?!$)/g, "$1:");
  return {
    what: "a client's first packet (SYN)",
    realServer: realServerOf(mac) ?? mac,
    before: before.toString("hex"),
    after: after.toString("hex"),
    changed,
    checksumFinished,
    held: changed.length > 0 && (onlyMacs || checksumFinished),
  };
}
