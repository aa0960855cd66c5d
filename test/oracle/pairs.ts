/**
 * Real requests through the kernel's director: each frame that came in, and the same as it went out again. The
 * services were built as everywhere in the recordings: rr, and rs1 added first.
 */
import { formatAddress, formatIpv4, type Words } from "../../src/wire/address.ts";
import { readCapture } from "../../src/wire/capture-reader.ts";
import * as ethernet from "../../src/wire/ethernet.ts";
import * as ipv4 from "../../src/wire/ipv4.ts";
import * as ipv6 from "../../src/wire/ipv6.ts";
import { run } from "../cli/world.ts";
import { compareForwarded, describe } from "./frames.ts";
import { hexBytes, hexText } from "./packets.ts";
import type { Result } from "./replay.ts";
import type { Pairs, Recording } from "./scenario.ts";
import { DIRECTOR_MAC, World } from "./world.ts";

const KERNEL = "6.1.192";

function viewOf(frame: Uint8Array): DataView {
  return new DataView(frame.buffer, frame.byteOffset, frame.length);
}

function isDirector(view: DataView, at: number): boolean {
  return ethernet.macHi(view, at) === DIRECTOR_MAC.hi && ethernet.macLo(view, at) === DIRECTOR_MAC.lo;
}

/** What forwarding leaves alone: addresses and everything behind the IP header, and the identification. */
function contentOf(frame: Uint8Array): string {
  const view = viewOf(frame);
  const ip = ethernet.ETH_HEADER;
  return `${ipv4.identification(view, ip)} ${hexText(frame.subarray(ip + ipv4.IPV4_SOURCE))}`;
}

/** A capture at the director holds both sides; one taken elsewhere holds no pair. */
export function pairsOfCapture(bytes: Uint8Array): Recording {
  const frames = readCapture(bytes)
    .packets.map((packet) => packet.bytes)
    .filter((frame) => ethernet.etherType(viewOf(frame), 0) === ethernet.EtherType.Ipv4);
  const out = new Map<string, string>();
  for (const frame of frames) {
    if (isDirector(viewOf(frame), ethernet.ETH_SOURCE)) out.set(contentOf(frame), hexText(frame));
  }
  const pairs = frames
    .filter((frame) => isDirector(viewOf(frame), 0) && out.has(contentOf(frame)))
    .map((frame) => ({ in: hexText(frame), out: out.get(contentOf(frame))! }));
  if (pairs.length === 0) return { format: "unknown", reason: "it was not taken where a director forwards" };
  return { format: "pairs", frames: pairs };
}

/** The service that a frame asks for, and how its real servers are written. */
function placesOf(view: DataView): { service: string; server: (n: number) => string } {
  const ip = ethernet.ETH_HEADER;
  if (ipv4.version(view, ip) === 6) {
    const vip: Words = [0, 1, 2, 3].map((word) => ipv6.destination(view, ip, word)) as unknown as Words;
    const port = view.getUint16(ip + ipv6.IPV6_HEADER + 2);
    return { service: `[${formatAddress(vip)}]:${port}`, server: (n) => `[2001:db8::${10 + n}]:${port}` };
  }
  const port = view.getUint16(ip + ipv4.headerLength(view, ip) + 2);
  const service = `${formatIpv4(ipv4.destination(view, ip))}:${port}`;
  return { service, server: (n) => `10.0.0.${10 + n}` };
}

export async function replayPairs(recording: Pairs, shards = 1): Promise<Result> {
  const result: Result = { decisions: 0, mismatches: [], skipped: 0, notCovered: undefined };
  const world = new World(KERNEL, shards);
  const { service, server } = placesOf(viewOf(hexBytes(recording.frames[0]!.in)));
  await run(world.commands, ["-A", "-t", service, "-s", "rr"]);
  const servers = recording.frames.map((pair) => Number(describe(hexBytes(pair.out)).slice(2)));
  for (let n = 1; n <= Math.max(...servers); n++) {
    await run(world.commands, ["-a", "-t", service, "-r", server(n), "-g"]);
  }
  for (const [i, pair] of recording.frames.entries()) {
    const { sent } = world.inject(hexBytes(pair.in));
    const difference =
      sent.length === 1 ? compareForwarded(sent[0]!, pair.out) : `${sent.length} frames went out`;
    result.decisions++;
    if (difference !== "") result.mismatches.push(`frame ${i}: ${difference}`);
  }
  return result;
}
