/** Each lesson on the lab: its point is seen, and is not seen when the one thing that it is about is left out. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { built } from "../../src/lab/built.ts";
import type { FaultReport } from "../../src/lab/fault-show.ts";
import { LESSONS } from "../../src/lab/lessons/lessons.ts";
import { type LessonReport, teach } from "../../src/lab/lessons/teach.ts";
import { run } from "../../src/lab/program.ts";
import { Stage } from "../../src/lab/stage.ts";
import { needs } from "../helpers/world.ts";

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

/** What people might type: right, and wrong. A lesson whose right answer differs from run to run names no right one. */
const ANSWERS: Record<string, { right: string[]; wrong: string[] }> = {
  "frames-way": { right: ["router", "the router", " ROUTER "], wrong: ["director", "client", ""] },
  "vip-on-lo": { right: ["InAddrErrors", "inaddrerrors"], wrong: ["InDiscards", "InReceives", "addr"] },
  "arp-problem": { right: ["rs1"], wrong: ["director", "rs2", "router"] },
  "source-mac": { right: ["director"], wrong: ["router", "rs1", "none"] },
  "no-port-mapping": { right: ["8088"], wrong: ["80", "8080"] },
  "wrr-and-wlc": { right: ["0"], wrong: ["6", "4", "none of them"] },
  persistence: { right: [], wrong: ["rs1, rs2, rs3", "all", "rs4"] },
  drain: { right: ["ActiveConn", "active"], wrong: ["InActConn", "Weight", "inactive"] },
  fragments: {
    right: ["identification", "the ID", "IP identification"],
    wrong: ["port", "offset", "ttl", "idle"],
  },
  "half-done-checksum": { right: ["no", "No."], wrong: ["yes", "none", "perhaps"] },
  mtu: { right: ["10.0.0.100", "the VIP"], wrong: ["10.0.0.11", "10.7.0.10", "10.0.0.2"] },
  "director-failure": { right: ["0", "none"], wrong: ["60", "1", "all"] },
};

for (const lesson of LESSONS) {
  test(`${lesson.name}: its point is seen, the right answers are taken, wrong ones are not, and all is as before`, async () => {
    const told: string[] = [];
    const { problems, question } = await teach(stage, lesson, { say: (line) => told.push(line) });
    expect(problems, told.join("\n")).toEqual([]);
    const { right, wrong } = ANSWERS[lesson.name]!;
    expect([question.answer, ...right].filter((answer) => !question.accepts(answer))).toEqual([]);
    expect(wrong.filter((answer) => question.accepts(answer))).toEqual([]);
    expect(question.hints.length).toBeGreaterThan(0);
    expect(told.filter((line) => line.length > 80)).toEqual([]);
    expect(await stage.requests(9)).toMatchObject({ answers: { rs1: 3, rs2: 3, rs3: 3 }, failed: 0 });
  });

  test(`${lesson.name}: without the one thing that it is about, its check fails`, async () => {
    const { problems } = await teach(stage, lesson, { pointless: true });
    expect(problems.length).toBeGreaterThan(0);
  });
}

const lab = (...words: string[]) =>
  run([process.execPath, built("cli/dr-director.js"), "lab", ...words], { timeout: 60_000 });

test("lab --lesson for machines: one JSON document, and the exit code says whether the answer is right", async () => {
  const [right, wrong] = await Promise.all([
    lab("--lesson", "vip-on-lo", "--json", "--answer", "InAddrErrors"),
    lab("--lesson", "vip-on-lo", "--json", "--answer", "InDiscards"),
  ]);
  expect([right.stderr, wrong.stderr]).toEqual(["", ""]);
  const good = JSON.parse(right.stdout) as LessonReport;
  expect(good).toMatchObject({ version: 1, lesson: "vip-on-lo", held: true, right: true, hint: null });
  expect(good.because).not.toBeNull();
  expect(right.code).toBe(0);
  const bad = JSON.parse(wrong.stdout) as LessonReport;
  expect(bad).toMatchObject({ held: true, given: "InDiscards", right: false, because: null });
  expect(bad.hint).not.toBeNull();
  expect(wrong.code).toBe(1);
});

test("lab --lesson for people: it is told, the question is asked, a wrong answer gets a hint, the right one its reason", async (context) => {
  needs(context, "script");
  // A terminal of its own (script(1)): "router" is right, the two before it are not.
  const command = `${process.execPath} ${built("cli/dr-director.js")} lab --lesson frames-way`;
  const { stdout } = await run(["script", "-qefc", command, "/dev/null"], {
    input: "the director\nclient\nrouter\n",
    env: { NO_COLOR: "1" },
    timeout: 30_000,
  });
  const lines = stdout.replaceAll("\r", "").split("\n");
  expect(lines).toContain("The frame's way");
  expect(lines.filter((line) => line.endsWith("No."))).toHaveLength(2);
  expect(lines.filter((line) => line.startsWith("A hint: "))).toHaveLength(2);
  expect(stdout).toMatch(/Right\./);
  expect(stdout).toContain("docs/lessons/frames-way.md");
});

test("lab --fault --doctor for machines: before, during, after, and the doctor's word; unknown names are told", async () => {
  const [broken, unknown] = await Promise.all([
    lab("--fault", "dead-server", "--doctor", "--json"),
    lab("--fault", "dead-serve"),
  ]);
  expect(broken.stderr).toBe("");
  const report = JSON.parse(broken.stdout) as FaultReport;
  expect(report).toMatchObject({ version: 1, fault: "dead-server", held: true });
  expect(report.before.answers).toEqual({ rs1: 4, rs2: 4, rs3: 4 });
  expect(report.during).toMatchObject({ answers: { rs1: 4, rs2: 4 }, failed: 4 });
  expect(report.after.failed).toBe(0);
  expect(report.doctor!.findings.map(({ fault }) => fault)).toEqual(["dead-server"]);
  expect(broken.code).toBe(0);
  expect(unknown.code).toBe(1);
  expect(unknown.stderr).toMatch(/^dr-director lab: there is no fault "dead-serve", only arp-leak, .*\n$/);
});
