import { expect, test } from "vitest";
import { LoopTime } from "../../src/control/loop-time.ts";
import { ShardCount } from "../../src/table/counters.ts";

function loop() {
  const counts = new Float64Array(32);
  const time = new LoopTime(counts);
  const turn = (now: number, frames: number) => {
    time.at(now);
    time.handled(frames, now);
  };
  return {
    turn,
    busy: () => counts[ShardCount.Busy]!,
    longest: () => counts[ShardCount.Longest]!,
  };
}

test("only turns with frames count, each until the next begins", () => {
  const { turn, busy, longest } = loop();
  turn(1_000, 5); //   0.5 ms
  turn(1_000.5, 0); // nothing came: whatever time goes by is not ours
  turn(1_100, 1); //   2 ms
  turn(1_102, 64); //  1 ms
  turn(1_103, 0);
  expect(busy()).toBe(3.5);
  expect(longest()).toBe(2);
});

test("the longest is told for ten seconds at least, then forgotten", () => {
  const { turn, longest } = loop();
  turn(100_000, 1);
  turn(100_007, 0); // 7 ms
  turn(109_000, 1);
  turn(109_001, 0);
  expect(longest()).toBe(7);
  turn(111_000, 1);
  turn(111_002, 0); // shorter than the one before, whose window has just ended
  expect(longest()).toBe(7);
  turn(121_500, 0);
  expect(longest()).toBe(2);
  turn(132_000, 0);
  expect(longest()).toBe(0);
});
