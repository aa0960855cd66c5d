import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { parseConfig } from "../../src/control/config.ts";
import { difference, parseNetDev } from "../../src/lab/counters.ts";
import { labConfig, verdictReport } from "../../src/lab/main-job.ts";
import { patternBytes, patternHash } from "../../src/lab/pattern.ts";
import { enterLines } from "../../src/lab/print.ts";
import { refusal } from "../../src/lab/privilege.ts";
import { chooseSchedulers } from "../../src/lab/scheduler-choice.ts";
import { makeScratch, sweepScratch } from "../../src/lab/scratch.ts";
import { bytesText, styleFor } from "../../src/lab/style.ts";
import { macOf } from "../../src/lab/topology.ts";

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "dr-director-test-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test("a MAC spells its interface's address", () => {
  expect(macOf("10.0.0.100")).toBe("02:00:0a:00:00:64");
  expect(macOf("255.1.16.0")).toBe("02:00:ff:01:10:00");
});

test("the kernel's table of interfaces is read by its columns", () => {
  // proc(5): bytes packets errs drop fifo frame compressed multicast | bytes packets errs drop …
  const text =
    "Inter-|   Receive  |  Transmit\n face |bytes\n    lo:  1 2 0 0 0 0 0 0  3 4 0 0 0 0 0 0\n" +
    "  eth0:1001 12 1 5 0 0 0 0 2002 22 0 6 0 0 0 0\n";
  const eth0 = parseNetDev(text).get("eth0")!;
  expect(eth0).toEqual({
    rxBytes: 1001,
    rxPackets: 12,
    rxDropped: 5,
    txBytes: 2002,
    txPackets: 22,
    txDropped: 6,
  });
  expect(difference(eth0, parseNetDev(text).get("lo")!)).toMatchObject({ rxBytes: 1000, txPackets: 18 });
});

test("the pattern's pieces are its bytes, and any length has its own hash", () => {
  const all = Buffer.concat([...patternBytes(200_000)]);
  expect(all).toHaveLength(200_000);
  expect(createHash("sha256").update(all).digest("hex")).toBe(patternHash(200_000));
  expect(patternHash(199_999)).not.toBe(patternHash(200_000));
  expect(all.subarray(0, 65_521).equals(all.subarray(65_521, 131_042))).toBe(true);
  expect(all.subarray(0, 65_536).equals(all.subarray(65_536, 131_072))).toBe(false);
});

test("the director's config in the lab passes the director's own check", () => {
  const config = labConfig(["rr", "wrr", "sh"], 3, 2);
  const parsed = parseConfig(JSON.stringify({ interface: "eth0", ...config }), "lab.yaml");
  expect(parsed.shards).toBe(2);
  expect(parsed.services.map(({ port, scheduler }) => `${port} ${scheduler}`)).toEqual([
    "80 rr",
    "7 rr",
    "8001 rr",
    "8002 wrr",
    "8003 sh",
  ]);
  expect(parsed.services[3]!.servers.map(({ weight }) => weight)).toEqual([3, 2, 1]);
});

test("verdicts must sum to the frames received, and something must have been forwarded", () => {
  expect(verdictReport({ received: 7, verdicts: { Forwarded: 5, NotIp: 2, Loop: 0 } })).toEqual({
    received: 7,
    verdicts: { Forwarded: 5, NotIp: 2 },
    sum: 7,
    held: true,
  });
  expect(verdictReport({ received: 8, verdicts: { Forwarded: 5, NotIp: 2 } }).held).toBe(false);
  expect(verdictReport({ received: 2, verdicts: { NotIp: 2 } }).held).toBe(false);
});

test("folders of dead labs are swept, those of living ones and of others are not", () => {
  const place = folder();
  const mine = makeScratch(place);
  // The same process id, but a start in another year; and a process that cannot be.
  const old = ["dr-director-lab.1.99999999999.abc", "dr-director-lab.4194399.1.abc"];
  const others = ["dr-director-lab", "dr-director-lab.x.1.abc", "something.1.2.abc"];
  for (const name of [...old, ...others]) mkdirSync(join(place, name));
  expect(sweepScratch(place).sort()).toEqual([...old].sort());
  expect(readdirSync(place).sort()).toEqual([...others, mine.slice(place.length + 1)].sort());
});

test("without a wish the lab tries rr wrr lc wlc sh; names are checked, modules loaded", async () => {
  expect((await chooseSchedulers([])).names).toEqual(["rr", "wrr", "lc", "wlc", "sh"]);
  expect((await chooseSchedulers(["sh", "rr", "sh"])).names).toEqual(["sh", "rr"]);
  expect((await chooseSchedulers(["all"])).names).toContain("mh");
  await expect(chooseSchedulers(["round"])).rejects.toThrow(/no scheduler "round".*rr, wrr/);
  await expect(chooseSchedulers(["./nowhere.js"])).rejects.toThrow(/nowhere\.js/);
});

test("nsenter lines go through the user namespace when the lab is rootless", () => {
  const pids = new Map([["client", 17]]);
  expect(enterLines(pids, false)).toEqual(["  client    sudo nsenter --net=/proc/17/ns/net"]);
  expect(enterLines(pids, true)).toEqual([
    "  client    nsenter --preserve-credentials --user=/proc/17/ns/user --net=/proc/17/ns/net",
  ]);
});

test("a refused namespace is one sentence with its cure", () => {
  expect(refusal("unshare: unshare failed: Operation not permitted\nmore", true)).toMatch(/--privileged$/);
  expect(refusal("spawn unshare ENOENT", false)).toMatch(/util-linux/);
  expect(refusal("unshare: write failed /proc/self/uid_map: Operation not permitted", false)).not.toContain(
    "\n",
  );
});

test("colour is for terminals only, and NO_COLOR is respected", () => {
  expect(styleFor(true, {}).bold("x")).toBe("\x1b[1mx\x1b[22m");
  expect(styleFor(true, { NO_COLOR: "1" }).bold("x")).toBe("x");
  expect(styleFor(true, { NO_COLOR: "" }).bold("x")).not.toBe("x");
  expect(styleFor(false, {}).bold("x")).toBe("x");
});

test("bytes are told in the unit that people read", () => {
  expect([0, 999, 1000, 999_949, 999_960, 2_500_000_000].map(bytesText)).toEqual([
    "0 B",
    "999 B",
    "1.0 kB",
    "999.9 kB",
    "1.0 MB",
    "2.5 GB",
  ]);
});
