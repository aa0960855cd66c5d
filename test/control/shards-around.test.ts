import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { readCounters } from "../../src/control/counters.ts";
import { Events } from "../../src/control/events.ts";
import { loadSchedulers } from "../../src/control/scheduler-modules.ts";
import { Waiting } from "../../src/control/waiting.ts";
import { findScheduler } from "../../src/schedulers/registry.ts";
import { client, tcp, World } from "../dataplane/world.ts";

const folder = mkdtempSync(join(tmpdir(), "dr-director-schedulers-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function module(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe("an idle shard", () => {
  test("poll sleeps at the first empty look, busy never", () => {
    expect([new Waiting("poll").maySleep(0, 1), new Waiting("poll").maySleep(1, 1)]).toEqual([true, false]);
    expect(new Waiting("busy").maySleep(0, 1e9)).toBe(false);
  });

  test("adaptive looks on for a moment after its last frame", () => {
    const waiting = new Waiting("adaptive");
    expect(waiting.maySleep(3, 10)).toBe(false);
    expect(waiting.maySleep(0, 10.04)).toBe(false);
    expect(waiting.maySleep(0, 10.06)).toBe(true);
  });
});

describe("counters for people", () => {
  test("sum over the shards, by name, and received is their sum", () => {
    const world = new World({ shards: 2 });
    for (let i = 0; i < 20; i++) world.send(tcp({ source: client(i), sourcePort: 9, flags: 2 }), i % 2);
    const { received, verdicts, shards } = readCounters(world.region);
    expect(verdicts.Forwarded).toBe(20);
    expect(verdicts.HandedOver).toBeGreaterThan(0);
    expect(received).toBe(Object.values(verdicts).reduce((sum, count) => sum + count, 0));
    expect(received).toBe(shards[0]!.received + shards[1]!.received);
    expect(shards[0]!.counts).toHaveProperty("RingDrops", 0);
    expect(shards[0]!.counts).not.toHaveProperty("Received");
  });
});

describe("events", () => {
  test("reach every listener until it leaves, and a broken one harms nobody", () => {
    const events = new Events();
    const heard: string[] = [];
    events.on(() => {
      throw new Error("broken");
    });
    const off = events.on(({ name, details }) => heard.push(`${name} ${details.shard}`));
    events.tell("info", "one", "first", { shard: 1 });
    off();
    events.tell("info", "two", "second");
    expect(heard).toEqual(["one 1"]);
  });
});

describe("users' schedulers", () => {
  test("are registered under whatever name they are exported", async () => {
    const path = module(
      "two.mjs",
      "const schedule = () => -1; export const a = { name: 'mine-a', schedule }; export default { name: 'mine-b', schedule };",
    );
    await loadSchedulers([path]);
    await loadSchedulers([path]); // the same ones again: a second shard in this thread
    expect(
      [findScheduler("mine-a"), findScheduler("mine-b"), findScheduler("wlc")].every((s) => s !== undefined),
    ).toBe(true);
  });

  test.each([
    ["none.mjs", "export const x = 1;", /exports no object with `name` and `schedule`/],
    ["taken.mjs", "export default { name: 'rr', schedule: () => -1 };", /"rr" is registered already/],
    ["broken.mjs", "throw new Error('no good');", /no good/],
  ])("%s is refused with its path and reason", async (name, text, reason) => {
    const path = module(name, text);
    await expect(loadSchedulers([path])).rejects.toThrow(reason);
    await expect(loadSchedulers([path])).rejects.toThrow(path);
  });
});
