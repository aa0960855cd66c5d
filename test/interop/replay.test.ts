/** Captures by tcpdump through `dr-director replay`, and what it writes through tshark and capinfos. */
import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { built } from "../../src/lab/built.ts";
import { readCapture } from "../../src/wire/capture-reader.ts";
import {
  pcapngInterface,
  pcapngPacket,
  pcapngSection,
  pcapngStatistics,
} from "../../src/wire/pcapng-writer.ts";
import { makeFolder, needs } from "../helpers/world.ts";

const RECORDED = fileURLToPath(new URL("../oracle/recordings/pcap/", import.meta.url));
const CONFIG = `
vips: [{ address: 10.0.0.100 }]
services:
  - { protocol: tcp, address: 10.0.0.100, port: 80, scheduler: rr, servers: [{ address: 10.0.0.11 }, { address: 10.0.0.12 }] }
`;

function replay(name: string, ...options: string[]): string {
  const folder = makeFolder();
  const config = join(folder, "director.yaml");
  const out = join(folder, "out.pcapng");
  writeFileSync(config, CONFIG);
  const run = spawnSync(process.execPath, [
    built("cli/dr-director.js"),
    "replay",
    join(RECORDED, name),
    "-c",
    config,
    "-o",
    out,
    ...options,
  ]);
  expect(run.status).toBe(0);
  return out;
}

const output = (program: string, ...words: string[]): string =>
  execFileSync(program, words, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });

describe("what replay writes", () => {
  for (const name of readdirSync(RECORDED).filter((file) => file.endsWith(".pcap"))) {
    it(`of tcpdump's ${name} is what tshark reads, comments, times and directions`, (context) => {
      needs(context, "tshark");
      const out = replay(name, "--all");
      const fields = ["frame.comment", "frame.time_epoch", "frame.packet_flags_direction", "_ws.malformed"];
      const columns = fields.flatMap((field) => ["-e", field]);
      const read = output("tshark", "-r", out, "-n", "-T", "fields", ...columns);
      const ours = readCapture(readFileSync(out)).packets;
      expect(ours.length).toBeGreaterThan(0);
      expect(read.split("\n").slice(0, -1)).toEqual(
        ours.map(({ comments, seconds, nanoseconds, direction }) => {
          const time = `${seconds}.${String(nanoseconds).padStart(9, "0")}`;
          const bits = direction === "inbound" ? 1 : 2;
          return expect.stringMatching(
            new RegExp(`^${escaped(`${comments[0]}\t${time}`)}\\t(?:0x)?0*${bits}\\t$`),
          );
        }),
      );
    });
  }
});

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

it("a block that says how many packets are missing is one to capinfos too", (context) => {
  needs(context, "capinfos");
  const file = join(makeFolder(), "missed.pcapng");
  const time = { interface: 0, seconds: 5, nanoseconds: 7 };
  const blocks = [
    pcapngSection("test"),
    pcapngInterface("eth0"),
    pcapngPacket({ ...time, bytes: new Uint8Array(60) }),
    pcapngStatistics({ ...time, received: 4, dropped: 3 }),
  ];
  writeFileSync(file, Buffer.concat(blocks));
  expect(readCapture(readFileSync(file)).packets).toHaveLength(1);
  const said = output("capinfos", file);
  expect(said).toMatch(/Number of packets:\s+1\n/);
  expect(said).toMatch(/Number of stat entries = 1\n/);
});
