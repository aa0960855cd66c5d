import { expect, test } from "vitest";
import { Capture, type CapturedFrame } from "../../src/lab/capture.ts";
import { changedBytes, isAnswer, isForVip, pairFrames } from "../../src/lab/evidence.ts";
import { DIP, macOf, ROUTER, realServerAddress } from "../../src/lab/topology.ts";
import { makeCluster, RINGS } from "../helpers/cluster.ts";
import { hexOf } from "../helpers/world.ts";

const destinationMac = ({ bytes }: CapturedFrame): string => macText(bytes, 0);
const sourceMac = ({ bytes }: CapturedFrame): string => macText(bytes, 6);
const macText = (bytes: Uint8Array, at: number): string =>
  Buffer.from(bytes.subarray(at, at + 6))
    .toString("hex")
    .replace(/(..)(?!$)/g, "$1:");

/** The frame with its TCP checksum as its receiver must find it (RFC 9293 §3.1), whatever stands there. */
function withChecksum(frame: Uint8Array): Uint8Array {
  const bytes = Buffer.from(frame);
  const header = (bytes[14]! & 15) * 4;
  const size = bytes.readUInt16BE(16) - header;
  const tcp = 14 + header;
  bytes.writeUInt16BE(0, tcp + 16);
  let sum = 6 + size;
  for (let at = 26; at < 34; at += 2) sum += bytes.readUInt16BE(at);
  for (let at = 0; at < size; at++) sum += bytes[tcp + at]! << (at % 2 === 0 ? 8 : 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  bytes.writeUInt16BE(~sum & 0xffff, tcp + 16);
  return bytes;
}

test.for(RINGS)(
  "seen at client, director and real server: forwarded frames differ in their MACs only, answers go past the director, $ring",
  async ({ ring, config }) => {
    const { lab, client } = await makeCluster({ scheduler: "rr", config });
    // A sender on the same machine leaves its checksums half done: through AF_XDP they leave finished.
    const as = ring === "AF_XDP" ? withChecksum : (frame: Uint8Array) => frame;
    const [atClient, atDirector, atServer] = await Promise.all([
      Capture.start(lab, "client", "eth0"),
      Capture.start(lab, "switch", "director"),
      Capture.start(lab, "rs1", "eth0"),
    ]);
    const round = await client.request({ requests: 9, path: "/bytes/200000" });
    expect(round.failed).toBe(0);
    await atDirector.quiet();
    const missed = await Promise.all([atClient.stop(), atDirector.stop(), atServer.stop()]);
    expect(missed).toEqual([0, 0, 0]);

    const { pairs, lost, strange } = pairFrames(atDirector.frames);
    expect(pairs.length).toBeGreaterThan(9 * 4);
    expect({ lost: hexOf(lost), strange: hexOf(strange) }).toEqual({ lost: [], strange: [] });
    for (const { before, after } of pairs) {
      expect([sourceMac(before), destinationMac(before)]).toEqual([macOf(ROUTER), macOf(DIP)]);
      expect(sourceMac(after)).toBe(macOf(DIP));
      expect(changedBytes(as(before.bytes), after.bytes).every((at) => at < 12)).toBe(true);
    }

    // The director neither receives nor sends an answer; the client gets them all, from the VIP.
    expect(hexOf(atDirector.frames.filter(isAnswer))).toEqual([]);
    expect(atClient.frames.filter(isAnswer).reduce((sum, { length }) => sum + length, 0)).toBeGreaterThan(
      9 * 200_000,
    );

    // What left the director for rs1 is what rs1 received, byte for byte; its answers go to the router's MAC.
    const sentToServer = pairs
      .map(({ after }) => after)
      .filter((frame) => destinationMac(frame) === macOf(realServerAddress(0)));
    const received = atServer.frames.filter((frame) => !frame.sent && isForVip(frame));
    expect(hexOf(received)).toEqual(hexOf(sentToServer));
    const answers = atServer.frames.filter((frame) => frame.sent && isAnswer(frame));
    expect(answers.length).toBeGreaterThan(3);
    expect(new Set(answers.map(destinationMac))).toEqual(new Set([macOf(ROUTER)]));
  },
);

test("sourceMac preserve: only the destination MAC changes, and the switch then takes our port for the router's", async () => {
  const { lab, client } = await makeCluster({ config: { sourceMac: "preserve" } });
  const capture = await Capture.start(lab, "switch", "director");
  await client.request({ requests: 3, timeout: 1_000 });
  await capture.stop();
  const { pairs } = pairFrames(capture.frames);
  expect(pairs.length).toBeGreaterThan(0);
  for (const { before, after } of pairs) {
    expect(sourceMac(after)).toBe(sourceMac(before));
    expect(changedBytes(before.bytes, after.bytes).every((at) => at < 6)).toBe(true);
  }
  // Why "interface" is the default: answers to the router's MAC now come to us.
  expect(capture.frames.filter(isAnswer).length).toBeGreaterThan(0);
});
