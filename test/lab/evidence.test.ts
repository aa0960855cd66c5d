import { expect, test } from "vitest";
import type { CapturedFrame } from "../../src/lab/capture.ts";
import {
  changedBytes,
  forwardedFrame,
  isAnswer,
  isForVip,
  onTheWire,
  pairFrames,
} from "../../src/lab/evidence.ts";
import { hexDifference } from "../../src/lab/hexdump.ts";
import { styleFor } from "../../src/lab/style.ts";

// A SYN from 10.7.0.10 to the VIP as the router sends it: written out, not built by our own builders.
const SYN =
  "02000a000002" +
  "02000a000001" +
  "0800" +
  "4500003cd2554000" +
  "3f0654f2" +
  "0a07000a" +
  "0a000064" +
  "af920050a4d8dfc100000000a002faf0" +
  "14a30000020405b40402080ad44ae7d10000000001030 30a".replace(" ", "");

const frame = (hex: string, sent: boolean): CapturedFrame => {
  const bytes = Buffer.from(hex, "hex");
  return { time: 0, sent, length: bytes.length, bytes };
};
const forwarded = `02000a00000b02000a000002${SYN.slice(24)}`;

test("a frame for the VIP is told from an answer by its addresses", () => {
  const answer = SYN.replace("0a07000a0a000064", "0a0000640a07000a");
  expect([isForVip(frame(SYN, true)), isAnswer(frame(SYN, true))]).toEqual([true, false]);
  expect([isForVip(frame(answer, true)), isAnswer(frame(answer, true))]).toEqual([false, true]);
  expect(isForVip(frame(SYN.slice(0, 60), true))).toBe(false); // cut before the addresses
  expect(isForVip(frame(SYN.replace("0800", "0806"), true))).toBe(false);
});

test("frames are paired across the director when they are equal from byte 12 on", () => {
  const broken = `${forwarded.slice(0, -2)}ff`;
  const sorted = pairFrames([
    frame(SYN, true),
    frame(SYN, true),
    frame(forwarded, false),
    frame(broken, false),
  ]);
  expect(sorted.pairs).toHaveLength(1);
  expect(sorted.lost).toHaveLength(1);
  expect(sorted.strange.map(({ bytes }) => Buffer.from(bytes).toString("hex"))).toEqual([broken]);
});

test("the forwarded frame's report names the real server and every changed byte", () => {
  const name = (mac: string): string | undefined => (mac === "02:00:0a:00:00:0b" ? "rs1" : undefined);
  const report = forwardedFrame([frame(SYN, true), frame(forwarded, false)], name)!;
  expect(report).toMatchObject({ realServer: "rs1", changed: [5, 11], held: true });
  expect(forwardedFrame([frame(SYN, true)], name)).toBeNull();
});

test("a checksum that the sender left half done may leave finished, and no other way", () => {
  const name = () => "rs1";
  // The field of the SYN holds the folded sum of its pseudo-header; 0x47fe is what its receiver must find there.
  const finished = forwarded.replace("14a3", "47fe");
  const report = forwardedFrame([frame(SYN, true), frame(finished, false)], name);
  expect(report).toMatchObject({ changed: [5, 11, 50, 51], checksumFinished: true, held: true });
  expect(
    forwardedFrame([frame(SYN, true), frame(forwarded.replace("14a3", "0000"), false)], name),
  ).toBeNull();
  expect(onTheWire(Buffer.from(finished, "hex"))).toEqual(new Uint8Array(Buffer.from(finished, "hex")));
});

test("a byte that one frame lacks counts as changed", () => {
  expect(changedBytes(Buffer.from([1, 2, 3]), Buffer.from([1, 9]))).toEqual([1, 2]);
});

test("the hex dump shows changed rows twice with the bytes marked, equal rows once", () => {
  const [before, after] = [Buffer.from(SYN, "hex"), Buffer.from(forwarded, "hex")];
  const lines = hexDifference(before, after, changedBytes(before, after), styleFor(false));
  expect(lines.slice(0, 3)).toEqual([
    "  before  0000  02 00 0a 00 00 02 02 00  0a 00 00 01 08 00 45 00",
    "  after   0000  02 00 0a 00 00 0b 02 00  0a 00 00 02 08 00 45 00",
    "                               ^^                 ^^",
  ]);
  expect(lines.slice(3).every((line) => line.startsWith("  both"))).toBe(true);
  expect(lines).toHaveLength(3 + Math.ceil((before.length - 16) / 16));
});
