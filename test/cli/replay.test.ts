/** `dr-director explain` and `dr-director replay` as programs. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ReplayReport } from "../../src/cli/replay-file.ts";
import type { Explanation } from "../../src/dataplane/explanation.ts";
import { built } from "../../src/lab/built.ts";
import { readCapture } from "../../src/wire/capture-reader.ts";
import { pcapHeader, pcapRecord } from "../../src/wire/pcap.ts";
import { makeFolder } from "../helpers/world.ts";

const CAPTURE = fileURLToPath(new URL("../oracle/recordings/pcap/dr_director.pcap", import.meta.url));
const CONFIG = `
services:
  - protocol: tcp
    address: 10.0.0.100
    port: 80
    scheduler: wrr
    servers:
      - { address: 10.0.0.11, weight: 2 }
      - { address: 10.0.0.12, mac: "02:aa:00:00:00:0c" }
`;

function program(argv: readonly string[], input?: string) {
  const run = spawnSync(process.execPath, [built("cli/dr-director.js"), ...argv], {
    encoding: "utf8",
    input,
  });
  return { code: run.status, stdout: run.stdout, stderr: run.stderr };
}

function world(folder = makeFolder()) {
  const config = join(folder, "director.yaml");
  writeFileSync(config, CONFIG);
  return { folder, config, at: (name: string) => join(folder, name) };
}

describe("dr-director explain", () => {
  it("explains a described frame by a config alone", () => {
    const { config } = world();
    const run = program([
      "explain",
      "--from",
      "203.0.113.7:40000",
      "--to",
      "10.0.0.100:80",
      "-c",
      config,
      "--json",
    ]);
    expect(run.stderr).toBe("");
    const told = JSON.parse(run.stdout) as Explanation;
    expect(told.version).toBe(1);
    expect(told.verdict.name).toBe("Forwarded");
    expect(told.notes.join()).toContain("10.0.0.11 are made up");
    expect(told.notes.join()).not.toContain("10.0.0.12 are");
  });

  it("explains a packet of a capture after those before it, or alone", () => {
    const { config } = world();
    const { packets } = readCapture(readFileSync(CAPTURE));
    const replayed = JSON.parse(program(["replay", CAPTURE, "-c", config, "--json"]).stdout) as {
      captures: ReplayReport[];
    };
    expect(replayed.captures[0]!.director.from).toBe("capture");
    // An ACK to the director: byte 47 of the frame holds the flags.
    const number =
      packets.findIndex(
        ({ bytes }) =>
          bytes[5] === 1 && bytes[12] === 8 && bytes[13] === 0 && bytes[23] === 6 && bytes[47] === 0x10,
      ) + 1;
    const ask = (...options: string[]) =>
      JSON.parse(
        program(["explain", CAPTURE, String(number), "-c", config, "--json", ...options]).stdout,
      ) as Explanation;
    expect(ask().verdict.name).toBe("Forwarded");
    expect(ask().connection.what).toBe("found");
    expect(ask("--alone").verdict.name).toBe("NoConnection");
    expect(ask("--mac", "02:00:00:00:00:99").verdict.name).toBe("OtherHost");
  });

  it("takes hex from standard input and shows the bytes before and after", () => {
    const { config } = world();
    const { packets } = readCapture(readFileSync(CAPTURE));
    const syn = packets.find(({ bytes }) => bytes[5] === 1 && bytes[23] === 6 && bytes[47] === 2)!;
    const run = program(["explain", "-", "-c", config], Buffer.from(syn.bytes).toString("hex"));
    expect(run.stdout).toContain("Verdict Forwarded");
    expect(run.stdout).toMatch(/before {2}0000 {2}02 00 00 00 00 01/);
    expect(run.stdout).toContain("^^");
  });

  it.each<[string, string[], number, string]>([
    ["no hex", ["explain", "zz", "-c", "CONFIG"], 1, '"z" is no hex digit'],
    ["half a description", ["explain", "--from", "1.2.3.4:5", "-c", "CONFIG"], 2, "belong together"],
    ["both", ["explain", "00", "--from", "1.2.3.4:5", "--to", "1.2.3.4:5", "-c", "CONFIG"], 2, "not both"],
    ["no such packet", ["explain", CAPTURE, "999", "-c", "CONFIG"], 2, "there is no 999"],
    ["no config", ["explain", "00", "-c", "/nowhere.yaml"], 1, "/nowhere.yaml"],
    ["no director", ["explain", "00", "--socket", "/nowhere.sock"], 1, "out of reach"],
    [
      "a MAC address for a running director",
      ["explain", "00", "--mac", "02:00:00:00:00:01"],
      2,
      "--mac goes with --config",
    ],
  ])("%s: exit code and a sentence", (_, argv, code, words) => {
    const { config } = world();
    const run = program(argv.map((word) => (word === "CONFIG" ? config : word)));
    expect(run.stderr).toContain(words);
    expect(run.stderr).not.toContain("    at ");
    expect(run.code).toBe(code);
  });
});

describe("dr-director replay", () => {
  it("writes what goes out with a comment on each packet, and a table whose sum is the frames", () => {
    const { config, at } = world();
    const run = program(["replay", CAPTURE, "-c", config, "-o", at("out.pcapng"), "--json"]);
    expect([run.code, run.stderr]).toEqual([0, ""]);
    const [report] = (JSON.parse(run.stdout) as { captures: ReplayReport[] }).captures;
    const sum = Object.values(report!.verdicts).reduce((total, count) => total + count, 0);
    expect(sum).toBe(report!.frames);
    expect(report!.frames).toBe(readCapture(readFileSync(CAPTURE)).packets.length);
    const { packets, warning } = readCapture(readFileSync(at("out.pcapng")));
    expect(warning).toBeUndefined();
    expect(packets).toHaveLength(report!.sent.forwarded + report!.sent.answers + report!.sent.released);
    expect(packets[0]!.comments[0]).toMatch(
      /^Forwarded: tcp 10\.0\.0\.100:80 → 10\.0\.0\.1[12]:80, new connection/,
    );
    const served = report!.services[0]!.servers.reduce((total, { packets }) => total + packets, 0);
    expect(served).toBe(report!.sent.forwarded);
    const times = readCapture(readFileSync(CAPTURE)).packets.map(({ seconds }) => seconds);
    expect(packets.every(({ seconds }) => times.includes(seconds))).toBe(true);
  });

  it("with --all writes every frame that came, too", () => {
    const { config, at } = world();
    program(["replay", CAPTURE, "-c", config, "-o", at("all.pcapng"), "--all"]);
    const { packets } = readCapture(readFileSync(at("all.pcapng")));
    const inbound = packets.filter(({ direction }) => direction === "inbound");
    expect(inbound).toHaveLength(readCapture(readFileSync(CAPTURE)).packets.length);
  });

  describe("many captures", () => {
    let first: { code: number | null; stdout: string; stderr: string };
    let at: (name: string) => string;
    let folder: string;
    afterAll(() => rmSync(folder, { recursive: true, force: true }));
    beforeAll(() => {
      const here = world(mkdtempSync(join(tmpdir(), "dr-director-replay-")));
      folder = here.folder;
      at = here.at;
      const whole = readFileSync(CAPTURE);
      for (const n of [1, 2, 3]) writeFileSync(at(`c${n}.pcap`), whole);
      writeFileSync(at("cut.pcap"), whole.subarray(0, whole.length - 7));
      writeFileSync(at("none.pcap"), "no capture at all");
      const files = ["c3.pcap", "cut.pcap", "c1.pcap", "none.pcap", "c2.pcap", "gone.pcap"].map(at);
      first = program(["replay", ...files, "-c", here.config, "-o", at("out")]);
      const alone = program(["replay", at("c1.pcap"), "-c", here.config, "-o", at("alone.pcapng")]);
      expect(alone.code).toBe(0);
    });

    it("are told in the order of the arguments", () => {
      const order = [...first.stdout.matchAll(/(\w+)\.pcap: \d+ frames/g)].map((match) => match[1]);
      expect(order).toEqual(["c3", "cut", "c1", "c2"]);
    });

    it("and each gives the same bytes as alone", () => {
      expect(readFileSync(at("out/c1.pcapng")).equals(readFileSync(at("alone.pcapng")))).toBe(true);
      expect(readFileSync(at("out/c3.pcapng")).equals(readFileSync(at("alone.pcapng")))).toBe(true);
    });

    it("a cut one gives what was readable and a warning, what is none an error", () => {
      expect(first.stdout).toMatch(/warning: read only in part: cut off at byte \d+/);
      expect(first.stderr).toMatch(/none\.pcap: .*neither pcap nor pcapng/);
      expect(first.stderr).toMatch(/gone\.pcap: there is no such file/);
      expect(first.code).toBe(1);
      expect(existsSync(at("out/none.pcapng"))).toBe(false);
    });
  });

  it("tells by its exit code that a capture was read only in part", () => {
    const { config, at } = world();
    writeFileSync(at("cut.pcap"), readFileSync(CAPTURE).subarray(0, 3000));
    const run = program(["replay", at("cut.pcap"), "-c", config]);
    expect(run.code).toBe(3);
    expect(run.stdout).toContain("warning: read only in part");
  });

  it("refuses to overwrite what it reads, and a config that is wrong", () => {
    const { config, at } = world();
    writeFileSync(at("c.pcap"), readFileSync(CAPTURE));
    const same = program(["replay", at("c.pcap"), "-c", config, "-o", at("c.pcap")]);
    expect([same.code, same.stderr]).toEqual([2, expect.stringContaining("would overwrite")]);
    writeFileSync(config, "services: 5\n");
    const wrong = program(["replay", at("c.pcap"), "-c", config]);
    expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining("director.yaml:1:")]);
  });

  it("reads a long capture in pieces, nanoseconds and big frames too", () => {
    const { config, at } = world();
    const { packets } = readCapture(readFileSync(CAPTURE));
    const frame = packets.find(({ bytes }) => bytes[5] === 1 && bytes[23] === 6)!.bytes;
    const record = pcapRecord({ seconds: 1, nanoseconds: 999, bytes: frame }, { nanoseconds: true });
    const count = Math.ceil((3 << 20) / record.length);
    writeFileSync(
      at("long.pcap"),
      Buffer.concat([pcapHeader({ nanoseconds: true }), ...new Array<Uint8Array>(count).fill(record)]),
    );
    const run = program(["replay", at("long.pcap"), "-c", config, "--json"]);
    expect((JSON.parse(run.stdout) as { captures: ReplayReport[] }).captures[0]!.frames).toBe(count);
  });
});
