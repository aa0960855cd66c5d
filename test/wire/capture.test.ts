/** Capture files: written ones come back, foreign ones are read, damaged ones give what was readable. */
import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type CapturedPacket, CaptureError, type Direction } from "../../src/wire/capture.ts";
import { CaptureReader, readCapture } from "../../src/wire/capture-reader.ts";
import { concat } from "../../src/wire/netlink.ts";
import { pcapHeader, pcapRecord } from "../../src/wire/pcap.ts";
import { pcapngInterface, pcapngPacket, pcapngSection } from "../../src/wire/pcapng-writer.ts";
import { bytes, fromHex, RECORDINGS, toHex, u32, viewOf } from "./bytes.ts";

const nanoseconds = fc.nat(999_999_999);
const direction = fc.constantFrom<Direction>("unknown", "inbound", "outbound");
const packet: fc.Arbitrary<CapturedPacket> = fc
  .record({
    interface: fc.nat(2),
    seconds: u32,
    nanoseconds,
    extra: fc.nat(3),
    bytes: bytes(80),
    comments: fc.array(fc.string({ unit: "grapheme", maxLength: 20 }), { maxLength: 2 }),
    direction,
  })
  .map(({ extra, ...rest }) => ({ ...rest, originalLength: rest.bytes.length + extra }));
const packets = fc.array(packet, { maxLength: 8 });

const NAMES = ["eth0", "", "接口"];

function pcapng(list: readonly CapturedPacket[]): Uint8Array {
  return concat([
    pcapngSection("test"),
    ...NAMES.map((name) => pcapngInterface(name)),
    ...list.map(pcapngPacket),
  ]);
}

function pcap(list: readonly CapturedPacket[], options: { nanoseconds?: boolean } = {}): Uint8Array {
  return concat([pcapHeader(options), ...list.map((one) => pcapRecord(one, options))]);
}

/** The same classic file in the other byte order. */
function otherOrder(file: Uint8Array): Uint8Array {
  const swapped = file.slice();
  const view = viewOf(file);
  const other = viewOf(swapped);
  const swap32 = (at: number): void => other.setUint32(at, view.getUint32(at, true));
  const swap16 = (at: number): void => other.setUint16(at, view.getUint16(at, true));
  for (const at of [0, 8, 12, 16, 20]) swap32(at);
  for (const at of [4, 6]) swap16(at);
  for (let at = 24; at < file.length; at += 16 + view.getUint32(at + 8, true))
    for (const field of [0, 4, 8, 12]) swap32(at + field);
  return swapped;
}

const plain = (list: readonly CapturedPacket[]) =>
  list.map(({ bytes: data, ...rest }) => ({ ...rest, data: toHex(data) }));

describe("what we write", () => {
  it("pcapng comes back with times, comments, directions and interface names", () => {
    fc.assert(
      fc.property(packets, (list) => {
        const capture = readCapture(pcapng(list));
        expect(plain(capture.packets)).toEqual(plain(list));
        expect(capture.warning).toBeUndefined();
        expect(capture.interfaces.map(({ name, linkType }) => [name, linkType])).toEqual(
          NAMES.map((n) => [n, 1]),
        );
      }),
    );
  });

  it("classic pcap comes back in both resolutions and both byte orders", () => {
    fc.assert(
      fc.property(packets, fc.boolean(), fc.boolean(), (list, fine, swap) => {
        const file = pcap(list, { nanoseconds: fine });
        const read = readCapture(swap ? otherOrder(file) : file);
        const expected = list.map((one) => ({
          ...one,
          interface: 0,
          comments: [],
          direction: "unknown" as const,
          nanoseconds: fine ? one.nanoseconds : Math.floor(one.nanoseconds / 1000) * 1000,
        }));
        expect(plain(read.packets)).toEqual(plain(expected));
      }),
    );
  });

  it("is the same bytes for the same packets", () => {
    expect(toHex(concat([pcapngSection("a"), pcapngInterface("eth0")]))).toBe(
      "0a0d0d0a280000004d3c2b1a01000000ffffffffffffffff04000100610000000000000028000000" +
        "01000000280000000100000000000000020004006574683009000100090000000000000028000000",
    );
    const one = { interface: 0, seconds: 1, nanoseconds: 2, bytes: Uint8Array.of(1, 2, 3) };
    expect(toHex(pcapngPacket({ ...one, comments: ["hé"], direction: "outbound" }))).toBe(
      "0600000038000000" +
        "0000000000000000" +
        "02ca9a3b" +
        "0300000003000000" +
        "01020300" +
        "0100030068c3a900" +
        "0200040002000000" +
        "00000000" +
        "38000000",
    );
  });

  it("a comment too long for its option is cut between two characters", () => {
    const one = { interface: 0, seconds: 0, nanoseconds: 0, bytes: new Uint8Array(0) };
    const file = concat([
      pcapngSection(""),
      pcapngInterface(""),
      pcapngPacket({ ...one, comments: [`x${"€".repeat(30000)}`] }),
    ]);
    expect(readCapture(file).packets[0]!.comments).toEqual([`x${"€".repeat(21844)}`]);
  });
});

