import { spawn } from "node:child_process";
import { chownSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { built } from "../../src/lab/built.ts";
import { type Outcome, Program, run } from "../../src/lab/program.ts";
import type { LabReport } from "../../src/lab/report.ts";
import { eventually, makeFolder } from "../helpers/world.ts";

const COMMAND = [process.execPath, built("cli/dr-director.js"), "lab"];

/** A folder for temporary files and a name in the environment: what carries it is ours, whoever else runs labs here. */
function makeMark() {
  const folder = makeFolder();
  const mark = `DR_DIRECTOR_TEST_MARK=${folder}`;
  const env = { TMPDIR: folder, DR_DIRECTOR_TEST_MARK: folder };
  const carries = (pid: string): boolean => {
    try {
      return readFileSync(`/proc/${pid}/environ`, "latin1").split("\0").includes(mark);
    } catch {
      return false; // gone meanwhile, or nobody's business
    }
  };
  return {
    env,
    lab: (...args: string[]): Promise<Outcome> => run([...COMMAND, ...args], { timeout: 60_000, env }),
    /** Names of what is left in the folder. */
    files: (): string[] => readdirSync(folder),
    /** Ids of the processes that carry the mark. */
    processes: (): string[] => readdirSync("/proc").filter((name) => /^\d+$/.test(name) && carries(name)),
  };
}

function checkReport(report: LabReport): void {
  expect(report.problems).toEqual([]);
  expect(report).toMatchObject({ version: 1, held: true });
  const rounds = Object.fromEntries(report.schedulers.map(({ scheduler, answers }) => [scheduler, answers]));
  expect(Object.keys(rounds)).toEqual(["rr", "wrr", "lc", "wlc", "sh"]);
  expect(rounds.rr).toEqual({ rs1: 8, rs2: 8, rs3: 8 });
  expect(rounds.wrr).toEqual({ rs1: 12, rs2: 8, rs3: 4 });
  for (const { answers, requests } of report.schedulers) {
    expect(Object.values(answers).reduce((sum, count) => sum + count, 0)).toBe(requests);
  }
  const { wayBack, frame, verdicts } = report;
  expect(wayBack).toMatchObject({ answersAtDirector: 0, held: true });
  expect(wayBack.bytesToRouter).toBeGreaterThan(10 * wayBack.bytesToDirector);
  expect(frame!.before.slice(24)).toBe(frame!.after.slice(24));
  expect(frame!.changed.every((at) => at < 12)).toBe(true);
  expect(Object.values(verdicts.verdicts).reduce((sum, count) => sum + count, 0)).toBe(verdicts.received);
}

test("lab --once --json: one JSON document on stdout, exit code 0, nothing left behind", async () => {
  const { lab, files, processes } = makeMark();
  const outcome = await lab("--once", "--json");
  expect(outcome.stderr).toBe("");
  const report = JSON.parse(outcome.stdout) as LabReport;
  checkReport(report);
  expect(outcome.code).toBe(0);
  // Every key that is printed is explained.
  const parts = [report, report.lab, report.schedulers[0]!, report.wayBack, report.frame!, report.verdicts];
  const explained = readFileSync(join(import.meta.dirname, "../../docs/lab-json.md"), "utf8");
  const words = new Set(explained.split(/[^a-zA-Z]+/));
  expect(parts.flatMap(Object.keys).filter((key) => !words.has(key))).toEqual([]);
  expect(files()).toEqual([]);
  expect(processes()).toEqual([]);
});

test("an ordinary user runs the same lab without root", async (context) => {
  const { env, files, processes } = makeMark();
  // When the tests themselves are run by an ordinary user, they are in such a user namespace already.
  const rootless = process.env.DR_DIRECTOR_LAB_USER_NAMESPACE === "1";
  const nobody = rootless ? [] : ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
  const readable = await run([...nobody, "test", "-r", COMMAND[1]!]);
  context.skip(readable.code !== 0, "user 65534 cannot read this clone");
  if (!rootless) chownSync(env.TMPDIR, 65534, 65534);
  const { stdout, stderr, code } = await run([...nobody, ...COMMAND, "--json"], {
    env: { ...env, HOME: "/nonexistent" },
  });
  expect(stderr).toBe("");
  const report = JSON.parse(stdout) as LabReport;
  checkReport(report);
  expect(report.lab.rootless).toBe(true);
  expect(code).toBe(0);
  expect({ files: files(), processes: processes() }).toEqual({ files: [], processes: [] });
});

test("lab --once tells the same in words: who answered, the way back, one frame, the verdicts", async () => {
  const { stdout, code } = await makeMark().lab("--once", "--shards", "2");
  expect(code).toBe(0);
  expect(stdout).toMatch(/^ {2}rr +1:1:1 +24 +8 +8 +8 {2}✓ each in turn$/m);
  expect(stdout).toContain("no answer was received or sent by the director");
  expect(stdout).toMatch(/^ {2}before {2}0000 {2}02 00 0a 00 00 02 02 00 {2}0a 00 00 01 08 00 45 00$/m);
  expect(stdout).toMatch(/of \d+ received {2}✓/);
  expect(stdout).toContain("Everything held.");
  expect(stdout).not.toContain("\x1b"); // not a terminal: no colour
  expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
});

test("a scheduler of one's own, from a module file", async () => {
  const module = join(makeFolder(), "mine.mjs");
  // Always the first of the list: the real server that was added last.
  writeFileSync(module, "export const mine = { name: 'mine', schedule: (service) => service.members[0] };\n");
  const { stdout, stderr, code } = await makeMark().lab("--json", "--scheduler", module);
  expect(stderr).toBe("");
  const { schedulers } = JSON.parse(stdout) as LabReport;
  expect(schedulers.map(({ scheduler }) => scheduler)).toEqual(["mine"]);
  expect(Object.values(schedulers[0]!.answers).filter((count) => count > 0)).toEqual([
    schedulers[0]!.requests,
  ]);
  expect(code).toBe(0);
});

test("an unknown scheduler is one sentence with the names that exist", async () => {
  const { stdout, stderr, code } = await makeMark().lab("--scheduler", "fair");
  expect({ stdout, code }).toEqual({ stdout: "", code: 1 });
  expect(stderr).toMatch(/^dr-director lab: there is no scheduler "fair", only rr, wrr.*\n$/);
});

test("without --once it stays with live rates until Ctrl-C, and then nothing is left", async () => {
  const { env, processes, files } = makeMark();
  const program = new Program("lab", COMMAND, env);
  onTestFinished(() => void program.stop());
  const rates = /^ +\d+\/s +\d+\/s +\d+\/s +[1-9]\d*\/s +[1-9]\d*\/s +[\d.]+ kB\/s$/;
  await program.line(rates, 60_000);
  await program.next(rates, 60_000);
  program.signal("SIGINT");
  expect(await program.ended).toBe(0);
  await eventually("nothing is left", () => processes().length + files().length === 0);
});

test("it ends without a word when nobody reads what it says, and leaves nothing behind", async () => {
  const { env, processes, files } = makeMark();
  const line = `"$@" --once | head -1; printf "%s" "\${PIPESTATUS[0]}"`;
  const { stdout, stderr } = await run(["bash", "-c", line, "bash", ...COMMAND], { timeout: 60_000, env });
  expect(stderr).toBe("");
  expect(stdout).toMatch(/^dr-director lab {2}.*\n141$/);
  await eventually("nothing is left", () => processes().length + files().length === 0);
});

test("lab --keep leaves it standing, tells how to enter each namespace, and kill ends it", async () => {
  const { lab, processes } = makeMark();
  const { stdout, code } = await lab("--once", "--keep");
  expect(code).toBe(0);
  const pid = Number(/^To end the lab: kill (\d+)$/m.exec(stdout)![1]);
  onTestFinished(() => {
    if (processes().length > 0) process.kill(pid, "SIGKILL");
  });
  for (const name of ["client", "router", "switch", "director", "rs1", "rs2", "rs3"])
    expect(stdout).toMatch(new RegExp(`^ {2}${name} +.*nsenter .*--net=/proc/`, "m"));
  const printed = /^ {2}client +(?:sudo )?(nsenter .*)$/m.exec(stdout)![1]!.split(" ");
  // Run by an ordinary user, this test is in that user namespace already, and nobody can enter where they are.
  const enter = process.env.DR_DIRECTOR_LAB_USER_NAMESPACE
    ? printed.filter((word) => !/user|preserve/.test(word))
    : printed;
  const inside = await run([...enter, "ip", "-4", "-o", "address", "show", "dev", "eth0"]);
  expect(inside.stdout).toContain("10.7.0.10/24");
  const answer = await run([
    ...enter,
    process.execPath,
    "-e",
    "fetch('http://10.0.0.100/').then((r) => r.text()).then(console.log)",
  ]);
  expect(answer.stdout).toMatch(/^rs[123]\n/);
  process.kill(pid, "SIGTERM");
  await eventually("everything is gone", () => processes().length === 0 || undefined);
});

test("a lab killed with -9 in the middle leaves no process, and the next one sweeps its folder", async () => {
  const { lab, env, files, processes } = makeMark();
  const victim = spawn(COMMAND[0]!, COMMAND.slice(1), {
    stdio: ["ignore", "pipe", "ignore"],
    env: { ...process.env, ...env },
  });
  await new Promise((resolve) => victim.stdout.once("data", resolve)); // the cluster stands, requests run
  expect(processes().length).toBeGreaterThan(10);
  victim.kill("SIGKILL");
  await eventually("every process is gone", () => processes().length === 0 || undefined);
  expect(files()).toHaveLength(1);
  expect((await lab("--json", "--scheduler", "rr")).code).toBe(0);
  expect(files()).toEqual([]);
});
