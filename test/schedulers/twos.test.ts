import { describe, expect, it } from "vitest";
import { NO_DESTINATION } from "../../src/schedulers/scheduler.ts";
import { Bench, flow, v4 } from "./bench.ts";
import { readRecording } from "./replay.ts";

const ANY = flow(v4(0x0a010001), v4(0x0a000064));
const WEIGHTS = [3, 2, 1];

function build(seed: number, shards = 1): { bench: Bench; rows: number[] } {
  const bench = new Bench("twos", { seed, shards });
  return { bench, rows: WEIGHTS.map((weight, i) => bench.add(v4(0x0a00000b + i), weight)) };
}

/** 0 for rs1, 1 for rs2 … as the recordings choose: every SYN a new connection that stays. */
function run(seed: number): number[] {
  const { bench, rows } = build(seed);
  return Array.from({ length: 200 }, () => {
    const d = bench.schedule(ANY);
    bench.count(d, 1, 0);
    return rows.indexOf(d);
  });
}

/** How often the least loaded one for its weight was chosen. */
function bestChoices(sequence: readonly number[]): number {
  const counts = WEIGHTS.map(() => 0);
  let best = 0;
  for (const chosen of sequence) {
    const relative = counts.map((n, i) => n / WEIGHTS[i]!);
    if (relative[chosen] === Math.min(...relative)) best++;
    counts[chosen]!++;
  }
  return best;
}

function meanAndDeviation(values: readonly number[]): { mean: number; deviation: number } {
  const mean = values.reduce((a, b) => a + b) / values.length;
  return { mean, deviation: Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length) };
}

describe("twos", () => {
  it("draws in proportion to the weights, the list's first one for 0 too", () => {
    const { bench, rows } = build(7);
    const draws = 70_000;
    const seen = new Map<number, number>();
    // Nobody has a connection, so the first of the two drawn is taken.
    for (let i = 0; i < draws; i++) {
      const d = bench.schedule(ANY);
      seen.set(d, (seen.get(d) ?? 0) + 1);
    }
    const first = bench.members[0];
    let chiSquare = 0;
    for (const [i, d] of rows.entries()) {
      const expected = (draws * (WEIGHTS[i]! + (d === first ? 1 : 0))) / 7;
      chiSquare += ((seen.get(d) ?? 0) - expected) ** 2 / expected;
    }
    expect(chiSquare).toBeLessThan(13.8); // 0.1 % of fair draws exceed it with two degrees of freedom
  });

  it("draws the second one independently: with the first overfull it takes another as often as it is drawn", () => {
    const { bench, rows } = build(11);
    bench.count(rows[0]!, 1_000_000, 0);
    let others = 0;
    const draws = 49_000;
    for (let i = 0; i < draws; i++) if (bench.schedule(ANY) !== rows[0]) others++;
    // Both draws fall on rs1 (weight 3 of 6, numbers 0 … 6, not the first of the list) with chance (3/7)^2.
    const { mean, deviation } = {
      mean: draws * (1 - 9 / 49),
      deviation: Math.sqrt((draws * 9 * 40) / 49 ** 2),
    };
    expect(Math.abs(others - mean)).toBeLessThan(4 * deviation);
  });

  it.each(["twos_run1", "twos_run2"])("shares connections out as the kernel did in %s", (name) => {
    const path = new URL(`../oracle/recordings/misc/${name}.json.gz`, import.meta.url).pathname;
    const recorded = readRecording(path)
      .steps.filter((step) => step.op === "pkt")
      .map((step) => Number(step.out?.slice(2)) - 1);
    const runs = Array.from({ length: 300 }, (_, seed) => run(seed + 1));
    const measures: ((sequence: readonly number[]) => number)[] = [
      (s) => s.filter((n) => n === 0).length,
      (s) => s.filter((n) => n === 1).length,
      (s) => s.filter((n) => n === 2).length,
      bestChoices,
    ];
    for (const measure of measures) {
      const { mean, deviation } = meanAndDeviation(runs.map(measure));
      expect(Math.abs(measure(recorded) - mean)).toBeLessThan(4 * deviation + 0.5);
    }
  });

  it.each(["quiesced", "overloaded"])("draws no %s server and does not count its weight", (how) => {
    const bench = new Bench("twos", { seed: 5 });
    const rows = [2, 60, 1].map((weight, i) => bench.add(v4(0x0a00000b + i), weight)) as [
      number,
      number,
      number,
    ];
    if (how === "quiesced") bench.edit(rows[1], 0);
    else bench.region.destinations.overload[rows[1]] = 1;
    const draws = 40_000;
    const drawn = Array.from({ length: draws }, () => bench.schedule(ANY));
    expect(drawn).not.toContain(rows[1]);
    const last = drawn.filter((d) => d === rows[0]).length;
    // Numbers 0 … 3: the list's first has 0 and 1, its last 2 and 3.
    expect(Math.abs(last - draws / 2)).toBeLessThan(4 * Math.sqrt(draws / 4));
  });

  it("repeats itself with the same seed, differs with another, and goes on in shared memory over shards", () => {
    expect(run(5)).toEqual(run(5));
    expect(run(5)).not.toEqual(run(6));
    const alone = build(3).bench;
    const shared = build(3, 2).bench;
    const sequence = Array.from({ length: 100 }, () => alone.schedule(ANY));
    expect(Array.from({ length: 100 }, (_, i) => shared.schedule(ANY, i % 2))).toEqual(sequence);
  });

  it("has nobody when all are quiesced or overloaded", () => {
    const { bench, rows } = build(1);
    bench.edit(rows[0]!, 0);
    bench.edit(rows[1]!, 0);
    expect(bench.schedule(ANY)).toBe(rows[2]);
    bench.region.destinations.overload[rows[2]!] = 1;
    expect(bench.schedule(ANY)).toBe(NO_DESTINATION);
  });
});
