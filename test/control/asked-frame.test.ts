/** Frames that people ask about: hex in every form they have it, and described ones. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  AskedFrameError,
  type AskedPacket,
  buildFrame,
  parseFlags,
  parseHex,
} from "../../src/control/asked-frame.ts";
import { hexText } from "../../src/dataplane/explain.ts";
import { parseMac } from "../../src/wire/address.ts";
import { summarizeFrame } from "../../src/wire/value/frame.ts";

const MAC = parseMac("02:00:00:00:00:01")!;

const spaced = (bytes: Uint8Array, by: number): string =>
  (hexText(bytes).match(new RegExp(`.{1,${by * 2}}`, "g")) ?? []).join(" ");

/** As `tcpdump -XX` prints it. */
function dump(bytes: Uint8Array): string {
  const lines = ["12:00:00.000000 IP 10.0.0.1.40000 > 10.0.0.100.80: Flags [S], seq 0, length 0"];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = bytes.subarray(at, at + 16);
    const text = Array.from(row, (byte) => (byte > 32 && byte < 127 ? String.fromCharCode(byte) : ".")).join(
      "",
    );
    lines.push(`\t0x${at.toString(16).padStart(4, "0")}:  ${spaced(row, 2).padEnd(39)}  ${text}`);
  }
  return lines.join("\n");
}

/** As `hexdump -C` and the lab print it. */
function canonical(bytes: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += 16)
    lines.push(
      `${at.toString(16).padStart(8, "0")}  ${spaced(bytes.subarray(at, at + 16), 1).padEnd(48)}  |abc…|`,
    );
  return lines.join("\n");
}

describe("hex", () => {
  it("is read however it was printed", () => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 90 });
    fc.assert(
      fc.property(bytes, (frame) => {
        const plain = hexText(frame);
        const forms = [
          plain,
          plain.toUpperCase(),
          `0x${plain}`,
          spaced(frame, 1),
          spaced(frame, 1).replaceAll(" ", ":"),
        ];
        for (const form of [...forms, dump(frame), canonical(frame)])
          expect([form, hexText(parseHex(form))]).toEqual([form, plain]);
      }),
    );
  });

  it.each([
    ["", "no frame was given"],
    ["0g", '"g" is no hex digit'],
    ["012", "3 hex digits are no whole bytes"],
  ])("%s: %s", (text, message) => {
    expect(() => parseHex(text)).toThrow(new AskedFrameError(message));
  });
});

describe("a described packet", () => {
  const from = "203.0.113.7:40000";
  const to = "10.0.0.100:80";

  it.each<[AskedPacket, string]>([
    [{ from, to }, "IPv4 203.0.113.7 → 10.0.0.100, TCP, ttl 64 | TCP 40000 → 80, SYN, sequence 0"],
    [
      { from, to, flags: "S.", ttl: 1 },
      "IPv4 203.0.113.7 → 10.0.0.100, TCP, ttl 1 | TCP 40000 → 80, SYN+ACK, sequence 0",
    ],
    [{ from, to, protocol: "udp", payload: 3 }, "UDP 40000 → 80"],
    [{ from: "[2001:db8::7]:1", to: "[2001:db8::100]:2", protocol: "icmp" }, "ICMPv6 echo request"],
    [{ from, to, protocol: "sctp" }, "IPv4 203.0.113.7 → 10.0.0.100, SCTP"],
  ])("%o", (asked, summary) => {
    expect(summarizeFrame(buildFrame(asked, MAC))).toContain(summary);
  });

  it.each<[AskedPacket, string]>([
    [{ from: "203.0.113.7", to }, 'from "203.0.113.7": an address and a port'],
    [{ from: "[2001:db8::7]:1", to }, "of different IP versions"],
    [{ from, to, flags: "X" }, '"X" is no TCP flag'],
    [{ from, to, protocol: "udp", flags: "S" }, "udp has no flags"],
  ])("%o is refused: %s", (asked, message) => {
    expect(() => buildFrame(asked, MAC)).toThrow(message);
  });

  it("has the flags that its letters say", () => {
    expect([parseFlags("S"), parseFlags("sa"), parseFlags("FPU"), parseFlags("")]).toEqual([2, 18, 41, 0]);
  });
});
