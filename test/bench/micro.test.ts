import { expect, test } from "vitest";
import { measure } from "../../bench/micro/measure.ts";
import { SCHEDULERS } from "../../bench/micro/section.ts";
import {
  classifyStage,
  expiryStage,
  FRAMES,
  lookUpStage,
  newConnectionStage,
  rewriteStage,
  schedulerStage,
} from "../../bench/micro/stages.ts";
import { registerBuiltIn } from "../../src/schedulers/built-in.ts";
import { schedulerNames } from "../../src/schedulers/registry.ts";

const stages = [
  ["classify", classifyStage],
  ["look-up", () => lookUpStage(2000)],
  ["rewrite", rewriteStage],
  ["new connection", newConnectionStage],
  ["expiry", expiryStage],
  ...SCHEDULERS.map((name) => [`scheduler ${name}`, () => schedulerStage(name)] as const),
] as const;

test.each(stages)("the stage %s does what it measures, sample after sample", (_, make) => {
  const stage = make();
  expect(stage.frames).toBeGreaterThanOrEqual(FRAMES);
  for (let sample = 0; sample < 3; sample++) {
    stage.before?.();
    stage.run();
    stage.after?.();
  }
});

test("every built-in scheduler is measured", () => {
  registerBuiltIn();
  expect([...SCHEDULERS].sort()).toEqual([...schedulerNames()].sort());
});

test("a stage that forwards nothing is no measurement", () => {
  const stage = newConnectionStage();
  expect(() => stage.run()).toThrow(/0 of 1024 frames/);
});

test("nanoseconds are of one frame, not of a sample", () => {
  const end = (milliseconds: number) => performance.now() + milliseconds;
  const run = () => {
    for (const until = end(2); performance.now() < until; );
  };
  const [measured] = measure([{ name: "two milliseconds", frames: 1000, run }], 20);
  expect(measured!.p50).toBeGreaterThanOrEqual(2000);
  expect(measured!.p50).toBeLessThan(1_000_000);
  expect(measured!.name).toBe("two milliseconds");
});
