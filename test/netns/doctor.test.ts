/** The doctor on the lab: with each fault injected it names that fault and no other; with none all is well. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { activeFeatures } from "../../src/control/doctor/offloads.ts";
import { DISEASES } from "../../src/control/doctor/report.ts";
import { built } from "../../src/lab/built.ts";
import { Capture } from "../../src/lab/capture.ts";
import { within } from "../../src/lab/enter.ts";
import { FAULTS } from "../../src/lab/faults.ts";
import { Stage } from "../../src/lab/stage.ts";
import { DIP, VIP } from "../../src/lab/topology.ts";
import { eventually, needs } from "../helpers/world.ts";

/** 10.0.0.2 as /proc/net/tcp writes it. */
const DIP_HEX = "0200000A:";
/** ms for an answer: the lab's come within one. */
const PATIENCE = 100;

let stage: Stage;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "dr-director-test-"));
  stage = await Stage.create({ folder });
});
afterAll(async () => {
  await stage?.close();
  rmSync(folder, { recursive: true, force: true });
});

const named = async (): Promise<string[]> => {
  const { report } = await stage.doctor(PATIENCE);
  return report.findings.map(({ fault, subject }) => `${fault} ${subject}`);
};

test("a sound lab: all is well, exit code 0, and everything was looked at", async () => {
  const { report, code } = await stage.doctor(PATIENCE);
  expect(report.findings).toEqual([]);
  expect(report).toMatchObject({ version: 1, sound: true, interface: "eth0", dip: DIP });
  expect(code).toBe(0);
  expect(report.looked).toHaveLength(13);
});

/** What each fault is about; their names are the doctor's own words. */
const SUBJECTS: Record<string, string> = {
  "arp-leak": "10.0.0.11",
  "vip-missing": "10.0.0.12",
  "dead-server": "10.0.0.13",
  "mac-change": "10.0.0.12",
  "rip-twice": "10.0.0.13",
  "neighbour-unresolved": "10.0.0.13",
  "off-link": "10.7.0.50",
  "narrow-mtu": "10.0.0.12",
  "mtu-mismatch": "10.0.0.13",
  "rp-filter": "10.0.0.11",
  "wrong-gateway": "10.0.0.12",
  "host-answers": "the director",
  "vip-twice": VIP,
  "mac-moves": "the director",
  "no-link": "eth0",
  "no-director": "the director",
  "no-capability": "the director",
};

test("every fault of the lab is a disease that the doctor knows", () => {
  expect(FAULTS.map(({ name }) => name).sort()).toEqual(Object.keys(SUBJECTS).sort());
  expect(
    FAULTS.map(({ name }) => name).filter((name) => !(DISEASES as readonly string[]).includes(name)),
  ).toEqual([]);
});

test("no-capability is true: a director under it does not start, and says why", async () => {
  const mend = await FAULTS.find(({ name }) => name === "no-capability")!.inject(stage);
  try {
    const argv = [process.execPath, built("cli/dr-director.js"), "run", "--config", stage.configFile];
    const { code, stderr } = await stage.lab.run("director", [...stage.confinement, ...argv]);
    expect(stderr).toMatch(/missing CAP_NET_RAW/);
    expect(code).toBe(1);
  } finally {
    await mend();
  }
});

/** What clients notice of each: answers of 9, by whom; some faults bite only large or later packets. */
const NOTICED: Record<string, (answers: Record<string, number>, errors: string) => boolean> = {
  "arp-leak": (answers) => Object.keys(answers).length === 1,
  "vip-missing": (answers) => answers.rs2 === undefined && answers.rs1 === 3,
  "dead-server": (answers, errors) => answers.rs3 === undefined && errors.includes("ECONNREFUSED"),
  "mac-change": (answers) => answers.rs2 === undefined && answers.rs1 === 3,
  "rip-twice": (answers) => answers.rs3 === undefined && answers.rs1 === 3,
  "neighbour-unresolved": (answers) => answers.rs3 === undefined && answers.rs1 === 3,
  "off-link": (_, errors) => errors.includes("no answer"),
  "rp-filter": (answers) => answers.rs1 === undefined && answers.rs2 === 3,
  "wrong-gateway": (answers) => answers.rs2 === undefined && answers.rs1 === 3,
  "host-answers": (_, errors) => errors.includes("ECONNREFUSED"),
  "vip-twice": (answers, errors) => answers.rs1 === undefined && errors.includes("ECONNREFUSED"),
  "mac-moves": (_, errors) => errors.includes("no answer"),
  "no-link": (_, errors) => errors.includes("no answer"),
  "no-director": (_, errors) => errors !== "",
};

