/** `dr-director simulate` and the loading of users' schedulers, with the ten-line example. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Command } from "commander";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { register } from "../../src/cli/commands/simulate.ts";
import { niceStep } from "../../src/cli/plot-style.ts";
import { loadScheduler, SchedulerModuleError } from "../../src/control/scheduler-modules.ts";
import { tcpFrame } from "../../src/wire/frame.ts";
import { pcapHeader, pcapRecord } from "../../src/wire/pcap.ts";

const ROOT = resolve(import.meta.dirname, "../..");
let folder: string;
let out: string;
let errors: string;

/** The example as its reader would compile it: checked against the public types, then JavaScript. */
function compileExample(): string {
  const config = join(folder, "tsconfig.json");
  const compilerOptions = {
    ...{ rootDir: ROOT, outDir: join(folder, "compiled"), typeRoots: [join(ROOT, "node_modules/@types")] },
    ...{ paths: { "dr-director": [join(ROOT, "src/index.ts")] }, incremental: false, declaration: false },
  };
  const files = [join(ROOT, "examples/rendezvous.ts")];
  writeFileSync(
    config,
    JSON.stringify({ extends: join(ROOT, "tsconfig.json"), compilerOptions, include: [], files }),
  );
  execFileSync(join(ROOT, "node_modules/.bin/tsc"), ["-p", config], { encoding: "utf8" });
  return join(folder, "compiled/examples/rendezvous.js");
}

function module(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** Runs the command; gives its exit code. */
async function simulate(...words: string[]): Promise<number> {
  out = "";
  errors = "";
  const stdout = vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    out += String(text);
    return true;
  });
  const stderr = vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    errors += String(text);
    return true;
  });
  const program = new Command("dr-director")
    .exitOverride()
    .configureOutput({ writeErr: (text) => void (errors += text) });
  register(program);
  for (const command of program.commands) command.exitOverride();
  try {
    process.exitCode = undefined;
    await program.parseAsync(["simulate", ...words], { from: "user" });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if ((error as { code?: string }).code?.startsWith("commander.") !== true) throw error;
    return (error as { exitCode: number }).exitCode;
  } finally {
    process.exitCode = undefined;
    stdout.mockRestore();
    stderr.mockRestore();
  }
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "simulate-"));
  // Modules are found to be ES modules by their package.
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
});
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(() => vi.restoreAllMocks());

describe("a scheduler of one's own", () => {
  it("in ten typed lines, compiled against the public types, moves nobody needlessly", async () => {
    const path = compileExample();
    const text = readFileSync(join(ROOT, "examples/rendezvous.ts"), "utf8");
    expect(text.split("schedule(service, flow) {")[1]!.split("\n").length).toBeLessThanOrEqual(12);
    expect((await loadScheduler(path)).name).toBe("rendezvous");
    expect(
      await simulate("-s", path, "-w", "1,1,1,1", "--remove", "rs2", "--connections", "4000", "--json"),
    ).toBe(0);
    const { runs } = JSON.parse(out);
    expect(runs[0].disruption.returning).toBeGreaterThan(500);
    expect(runs[0].disruption.movedNeedlessly).toBe(0);
    for (const server of runs[0].servers) expect(server.connections).toBeGreaterThan(300);
  });

  it.each([
    ["the default export", "export default { name: 'mine', schedule: () => -1 }"],
    [
      "the only one of several exports",
      "export const x = 1; export const mine = { name: 'mine', schedule: () => -1 }",
    ],
    [
      "the default of several",
      "export const a = { name: 'a', schedule() {} }; export default { name: 'mine', schedule() {} }",
    ],
    ["exported twice", "export const mine = { name: 'mine', schedule() {} }; export default mine"],
  ])("is loaded when it is %s", async (what, text) => {
    const path = module(`${what.replaceAll(" ", "-")}.js`, text);
    expect((await loadScheduler(path)).name).toBe("mine");
  });

  it.each([
    ["none.js", "export const x = 1", /exports no object with `name` and `schedule` \(it exports x\)/],
    ["empty.js", "", /it exports nothing/],
    [
      "two.js",
      "export const a = {name:'a',schedule(){}}, b = {name:'b',schedule(){}}",
      /several schedulers \(a, b\)/,
    ],
    ["name.js", "export default { name: 'Mine!', schedule() {} }", /its name "Mine!" is not up to 15/],
    [
      "hook.js",
      "export default { name: 'mine', schedule() {}, prepare: 3 }",
      /its prepare is not a function/,
    ],
    ["throws.js", "throw new Error('at once')", /at once/],
    ["syntax.js", "export default {", /Unexpected|expected|parse/i],
    // What Node 20 says of a .ts file.
    [
      "typed.js",
      "throw Object.assign(new Error('Unknown'), { code: 'ERR_UNKNOWN_FILE_EXTENSION' })",
      /does not run this kind of file; compile TypeScript first/,
    ],
  ])("is refused with the reason: %s", async (name, text, reason) => {
    const path = module(name, text);
    await expect(loadScheduler(path)).rejects.toThrow(reason);
    await expect(loadScheduler(path)).rejects.toThrow(SchedulerModuleError);
    await expect(loadScheduler(path)).rejects.toThrow(path);
  });

  it("is refused when there is no such file", async () => {
    await expect(loadScheduler(join(folder, "nowhere.js"))).rejects.toThrow(
      /nowhere\.js: there is no such file/,
    );
    expect(await simulate("-s", join(folder, "nowhere.js"))).toBe(1);
    expect(errors).toMatch(/^dr-director simulate: .*there is no such file\n$/);
  });

  it("that breaks its contract is named with what it did", async () => {
    const path = module("wild.js", "export default { name: 'wild', schedule: () => 99 }");
    expect(await simulate("-s", path)).toBe(1);
    expect(errors).toBe(
      "dr-director simulate: wild chose 99: neither NO_DESTINATION nor one of service.members\n",
    );
  });
});

