/** A running director shows its frames: to a capture file of its own, and to `dr-director capture`. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Explanation } from "../../src/dataplane/explanation.ts";
import { built } from "../../src/lab/built.ts";
import { DirectorProgram } from "../../src/lab/director-program.ts";
import type { Lab } from "../../src/lab/lab.ts";
import { Client, startServers } from "../../src/lab/traffic.ts";
import { readCapture } from "../../src/wire/capture-reader.ts";
import { addressesOf } from "../../src/wire/packet-addresses.ts";
import { clusterConfig, makeCluster, verdictSum } from "../helpers/cluster.ts";
import { eventually, has, hexOf, makeFolder, makeLab, sleep } from "../helpers/world.ts";

const PROGRAM = [process.execPath, built("cli/dr-director.js")];

function capture(lab: Lab, socket: string, ...options: string[]) {
  return lab.spawn("director", [...PROGRAM, "capture", "--socket", socket, ...options]);
}

/** Waits until the director's shards show frames: the file has its head by then. */
const begun = (file: string) =>
  eventually("the capture begins", () =>
    existsSync(file) && readFileSync(file).length > 0 ? true : undefined,
  );

const commentsOf = (file: string) =>
  readCapture(readFileSync(file)).packets.map(({ comments }) => comments[0]!);

describe("a capture, while another director takes over", () => {
  test("goes on with it: the client's, and the daemon's own file", async () => {
    const lab = await makeLab();
    await startServers(lab, lab.realServers);
    const client = await Client.start(lab);
    const folder = makeFolder();
    const config = clusterConfig({});
    const options = { folder, words: ["--capture", join(folder, "own.pcapng")] };
    const first = await DirectorProgram.start(lab, config, options);
    const file = join(folder, "asked.pcapng");
    const program = capture(lab, first.socket, "-w", file);
    await begun(file);
    await client.request({ requests: 5 });
    const second = await DirectorProgram.start(lab, config, { ...options, takeover: true });
    expect(await first.program.ended).toBe(0);
    await program.line(/^another director goes on: frames in between are missing$/);
    await client.request({ requests: 7 });
    // Each shown as it came in and as it went out.
    const syns = (path: string) =>
      commentsOf(path).filter((text) => /^Forwarded: .*new connection/.test(text)).length;
    await eventually("both are in it", () => syns(file) === 2 * 12 || undefined, 20_000);
    program.signal("SIGINT");
    expect(await program.ended).toBe(0);
    expect(program.lines.join("\n")).toMatch(/^\d\d+ packets captured, 0 missed$/m);
    expect(readCapture(readFileSync(file)).warning).toBeUndefined();
    expect(await second.stop()).toBe(0);
    expect(readCapture(readFileSync(join(folder, "own.pcapng"))).warning).toBeUndefined();
    expect(syns(join(folder, "own.pcapng"))).toBe(2 * 12);
  });

  test("ends with a sentence when no other does", async () => {
    const { lab, director } = await makeCluster();
    const file = join(makeFolder(), "all.pcapng");
    const program = capture(lab, director.socket, "-w", file);
    await begun(file);
    expect(await director.stop()).toBe(0);
    expect(await program.ended).toBe(0);
    expect(program.lines.join("\n")).toMatch(/the director has ended, and so has the capture\n\d+ packets/);
  });
});

