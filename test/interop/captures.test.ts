/**
 * The captures we write, read by programs that are not ours; and captures of others, read by us as they read them.
 * tshark is Debian's; pcap-parser comes from this folder's own package.json.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { parseIpv4, parseIpv6 } from "../../src/wire/address.ts";
import type { CapturedPacket, Direction } from "../../src/wire/capture.ts";
import { readCapture } from "../../src/wire/capture-reader.ts";
import { icmpFrame, tcpFrame, udpFrame } from "../../src/wire/frame.ts";
import { concat } from "../../src/wire/netlink.ts";
import { pcapHeader, pcapRecord } from "../../src/wire/pcap.ts";
import { pcapngInterface, pcapngPacket, pcapngSection } from "../../src/wire/pcapng-writer.ts";

const folder = mkdtempSync(join(tmpdir(), "dr-director-captures-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const RECORDED = new URL("../oracle/recordings/pcap/", import.meta.url);
const hasTshark = spawnSync("tshark", ["--version"]).status === 0;
const parserFolder = new URL("node_modules/pcap-parser/", import.meta.url);
const hasParser = existsSync(parserFolder);
const reason = (there: boolean, cure: string): string => (there ? "" : ` (skipped: ${cure})`);

function written(name: string, ...parts: Uint8Array[]): string {
  const file = join(folder, name);
  writeFileSync(file, concat(parts));
  return file;
}

/** One array of fields a packet, as tshark prints them. */
function tshark(file: string, fields: readonly string[], options: readonly string[] = []): string[][] {
  const columns = fields.flatMap((field) => ["-e", field]);
  const args = [
    "-r",
    file,
    "-n",
    ...options,
    "-T",
    "fields",
    "-E",
    "separator=/t",
    "-E",
    "occurrence=a",
    ...columns,
  ];
  const text = execFileSync("tshark", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => line.split("\t"));
}

const [CIP, VIP] = [parseIpv4("10.9.2.1")!, parseIpv4("10.0.0.100")!];
const v6 = { source: parseIpv6("2001:db8::9")!, destination: parseIpv6("2001:db8::100")! };
const v4 = { source: CIP, destination: VIP };
const FRAMES = [
  tcpFrame({ ...v4, sourcePort: 4001, destinationPort: 80, payload: new Uint8Array(5).fill(0x61) }),
  tcpFrame({ ...v6, sourcePort: 4001, destinationPort: 80, tcpOptions: Uint8Array.of(2, 4, 5, 0xb4) }),
  udpFrame({ ...v4, sourcePort: 4002, destinationPort: 4003, vlan: 7, payload: new Uint8Array(3) }),
  udpFrame({ ...v6, sourcePort: 4002, destinationPort: 4003, payload: new Uint8Array(1) }),
  icmpFrame({ ...v4, type: 8, code: 0, rest: 0x00010002, payload: new Uint8Array(9) }),
  icmpFrame({ ...v6, type: 128, code: 0, rest: 0x00010002, payload: new Uint8Array(9) }),
  tcpFrame({
    ...v4,
    sourcePort: 1,
    destinationPort: 80,
    options: Uint8Array.of(1, 1, 1, 0),
    dontFragment: true,
  }),
];