describe("files of others", () => {
  it("the kernel's recorded captures are read whole", () => {
    const files = readdirSync(new URL("pcap/", RECORDINGS)).filter((file) => file.endsWith(".pcap"));
    expect(files.length).toBeGreaterThan(0);
    for (const file of files) {
      const capture = readCapture(readFileSync(new URL(`pcap/${file}`, RECORDINGS)));
      expect(capture.warning).toBeUndefined();
      expect(capture.packets.length).toBeGreaterThan(10);
      expect(capture.packets.every((one) => one.bytes.length === one.originalLength)).toBe(true);
    }
  });

  /** A big-endian block with its two lengths. */
  function block(type: string, body: string): string {
    const length = (body.length / 2 + 12).toString(16).padStart(8, "0");
    return type + length + body + length;
  }
  const section = block("0a0d0d0a", "1a2b3c4d00010000ffffffffffffffff");

  it("pcapng in the other byte order, with its own clock and offset, simple and obsolete packets", () => {
    // if_tsresol 2^-10, if_tsoffset 100 seconds, snap length 3
    const ethernet = block(
      "00000001",
      "0001000000000003" + "000900018a000000" + "000e00080000000000000064" + "00000000",
    );
    const enhanced = block(
      "00000006",
      "00000000" + "0000000000000600" + "00000002" + "00000009" + "aabb0000",
    );
    const obsolete = block(
      "00000002",
      "0000ffff" + "0000000000000800" + "00000001" + "00000001" + "cc000000",
    );
    const simple = block("00000003", "00000006" + "01020304");
    const unknown = block("00000bad", "00112233");
    const capture = readCapture(fromHex(section + ethernet + enhanced + unknown + obsolete + simple));
    expect(capture.warning).toBeUndefined();
    expect(
      plain(capture.packets).map(({ seconds, nanoseconds: ns, originalLength, data }) => [
        seconds,
        ns,
        originalLength,
        data,
      ]),
    ).toEqual([
      [101, 500_000_000, 9, "aabb"],
      [102, 0, 1, "cc"],
      [102, 0, 6, "010203"], // has no time of its own
    ]);
  });

  it("sections count their interfaces anew and may differ in byte order", () => {
    const one = { interface: 0, seconds: 5, nanoseconds: 6, bytes: Uint8Array.of(9) };
    const ours = concat([pcapngSection("x"), pcapngInterface("little"), pcapngPacket(one)]);
    const theirs = fromHex(
      section +
        block("00000001", "0071000000000000") +
        block("00000006", "000000000000000000000007000000010000000155000000"),
    );
    const capture = readCapture(concat([ours, theirs, ours]));
    expect(capture.warning).toBeUndefined();
    expect(capture.packets.map((found) => found.interface)).toEqual([0, 1, 2]);
    expect(capture.interfaces.map((found) => found.linkType)).toEqual([1, 113, 1]);
    expect(capture.packets[1]).toMatchObject({ seconds: 0, nanoseconds: 7000 }); // microseconds by default
  });
});

describe("a reader fed by chunks", () => {
  it("gives the same packets, however the file is cut", () => {
    fc.assert(
      fc.property(
        packets,
        fc.boolean(),
        fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }),
        (list, ng, sizes) => {
          const file = ng ? pcapng(list) : pcap(list);
          const reader = new CaptureReader();
          const found: CapturedPacket[] = [];
          for (let at = 0, i = 0; at < file.length; at += sizes[i++ % sizes.length]!) {
            reader.push(file.slice(at, at + sizes[i % sizes.length]!));
            for (let one = reader.next(); one !== undefined; one = reader.next()) found.push(one);
          }
          expect(reader.end()).toBeUndefined();
          expect(plain(found)).toEqual(plain(readCapture(file).packets));
        },
      ),
    );
  });
});