describe("dr-director capture", () => {
  test.for([{ shards: 1 }, { shards: 2 }])("shows every frame with its verdict, %o", async ({ shards }) => {
    const { lab, client, director } = await makeCluster({ config: { shards } });
    await client.request({ requests: 3 });
    const file = join(makeFolder(), "all.pcapng");
    const program = capture(lab, director.socket, "-w", file);
    await begun(file);
    await sleep(300); // the last frames of the requests before
    const before = await verdictSum(director);
    const already = commentsOf(file).filter((text) => text.startsWith("Forwarded")).length;
    const round = await client.request({ requests: 12 });
    expect(round.failed).toBe(0);
    const after = await eventually("the last frame is shown", async () => {
      const sum = await verdictSum(director);
      const shown = commentsOf(file).filter((text) => text.startsWith("Forwarded")).length;
      const forwarded = sum.verdicts.Forwarded! - before.verdicts.Forwarded!;
      return shown - already >= 2 * forwarded ? { forwarded: forwarded + already / 2 } : undefined;
    });
    program.signal("SIGINT");
    expect(await program.ended).toBe(0);
    expect(program.lines.join("\n")).toContain("0 missed");
    const { packets, warning } = readCapture(readFileSync(file));
    expect(warning).toBeUndefined();
    const received = packets.filter(
      ({ direction, comments }) => direction === "inbound" && comments[0]!.startsWith("Forwarded"),
    );
    const sent = packets.filter(({ direction }) => direction === "outbound");
    expect(received).toHaveLength(after.forwarded);
    expect(sent).toHaveLength(after.forwarded);
    // What went out is what came in but for its MACs, in the same order.
    const behindMacs = (list: typeof packets) =>
      hexOf(list.map(({ bytes }) => ({ bytes: bytes.subarray(12) })));
    if (shards === 1) expect(behindMacs(sent)).toEqual(behindMacs(received));
    expect(sent[0]!.comments[0]).toMatch(/^Forwarded: tcp [\d.]+:80 → 10\.\S+:80, new connection, SYN_RECV/);
    // Stamped with the hour of the wall, not with the machine's running time.
    expect(Math.abs(packets[0]!.seconds - Date.now() / 1000)).toBeLessThan(60);
  });

  test("only what is asked for, only as many, and in a ring of files", async () => {
    const { lab, client, director } = await makeCluster();
    const folder = makeFolder();
    const clients = join(folder, "udp.pcapng");
    const counted = join(folder, "five.pcapng");
    const ring = join(folder, "ring.pcapng");
    const vip = clusterConfig({}).services![0]!.address!;
    const programs = [
      capture(lab, director.socket, "-w", clients, "--service", `udp ${vip}:7`),
      capture(lab, director.socket, "-w", counted, "-c", "5", "-s", "60"),
      capture(lab, director.socket, "-w", ring, "-C", "4k", "-W", "3"),
    ];
    await begun(clients);
    await begun(counted);
    await begun(`${ring}0`);
    await client.request({ requests: 40 });
    expect(await programs[1]!.ended).toBe(0);
    const five = readCapture(readFileSync(counted)).packets;
    expect(five).toHaveLength(5);
    expect(
      five.every(({ bytes, originalLength }) => bytes.length <= 60 && originalLength >= bytes.length),
    ).toBe(true);
    await eventually("the ring went round", () => existsSync(`${ring}2`) || undefined);
    for (const program of programs) program.signal("SIGINT");
    await Promise.all(programs.map((program) => program.ended));
    for (const n of [0, 1, 2]) {
      const bytes = readFileSync(`${ring}${n}`);
      expect(bytes.length).toBeLessThanOrEqual(4096);
      expect(readCapture(bytes).warning).toBeUndefined();
    }
    expect(readCapture(readFileSync(clients)).packets).toEqual([]);
    const refused = await lab
      .in("director")
      .run([...PROGRAM, "capture", "--socket", director.socket, "-w", ring, "--service", "tcp 10.9.9.9:1"]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("there is no service tcp 10.9.9.9:1");
  });

  test("what nobody could take, with the answer the client got, as tshark shows it", async (context) => {
    context.skip(!has("tshark"), "not installed: tshark; .ci/setup installs it");
    const { lab, client, director } = await makeCluster({ weights: [0, 0, 0] });
    const file = join(makeFolder(), "lost.pcapng");
    const program = capture(lab, director.socket, "-w", file, "--verdict", "dropped");
    await begun(file);
    await client.request({ requests: 1, timeout: 500 });
    await eventually("both are shown", () => (commentsOf(file).length >= 2 ? true : undefined));
    program.signal("SIGINT");
    await program.ended;
    const lines = execFileSync(
      "tshark",
      ["-r", file, "-n", "-T", "fields", "-e", "frame.comment", "-e", "icmp.code"],
      {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
      },
    ).split("\n");
    expect(lines[0]).toMatch(/^NoDestination: tcp [\d.]+:80, No real server can take it/);
    expect(lines[1]).toMatch(/^Answer to: NoDestination.*\t3/);
  });
});

test("run --capture writes from the beginning and closes its file in order", async () => {
  const lab = await makeLab();
  const folder = makeFolder();
  const file = join(folder, "run.pcapng");
  const config = join(folder, "director.yaml");
  const socket = join(folder, "control.sock");
  const fixed = { interface: "eth0", socket, state: "none" };
  writeFileSync(config, JSON.stringify({ ...clusterConfig({}), ...fixed }));
  const director = lab.spawn("director", [...PROGRAM, "run", "--config", config, "--capture", file]);
  await director.line(/"event":"ready"/, 15_000);
  const [client] = await Promise.all([Client.start(lab), startServers(lab)]);
  await client.request({ requests: 4 });
  director.signal("SIGTERM");
  expect(await director.ended).toBe(0);
  const said = director.lines.find((line) => line.includes('"event":"captured"'))!;
  const { packets, missed } = JSON.parse(said) as { packets: number; missed: number };
  expect(missed).toBe(0);
  const read = readCapture(readFileSync(file));
  expect(read.warning).toBeUndefined();
  expect(read.packets).toHaveLength(packets);
  expect(read.packets.filter(({ comments }) => comments[0]!.startsWith("Forwarded")).length).toBeGreaterThan(
    16,
  );
});

test("explain of a running director finds its connections and changes nothing", async () => {
  const { lab, client, director } = await makeCluster();
  const file = join(makeFolder(), "one.pcapng");
  const program = capture(lab, director.socket, "-w", file);
  await begun(file);
  await client.request({ requests: 2 });
  await eventually("frames are shown", () => (commentsOf(file).length > 8 ? true : undefined));
  program.signal("SIGINT");
  await program.ended;
  const { packets } = readCapture(readFileSync(file));
  const ask = async (...options: string[]): Promise<Explanation> => {
    const said = await lab
      .in("director")
      .run([...PROGRAM, "explain", "--json", "--socket", director.socket, ...options]);
    expect(said.stderr).toBe("");
    return JSON.parse(said.stdout) as Explanation;
  };
  // Rates go on moving without any traffic.
  const services = async () =>
    JSON.stringify(await director.ask("/v1/services"), (key, value) => (key === "rates" ? undefined : value));
  await sleep(300); // the last frames of the requests
  const counters = await director.ask("/v1/counters");
  const before = await services();
  const number = packets.findIndex(({ comments }) => comments[0]!.includes("tcp")) + 1;
  const known = await ask(file, String(number));
  expect(known.connection.what).not.toBe("none");
  const to = addressesOf(packets[number - 1]!.bytes);
  expect(known.flow).not.toBeNull();
  expect(to).toBeDefined();
  const vip = clusterConfig({}).services![0]!.address!;
  const made = await ask("--from", "203.0.113.77:4000", "--to", `${vip}:80`);
  expect(made).toMatchObject({
    verdict: { name: "Forwarded" },
    connection: { what: "made" },
    scheduling: { scheduler: "rr" },
    neighbour: { usable: true },
  });
  const again = await ask("--from", "203.0.113.77:4000", "--to", `${vip}:80`);
  expect(again.scheduling?.chose).toEqual(made.scheduling?.chose);
  expect(await services()).toBe(before);
  const verdicts = (value: unknown) => (value as { verdicts: Record<string, number> }).verdicts.Forwarded;
  expect(verdicts(await director.ask("/v1/counters"))).toBe(verdicts(counters));
});
