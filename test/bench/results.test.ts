import { expect, test } from "vitest";
import { compareResults, showChanges } from "../../bench/compare.ts";
import { quoted } from "../../bench/report.ts";
import { isMet, mergeResults, type Ratio, type Results } from "../../bench/results.ts";
import { highestWithoutLoss } from "../../bench/search.ts";
import { quantile, ratio } from "../../src/lab/bench/statistics.ts";

const machine = {
  cpu: "a CPU",
  cores: 2,
  memory: "1 GiB",
  kernel: "6.1",
  node: "20",
  v8: "11",
  commit: "abc",
  programs: {},
  date: "2026-01-02T03:04:05Z",
  load: 0,
};
const results = (ratios: Record<string, Ratio>, over: Partial<Results> = {}): Results => ({
  format: 1,
  machine,
  quick: true,
  seconds: 10,
  ratios,
  tables: [],
  raw: {},
  ...over,
});
const around = (median: number, by = 0.01): Ratio => ({
  median,
  min: median - by,
  max: median + by,
  rounds: 7,
});

test("a ratio is taken round by round: a slow round of both sides is none of either", () => {
  expect(ratio([10, 100, 10], [20, 200, 20])).toEqual({ median: 0.5, min: 0.5, max: 0.5, rounds: 3 });
  expect(() => ratio([1], [1, 2])).toThrow(RangeError);
});

test("quantiles lie between the samples", () => {
  expect(quantile([3, 1, 2], 0.5)).toBe(2);
  expect(quantile([1, 2], 0.75)).toBe(1.75);
});

test("more is better for some ratios and worse for others", () => {
  const before = results({
    setup_vs_c: around(0.5),
    flows_1m_vs_10k: around(1.2),
    core_10k_vs_c: around(0.6),
  });
  const after = results({
    setup_vs_c: around(0.6),
    flows_1m_vs_10k: around(1.3),
    core_10k_vs_c: around(0.61),
  });
  const verdicts = Object.fromEntries(
    compareResults(before, after).map(({ name, verdict }) => [name, verdict]),
  );
  expect(verdicts).toEqual({ setup_vs_c: "better", flows_1m_vs_10k: "worse", core_10k_vs_c: "same" });
  expect(showChanges(compareResults(before, after)).split("\n")[0]).toMatch(/^worse +flows_1m_vs_10k/);
});

test("a goal is met from its side", () => {
  expect(isMet("setup_vs_c", around(0.51))).toBe(true);
  expect(isMet("flows_1m_vs_10k", around(1.31))).toBe(false);
  expect(isMet("core_flows_1m_vs_10k", around(9))).toBeUndefined();
  expect(isMet("setup_vs_c", { missing: "no C" })).toBeUndefined();
});

test("parts of two runs are one result, the later one's where both have it", () => {
  const table = (name: string, title: string) => ({ name, title, note: "", columns: [], rows: [] });
  const one = results(
    { a: around(1), b: around(1) },
    { tables: [table("x", "old"), table("y", "old")], raw: { x: 1 } },
  );
  const two = results({ b: around(2) }, { tables: [table("y", "new")], raw: { y: 2 } });
  const both = mergeResults(one, two);
  expect(both.ratios).toEqual({ a: around(1), b: around(2) });
  expect(both.tables.map(({ title }) => title)).toEqual(["old", "new"]);
  expect(both.raw).toEqual({ x: 1, y: 2 });
  expect(both.seconds).toBe(20);
});

test("the table is written between its marks and nowhere else", () => {
  const begin = "<!-- bench: begin (npm run bench -- --quote) -->";
  const text = `before\n${begin}\nold\n<!-- bench: end -->\nafter`;
  const once = quoted(text, results({ setup_vs_c: around(0.6) }));
  expect(once).toMatch(/^before\n<!-- bench: begin/);
  expect(once).toMatch(/\n<!-- bench: end -->\nafter$/);
  expect(once).toContain("| `setup_vs_c` |");
  expect(once).not.toContain("old");
  expect(quoted(once, results({ setup_vs_c: around(0.6) }))).toBe(once);
  expect(() => quoted("no marks", results({}))).toThrow(/there is no/);
});

test("the search finds the highest rate without loss, and forgives one hiccup of each rate", async () => {
  const seen = new Map<number, number>();
  const lossAt = async (rate: number) => {
    const before = seen.get(rate) ?? 0;
    seen.set(rate, before + 1);
    if (rate > 70_000) return 5;
    return before === 0 ? 1 : 0;
  };
  const { rate } = await highestWithoutLoss(lossAt, { low: 1000, high: 200_000, precision: 0.02 });
  expect(rate).toBeLessThanOrEqual(70_000);
  expect(rate).toBeGreaterThan(68_000);
  expect((await highestWithoutLoss(async () => 1, { low: 10, high: 20, precision: 0.1 })).rate).toBe(0);
});