for (const fault of FAULTS) {
  test(`${fault.name}: ${fault.sentence} Clients notice it, the doctor names it alone; undone, all is well`, async () => {
    const mend = await fault.inject(stage);
    try {
      const noticed = NOTICED[fault.name];
      if (noticed !== undefined) {
        const round = await stage.requests(9, { timeout: 700 });
        expect(noticed(round.answers, round.errors.join()), JSON.stringify(round)).toBe(true);
      }
      expect(await named()).toEqual([`${fault.name} ${SUBJECTS[fault.name]}`]);
    } finally {
      await mend();
    }
    expect(await stage.requests(9)).toMatchObject({ answers: { rs1: 3, rs2: 3, rs3: 3 }, failed: 0 });
  });
}

test("after all of them the lab is as sound as before", async () => {
  expect(await named()).toEqual([]);
});

test("offloads are read as ethtool reads them", async (context) => {
  needs(context, "ethtool");
  const inside = stage.lab.in("director");
  const ours = within(inside, () => activeFeatures("eth0"))!;
  const { stdout } = await stage.lab.run("director", ["ethtool", "-k", "eth0"]);
  // Its indented names are the kernel's own; the others are groups of them.
  const lines = [...stdout.matchAll(/^\t([a-z0-9-]+): (on|off)/gm)];
  const theirs = lines.filter(([, , state]) => state === "on").map(([, name]) => name!);
  expect(lines.length).toBeGreaterThan(10);
  expect(theirs.length).toBeGreaterThan(3);
  expect(theirs.filter((name) => !ours.has(name))).toEqual([]);
  expect(lines.filter(([, name, state]) => state === "off" && ours.has(name!))).toEqual([]);
  expect(ours.has("rx-lro")).toBe(false);
  expect(within(inside, () => activeFeatures("nothing0"))).toBeUndefined();
});

test("two faults at once are both named", async () => {
  const [missing, leak] = ["vip-missing", "arp-leak"].map(
    (name) => FAULTS.find((fault) => fault.name === name)!,
  );
  const mends = [await missing!.inject(stage), await leak!.inject(stage)];
  try {
    expect((await named()).sort()).toEqual(["arp-leak 10.0.0.11", "vip-missing 10.0.0.12"]);
  } finally {
    for (const mend of mends) await mend();
  }
});

test("in words: fault, evidence and cure, in 80 columns; exit code 1", async () => {
  const mend = await FAULTS.find(({ name }) => name === "vip-missing")!.inject(stage);
  try {
    const { stdout, code } = await stage.lab.run("director", [
      process.execPath,
      built("cli/dr-director.js"),
      ...["doctor", "--socket", stage.director.socket, "--patience", String(PATIENCE)],
    ]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^✗ vip-missing$/m);
    expect(stdout).toContain("    on 10.0.0.12:\n        ip address add 10.0.0.100/32 dev lo\n");
    expect(stdout).toMatch(/1 thing is wrong\.\n$/);
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  } finally {
    await mend();
  }
});

test("the cure that is printed for a missing VIP cures it", async () => {
  await FAULTS.find(({ name }) => name === "vip-missing")!.inject(stage);
  const { report } = await stage.doctor(PATIENCE);
  await stage.lab.in("rs2").sh(report.findings[0]!.cure[0]!.commands[0]!);
  expect(await named()).toEqual([]);
});

test("an examination leaves no half-open connection, and takes nothing away from the clients", async () => {
  const arp = await Capture.start(stage.lab, "switch", "director");
  const round = stage.client.request({ requests: 60, parallel: 3, pause: 10 });
  await stage.doctor(PATIENCE);
  expect(await round).toMatchObject({ failed: 0 });
  await arp.stop();
  for (const name of stage.lab.realServers) {
    // State 03 is SYN_RECV (net/tcp_states.h); one that nobody takes back stays for more than a minute.
    await eventually(`no half-open connection on ${name}`, async () => {
      const sockets = (await stage.lab.in(name).sh("cat /proc/net/tcp")).split("\n");
      const halfOpen = sockets
        .map((line) => line.trim().split(/\s+/))
        .filter(([, , , state]) => state === "03");
      // The faults before this have left clients' own: only what the director's host asked for is the doctor's.
      return halfOpen.every(([, , remote]) => !remote!.startsWith(DIP_HEX)) || undefined;
    });
  }
});
