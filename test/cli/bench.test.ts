import { expect, test } from "vitest";
import { benchPlot } from "../../src/cli/bench-plot.ts";
import { sampleLine, summarize, summaryText } from "../../src/cli/bench-run.ts";
import type { BenchReport, BenchSample } from "../../src/lab/bench/bench.ts";

const sample = (rate: number, over: Partial<BenchSample> = {}): BenchSample => ({
  sent: rate,
  received: rate,
  lost: 0,
  duplicates: 0,
  reordered: 0,
  offered: rate,
  rate,
  cpuPerFrame: 1000,
  ...over,
});

const report = (samples: readonly BenchSample[], how = "af_packet, poll"): BenchReport => ({
  options: { ring: "packet", wait: "poll", size: 60, flows: 1000, rate: 0, seconds: samples.length },
  how,
  machine: { cpu: "a <fast> one", cores: 2, kernel: "6.1" },
  node: "20.20.2",
  samples,
});

test("one bad second moves no median, and every lost frame counts", () => {
  const samples = [
    sample(100_000),
    sample(10_000, { sent: 100_000, lost: 90_000, cpuPerFrame: 9000 }),
    sample(90_000),
  ];
  expect(summarize(samples)).toEqual({
    rate: 90_000,
    cpuPerFrame: 1000,
    sent: 290_000,
    lost: 90_000,
    duplicates: 0,
    reordered: 0,
  });
  expect(summaryText(report(samples))).toContain("290000 frames sent, 90000 lost (31.03 %)");
});

test("a second is one line of rates, loss and cost", () => {
  const line = sampleLine(7, sample(123_456, { offered: 200_000, sent: 200_000, lost: 76_544 }));
  expect(line.replace(/\s+/g, " ").trim()).toBe(
    "7 s offered 200 kpps through 123 kpps lost 38.27 % 1000 ns a frame",
  );
});

test("the picture has a bar for each second in both panels, and no markup of the machine's", () => {
  const svg = benchPlot(report([sample(1000), sample(2000), sample(3000)]));
  expect(svg.match(/class="bar"/g)).toHaveLength(6);
  expect(svg).toContain("a &lt;fast&gt; one");
  expect(svg).not.toContain("NaN");
});

test("a director that forwarded nothing is drawn too", () => {
  expect(benchPlot(report([sample(0, { cpuPerFrame: 0 })]))).not.toMatch(/NaN|Infinity/);
});
