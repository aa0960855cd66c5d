import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";

const PROGRAM = fileURLToPath(new URL("garbage-program.mjs", import.meta.url));
const run = promisify(execFile);

interface Outcome {
  /** Bytes of heap that each trial of a million frames cost. */
  costs: number[];
  sent: number;
  live: number;
  created: number;
  expired: number;
}

async function measure(phase: "steady" | "churn", scheduler: string): Promise<Outcome> {
  const { stdout } = await run(process.execPath, ["--expose-gc", PROGRAM, phase, scheduler]);
  return JSON.parse(stdout) as Outcome;
}

// V8 compiles in the background at moments of its own: a program whose every trial met one is run again.
describe("the data path makes no garbage", { retry: 3 }, () => {
  test("a million frames of connections that exist cost not one byte", async () => {
    const outcome = await measure("steady", "wlc");
    expect(outcome.sent).toBe(1_000_000);
    expect(outcome.live).toBe(10_000);
    expect(Math.min(...outcome.costs.map(Math.abs))).toBe(0);
  }, 60_000);

  test.each(["wlc", "wrr", "mh", "lblcr"])(
    "a million connections opened and ended under %s cost not one byte",
    async (scheduler) => {
      const outcome = await measure("churn", scheduler);
      expect(outcome.sent).toBe(1_000_000);
      expect(outcome.created).toBe(7_000_000);
      expect(outcome.expired + outcome.live).toBe(outcome.created);
      expect(Math.min(...outcome.costs.map(Math.abs))).toBe(0);
    },
    60_000,
  );
});