describe("damaged files", () => {
  const list: CapturedPacket[] = [1, 2, 3].map((n) => ({
    interface: 0,
    seconds: n,
    nanoseconds: 0,
    originalLength: 10 * n,
    bytes: new Uint8Array(10 * n).fill(n),
    comments: [`packet ${n}`],
    direction: "inbound",
  }));

  it.each([
    ["pcap", pcap(list)],
    ["pcapng", pcapng(list)],
  ])("%s cut at every byte gives the packets before the cut and says so", (_, file) => {
    for (let end = 0; end <= file.length; end++) {
      const cut = file.slice(0, end);
      let capture: ReturnType<typeof readCapture>;
      try {
        capture = readCapture(cut);
      } catch (error) {
        expect(error).toBeInstanceOf(CaptureError);
        expect(end).toBeLessThan(4);
        continue;
      }
      expect(plain(list.slice(0, capture.packets.length)).map((p) => p.data)).toEqual(
        plain(capture.packets).map((p) => p.data),
      );
      // Between two records a cut leaves no trace; anywhere else there is a warning with the place.
      if (capture.warning === undefined)
        expect(readCapture(concat([cut, file.slice(end)])).warning).toBeUndefined();
      else
        expect(capture.warning).toMatch(
          new RegExp(`^cut off at byte ${end}: \\d+ bytes of an unfinished record`),
        );
    }
    expect(readCapture(file).packets.length).toBe(3);
  });

  it("the warning names the same place when the file came in chunks", () => {
    const file = pcap(list);
    viewOf(file).setUint32(24 + 26 + 8, 0x7fffffff, true);
    const reader = new CaptureReader();
    for (let at = 0; at < file.length; at += 7) {
      reader.push(file.slice(at, at + 7));
      while (reader.next() !== undefined);
    }
    expect(reader.end()).toBe(readCapture(file).warning);
  });

  it("a fraction beyond its second is carried", () => {
    const file = pcap(list.slice(0, 1));
    viewOf(file).setUint32(24 + 4, 2_500_000, true); // microseconds
    expect(readCapture(file).packets[0]).toMatchObject({ seconds: 3, nanoseconds: 500_000_000 });
  });

  const start = concat([pcapngSection(""), pcapngInterface("")]);
  it.each([
    ["an odd length", 4, 57, "a block claims 57 bytes"],
    ["a length beyond reason", 4, 0x7ffffffc, "a block claims 2147483644 bytes"],
    ["a length below its own header", 4, 8, "a block claims 8 bytes"],
    ["a second length that differs", 52, 60, "a block's two lengths differ"],
    ["more data than it holds", 20, 32, "a packet claims 32 bytes"],
    ["an interface nobody declared", 8, 1, "a packet of undeclared interface 1"],
  ])("a block with %s ends the reading", (_, at, value, damage) => {
    const bad = pcapngPacket({ interface: 0, seconds: 0, nanoseconds: 0, bytes: new Uint8Array(21) });
    expect(bad.length).toBe(56);
    viewOf(bad).setUint32(at, value, true);
    const capture = readCapture(concat([start, pcapngPacket(list[0]!), bad]));
    expect(capture.packets.length).toBe(1);
    expect(capture.warning).toMatch(new RegExp(`after 1 packets: ${damage}$`));
  });

  it("a record that claims too much ends the reading with its place", () => {
    const file = pcap(list);
    viewOf(file).setUint32(24 + 26 + 8, 0x7fffffff, true); // the second record's length
    const capture = readCapture(file);
    expect(capture.packets.length).toBe(1);
    expect(capture.warning).toBe("damaged at byte 50, after 1 packets: a record claims 2147483647 bytes");
  });

  it("any change of any byte gives packets, a warning or a CaptureError, nothing else", () => {
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (ng, changes) => {
          const file = ng ? pcapng(list) : pcap(list);
          for (const [at, value] of changes) file[at % file.length] = value;
          try {
            readCapture(file);
          } catch (error) {
            expect(error).toBeInstanceOf(CaptureError);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  it.each([
    ["nothing", "", "empty"],
    ["three bytes", "d4c3b2", "unknown-format"],
    ["text", toHex(new TextEncoder().encode("hello world, not a capture")), "unknown-format"],
    ["a pcap of version 1", "d4c3b2a10100040000000000000000000000040001000000", "unsupported"],
    ["a pcapng of version 2", "0a0d0d0a1c0000004d3c2b1a02000000ffffffffffffffff1c000000", "unsupported"],
    [
      "a pcapng without byte order",
      "0a0d0d0a1c0000000000000001000000ffffffffffffffff1c000000",
      "unsupported",
    ],
  ])("%s is no capture", (_, hex, code) => {
    expect(() => readCapture(fromHex(hex))).toThrow(expect.objectContaining({ name: "CaptureError", code }));
  });
});
