import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { faultList } from "../../src/lab/fault-show.ts";
import { FAULTS, findFault } from "../../src/lab/faults.ts";
import { lessonList } from "../../src/lab/lesson-show.ts";
import { checksumsOf } from "../../src/lab/lessons/half-done-checksum.ts";
import { exactly } from "../../src/lab/lessons/lesson.ts";
import { findLesson, LESSONS } from "../../src/lab/lessons/lessons.ts";
import { reportOf } from "../../src/lab/lessons/teach.ts";
import { frameLine } from "../../src/lab/lessons/telling.ts";
import { ipCounters } from "../../src/lab/lessons/vip-on-lo.ts";

const PAGES = join(import.meta.dirname, "../../docs/lessons");
const page = (name: string): string => readFileSync(join(PAGES, `${name}.md`), "utf8");

test("every lesson has its page and every page its lesson; the page says how to run it", () => {
  const names = LESSONS.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  const pages = readdirSync(PAGES).filter((file) => file !== "README.md");
  expect(pages.map((file) => file.replace(/\.md$/, "")).sort()).toEqual([...names].sort());
  for (const { name, title } of LESSONS) {
    expect(page(name).split("\n")[0]).toBe(`# ${title}`);
    expect(page(name)).toContain(`lab --lesson ${name}`);
    expect(page("README")).toContain(`(${name}.md)`);
  }
});

test("links between the pages lead somewhere", () => {
  for (const file of readdirSync(PAGES)) {
    const links = [...readFileSync(join(PAGES, file), "utf8").matchAll(/\]\(([^)#]+)\)/g)].map(
      ([, target]) => target!,
    );
    for (const target of links) expect(existsSync(join(PAGES, target)), `${file}: ${target}`).toBe(true);
  }
});

test("the lists fit into 80 columns and name everything", () => {
  const lines = [...faultList().split("\n"), ...lessonList().split("\n")];
  expect(lines.filter((line) => line.length > 80)).toEqual([]);
  for (const { name } of [...FAULTS, ...LESSONS])
    expect(lines.some((line) => line.startsWith(`${name} `))).toBe(true);
  for (const { sentence } of FAULTS) expect(sentence).toMatch(/^[A-Za-z`].*\.$/);
});

test("an unknown name is told with those that exist", () => {
  expect(() => findFault("arp")).toThrow(/no fault "arp", only arp-leak, /);
  expect(() => findLesson("arp")).toThrow(/no lesson "arp", only frames-way, /);
});

test("a word is right whatever its case and the blanks around it, and nothing else is", () => {
  const accepts = exactly("router", "the router");
  expect([" Router", "THE ROUTER "].every(accepts)).toBe(true);
  expect(["", "routers", "a router", "the  router"].some(accepts)).toBe(false);
});

// The recorded SYN of evidence.test.ts: from a machine that leaves checksums to its network card.
const SYN = Buffer.from(
  "02000a00000202000a00000108004500003cd25540003f0654f20a07000a0a000064" +
    "af920050a4d8dfc100000000a002faf014a30000020405b40402080ad44ae7d1000000000103030a",
  "hex",
);
const captured = (bytes: Uint8Array) => ({ time: 0, sent: true, length: bytes.length, bytes });

test("a half-done checksum is told from a finished one", () => {
  const half = checksumsOf(captured(SYN));
  expect(half.field).toBe(half.pseudo);
  expect(half.field).not.toBe(half.whole);
  const finished = Buffer.from(SYN);
  finished.writeUInt16BE(half.whole, 50);
  const done = checksumsOf(captured(finished));
  expect(done).toEqual({ field: half.whole, pseudo: half.pseudo, whole: half.whole });
});

test("a frame is told by who sent it to whom, in the lab's names", () => {
  expect(frameLine("to director", captured(SYN))).toBe(
    "  to director    router → director  10.7.0.10:44946 → 10.0.0.100:80  SYN",
  );
});

test("the kernel's counters are read by their names", () => {
  const snmp = "Ip: Forwarding InReceives InAddrErrors\nIp: 2 17 3\nIcmp: InMsgs\nIcmp: 9\n";
  expect(ipCounters(snmp)).toEqual({ Forwarding: 2, InReceives: 17, InAddrErrors: 3 });
});

test("a report tells a reason to the right answer, a hint to a wrong one, neither to none", () => {
  const question = { text: "?", accepts: exactly("x"), answer: "x", hints: ["h"], because: "b" };
  const given = (answer?: string) => {
    const { right, hint, because } = reportOf(LESSONS[0]!, { problems: [], question }, [], answer);
    return { right, hint, because };
  };
  expect(given("x")).toEqual({ right: true, hint: null, because: "b" });
  expect(given("y")).toEqual({ right: false, hint: "h", because: null });
  expect(given()).toEqual({ right: null, hint: null, because: null });
});