describe.runIf(hasTshark)(`tshark${reason(hasTshark, "install tshark: apt-get install tshark")}`, () => {
  it("shows our comments, interfaces, directions and nanoseconds, whatever they are", () => {
    const printable = fc.string({ unit: fc.constantFrom(..."az09 →é漢:=()"), minLength: 1, maxLength: 30 });
    const packet = fc.record({
      interface: fc.nat(1),
      seconds: fc.nat(2 ** 31),
      nanoseconds: fc.nat(999_999_999),
      bytes: fc.constantFrom(...FRAMES),
      // tshark trims what it prints in columns
      comment: printable.map((text) => `[${text}]`),
      direction: fc.constantFrom<Direction>("inbound", "outbound"),
    });
    const list = fc.sample(fc.array(packet, { minLength: 60, maxLength: 60 }), { numRuns: 1, seed: 7 })[0]!;
    const file = written(
      "ours.pcapng",
      pcapngSection("dr-director test"),
      pcapngInterface("eth0"),
      pcapngInterface("接口 1"),
      ...list.map(({ comment, ...one }) => pcapngPacket({ ...one, comments: [comment] })),
    );
    const fields = [
      "frame.comment",
      "frame.interface_name",
      "frame.time_epoch",
      "frame.packet_flags_direction",
      "frame.len",
    ];
    const seen = tshark(file, fields);
    expect(seen).toEqual(
      list.map((one) => [
        one.comment,
        one.interface === 0 ? "eth0" : "接口 1",
        `${one.seconds}.${String(one.nanoseconds).padStart(9, "0")}`,
        // tshark 4.0 prints the two bits as a number
        expect.stringMatching(one.direction === "inbound" ? /^(0x)?0*1$/ : /^(0x)?0*2$/),
        String(one.bytes.length),
      ]),
    );
  });

  it("finds every checksum of the frames we build right, and nothing malformed", () => {
    const file = written(
      "frames.pcap",
      pcapHeader(),
      ...FRAMES.map((bytes, i) => pcapRecord({ seconds: i, nanoseconds: 0, bytes })),
    );
    const checks = ["ip.check_checksum", "tcp.check_checksum", "udp.check_checksum"].flatMap((key) => [
      "-o",
      `${key}:TRUE`,
    ]);
    const fields = [
      "ip.checksum.status",
      "tcp.checksum.status",
      "udp.checksum.status",
      "icmp.checksum.status",
      "icmpv6.checksum.status",
      "_ws.malformed",
    ];
    const seen = tshark(file, fields, checks);
    expect(seen.length).toBe(FRAMES.length);
    for (const [i, statuses] of seen.entries()) {
      const told = statuses.filter((status) => status !== "");
      expect([i, told.length, new Set(told)]).toEqual([i, told.length, new Set(["1"])]); // 1 is "good"
      expect(told.length).toBeGreaterThan(0);
    }
  });

  it("counts the same packets, times and lengths in the recorded captures as we do", () => {
    const files = readdirSync(RECORDED).filter((file) => file.endsWith(".pcap"));
    expect(files.length).toBeGreaterThan(0);
    for (const name of files) {
      const path = new URL(name, RECORDED).pathname;
      const ours = readCapture(readFileSync(path)).packets.map((one) => [
        `${one.seconds}.${String(one.nanoseconds).padStart(9, "0")}`,
        String(one.originalLength),
        String(one.bytes.length),
      ]);
      expect(tshark(path, ["frame.time_epoch", "frame.len", "frame.cap_len"])).toEqual(ours);
    }
  });

  /** A recorded capture, and what editcap makes of it in another format. */
  function converted(format: string): { original: Buffer; other: Buffer } {
    const name = readdirSync(RECORDED).find((file) => file.endsWith(".pcap"))!;
    const path = new URL(name, RECORDED).pathname;
    const target = join(folder, `converted.${format}`);
    execFileSync("editcap", ["-F", format, path, target]);
    return { original: readFileSync(path), other: readFileSync(target) };
  }

  it.each(["pcap", "nsecpcap", "pcapng"])(
    "writes %s by editcap, and we read the same packets from it",
    (format) => {
      const { original, other } = converted(format);
      const read = readCapture(other);
      expect(read.warning).toBeUndefined();
      const plain = (list: readonly CapturedPacket[]) =>
        list.map((one) => [
          one.seconds,
          one.nanoseconds,
          one.originalLength,
          Buffer.from(one.bytes).toString("hex"),
        ]);
      expect(plain(read.packets)).toEqual(plain(readCapture(original).packets));
    },
  );

  it("writes the forgotten modified pcap by editcap, and we say that we do not know it", () => {
    expect(() => readCapture(converted("modpcap").other)).toThrow("neither pcap nor pcapng");
  });

  it("a comment that editcap wrote is read by us", () => {
    const ours = written(
      "plain.pcap",
      pcapHeader(),
      pcapRecord({ seconds: 1, nanoseconds: 0, bytes: FRAMES[0]! }),
    );
    const commented = join(folder, "commented.pcapng");
    execFileSync("editcap", ["-F", "pcapng", "-a", "1:the first one", ours, commented]);
    expect(readCapture(readFileSync(commented)).packets[0]!.comments).toEqual(["the first one"]);
  });
});

interface ParserPacket {
  header: { timestampSeconds: number; timestampMicroseconds: number; originalLength: number };
  data: Buffer;
}

describe.runIf(hasParser)(`pcap-parser${reason(hasParser, "run npm ci in test/interop")}`, () => {
  it("reads our classic pcap packet by packet", async () => {
    const parser = createRequire(import.meta.url)(parserFolder.pathname);
    const list = FRAMES.map((bytes, i) => ({ seconds: 1000 + i, nanoseconds: i * 1000, bytes }));
    const file = written("classic.pcap", pcapHeader(), ...list.map((one) => pcapRecord(one)));
    const seen = await new Promise<ParserPacket[]>((resolve, reject) => {
      const packets: ParserPacket[] = [];
      const reader = parser.parse(file);
      reader.on("packet", (packet: ParserPacket) => packets.push(packet));
      reader.on("end", () => resolve(packets));
      reader.on("error", reject);
    });
    expect(
      seen.map(({ header, data }) => [
        header.timestampSeconds,
        header.timestampMicroseconds,
        data.toString("hex"),
      ]),
    ).toEqual(list.map((one, i) => [one.seconds, i, Buffer.from(one.bytes).toString("hex")]));
  });
});