describe("dr-director simulate", () => {
  it("prints distribution, fairness over time and the removal's disruption", async () => {
    expect(await simulate("-s", "wlc", "--remove", "rs2@50")).toBe(0);
    expect(out).toMatch(/^wlc: 10000 connections; fairness 1\.000 on average/);
    expect(out).toMatch(/^server {2}weight {2}connections {3}share {2}by weight {2}active {2}at most$/m);
    expect(out.match(/^rs[123] .*%/gm)).toHaveLength(3);
    expect(out).toMatch(/^time {5}fairness {2}rs1 {2}rs2 {2}rs3$/m);
    expect(out.match(/^\d+\.\d s {3,}\d\.\d{3}/gm)).toHaveLength(10);
    const told =
      /^removal of rs2: (\d+) connections broken; (\d+) clients came again, (\d+) of them had been with it;\nof the other (\d+), (\d+) /m;
    const [broken, returning, displaced, others, moved] = told.exec(out)!.slice(1).map(Number);
    await simulate("-s", "wlc", "--remove", "rs2@50", "--json");
    expect(JSON.parse(out).runs[0].disruption).toEqual({
      ...{ server: 1, broken, returning, displaced, movedNeedlessly: moved },
    });
    expect(others).toBe(returning! - displaced!);
  });

  it("compares all schedulers, and says what was refused", async () => {
    expect(await simulate("-s", "all", "--connections", "2000")).toBe(0);
    expect(out).toMatch(/^scheduler {2}refused {2}fairness {2}at least$/m);
    expect(out.split("scheduler  refused")[1]!.trim().split("\n")).toHaveLength(15);
    expect(out).toMatch(/^ovf: 2000 connections, \d+ refused/m);
  });

  it("prints one JSON document, the same every time", async () => {
    const words = ["-s", "twos", "-s", "mh", "--connections", "500", "--json", "-w", "2,1"];
    expect(await simulate(...words)).toBe(0);
    const first = out;
    const { format, connections, end, runs } = JSON.parse(first);
    expect(format).toBe("dr-director-simulation/1");
    expect(connections).toMatchObject({ seed: 1, connections: 500, rate: 100 });
    expect(end).toBeGreaterThan(4000);
    expect(runs.map((r: { scheduler: string }) => r.scheduler)).toEqual(["twos", "mh"]);
    expect(runs[0].samples).toHaveLength(60);
    await simulate(...words);
    expect(out).toBe(first);
    await simulate(...words, "--seed", "2");
    expect(out).not.toBe(first);
  });

  it("draws a picture with a line for each server, in both themes", async () => {
    const path = join(folder, "plot.svg");
    const mine = module("amp.js", "export default { name: 'amp', schedule: (s) => s.members[0] }");
    expect(
      await simulate("-s", "sh", "-s", mine, "--remove", "1", "--plot", path, "-w", Array(20).fill(1).join()),
    ).toBe(0);
    const svg = readFileSync(path, "utf8");
    expect(svg.match(/<polyline /g)).toHaveLength(2 * 21);
    expect(svg.match(/>removal</g)).toHaveLength(2);
    expect(svg).toContain("prefers-color-scheme:dark");
    expect(svg).toContain('<title id="title">Simulation of sh, amp</title>');
    expect(svg).toContain(">and more<");
    expect(svg).not.toMatch(/NaN|undefined|Infinity/);
    // Every element that is opened is closed.
    const open = [...svg.matchAll(/<([a-z]+)\b[^>]*?(\/?)>/g)].filter((m) => m[2] === "").map((m) => m[1]);
    const closed = [...svg.matchAll(/<\/([a-z]+)>/g)].map((m) => m[1]);
    expect(closed.sort()).toEqual(open.sort());
  });

  it("takes connections from a capture, of one virtual service", async () => {
    const frames = Array.from({ length: 40 }, (_, i) =>
      tcpFrame({
        source: 0x0a010000 + i,
        destination: 0x0a000064 + (i % 2),
        sourcePort: 5000,
        destinationPort: 80,
      }),
    );
    const records = frames.map((bytes, i) => pcapRecord({ seconds: 100 + i, nanoseconds: 0, bytes }));
    const path = join(folder, "in.pcap");
    writeFileSync(path, Buffer.concat([pcapHeader(), ...records]));
    expect(await simulate("-s", "rr", "--from", path, "--json")).toBe(0);
    expect(JSON.parse(out).connections).toEqual({ capture: path, connections: 40 });
    expect(await simulate("-s", "rr", "--from", path, "--vip", "10.0.0.101:80", "--json")).toBe(0);
    expect(JSON.parse(out).runs[0].connections).toBe(20);
    expect(await simulate("-s", "rr", "--from", path, "--vip", "10.0.0.102")).toBe(2);
    expect(errors).toMatch(/no connection begins in it there/);
    const other = {
      source: [1, 2, 3, 4],
      destination: [5, 6, 7, 8],
      sourcePort: 1,
      destinationPort: 2,
    } as const;
    const v6 = pcapRecord({ seconds: 150, nanoseconds: 0, bytes: tcpFrame(other) });
    writeFileSync(path, Buffer.concat([pcapHeader(), ...records, v6]));
    expect(await simulate("-s", "rr", "--from", path, "--json")).toBe(0);
    expect(JSON.parse(out).connections.connections).toBe(40);
    expect(errors).toMatch(/1 connections of the other IP version are left out/);
    writeFileSync(path, Buffer.concat([pcapHeader(), ...records]).subarray(0, -5));
    expect(await simulate("-s", "rr", "--from", path)).toBe(0);
    expect(errors).toMatch(/cut off at byte/);
  });

  it.each([
    [["-s", "nope"], /there is no scheduler nope; there are rr, wrr/, 2],
    [["-s", "rr", "-b", "sh-port"], /incompatible scheduler flag `sh-port'/, 2],
    [["-s", "rr", "--remove", "rs4"], /--remove rs4: there are 3 servers/, 2],
    [["-s", "rr", "--vip", "x", "--from", "/dev/null"], /capture|--vip/, 1],
    [["-s", "rr", "--from", "/nonexistent"], /ENOENT/, 1],
    [["-s", "rr", "-w", "1,x"], /a whole number from 0 to 65535/, 1],
    [["-s", "rr", "--remove", "0"], /as rs2 or rs2@30/, 1],
    [["-s", "rr", "--rate", "0"], /a number from 0.001/, 1],
    [[], /required option/, 1],
  ])("refuses %j", async (words, message, code) => {
    expect(await simulate(...words)).toBe(code);
    expect(errors).toMatch(message);
    expect(out).toBe("");
  });

  it("has steps of 1, 2 or 5 on its axes", () => {
    expect([1, 7, 43, 260, 1000, 0.3].map((span) => Number(niceStep(span, 5).toPrecision(3)))).toEqual([
      0.2, 2, 10, 100, 200, 0.1,
    ]);
  });
});
