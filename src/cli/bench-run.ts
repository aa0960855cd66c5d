/** The action of `dr-director bench`: a line for each second, then what they come to. */
import { writeFileSync } from "node:fs";
import { type BenchOptions, type BenchReport, type BenchSample, runBench } from "../lab/bench/bench.ts";
import { median } from "../lab/bench/statistics.ts";
import { isRoot } from "../lab/privilege.ts";
import { benchPlot } from "./bench-plot.ts";

export interface BenchFlags extends BenchOptions {
  readonly json?: true;
  readonly plot?: string;
}

export interface BenchSummary {
  /** Medians over the seconds. */
  readonly rate: number;
  readonly cpuPerFrame: number;
  /** Sums. */
  readonly sent: number;
  readonly lost: number;
  readonly duplicates: number;
  readonly reordered: number;
}

export function summarize(samples: readonly BenchSample[]): BenchSummary {
  const sum = (value: (sample: BenchSample) => number) =>
    samples.reduce((total, each) => total + value(each), 0);
  return {
    rate: median(samples.map(({ rate }) => rate)),
    cpuPerFrame: median(samples.map(({ cpuPerFrame }) => cpuPerFrame)),
    sent: sum(({ sent }) => sent),
    lost: sum(({ lost }) => lost),
    duplicates: sum(({ duplicates }) => duplicates),
    reordered: sum(({ reordered }) => reordered),
  };
}

const kilo = (rate: number): string => `${(rate / 1000).toFixed(0)} kpps`;
const share = (part: number, all: number): string => `${((100 * part) / Math.max(all, 1)).toFixed(2)} %`;

export function sampleLine(second: number, sample: BenchSample): string {
  const { offered, rate, lost, sent, cpuPerFrame } = sample;
  const cells = [
    `${second} s`.padStart(6),
    `offered ${kilo(offered)}`.padStart(18),
    `through ${kilo(rate)}`.padStart(18),
    `lost ${share(lost, sent)}`.padStart(14),
    `${cpuPerFrame.toFixed(0)} ns a frame`.padStart(16),
  ];
  return cells.join("  ");
}

export function summaryText(report: BenchReport): string {
  const { rate, cpuPerFrame, sent, lost, duplicates, reordered } = summarize(report.samples);
  const { size, flows } = report.options;
  return [
    `${report.how}: ${size}-byte frames of ${flows} connections`,
    `${kilo(rate)} through, ${cpuPerFrame.toFixed(0)} ns of CPU a frame (medians)`,
    `${sent} frames sent, ${lost} lost (${share(lost, sent)}), ${duplicates} doubled, ${reordered} overtaken`,
  ].join("\n");
}

export async function runBenchCommand(flags: BenchFlags): Promise<number> {
  if (!isRoot()) {
    process.stderr.write("dr-director: bench counts frames by a BPF program, which only root may load\n");
    return 1;
  }
  const { ring, wait, size, flows, rate, seconds } = flags;
  let second = 0;
  const tell = (sample: BenchSample): void => {
    second++;
    if (flags.json !== true) process.stdout.write(`${sampleLine(second, sample)}\n`);
  };
  try {
    const report = await runBench({ ring, wait, size, flows, rate, seconds }, tell);
    if (flags.plot !== undefined) writeFileSync(flags.plot, benchPlot(report));
    const whole = { ...report, summary: summarize(report.samples) };
    process.stdout.write(`${flags.json === true ? JSON.stringify(whole, null, 2) : summaryText(report)}\n`);
    return 0;
  } catch (error) {
    process.stderr.write(`dr-director: ${(error as Error).message}\n`);
    return 1;
  }
}
