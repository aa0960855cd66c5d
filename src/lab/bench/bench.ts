/**
 * `dr-director bench`: load through a director of this machine's own, second by second. Generator and director are joined
 * by a cable in namespaces that vanish with us; each has a core of its own where there are two.
 */
import { cpus, release } from "node:os";
import { built } from "../built.ts";
import { type DirectorShape, directorSite } from "./director-site.ts";
import { ACK, SYN } from "./frames.ts";
import type { LoadOrder, LoadReport } from "./load.ts";
import { Sink } from "./sink.ts";
import type { Site } from "./site.ts";
import { LOAD_CPU, Stage } from "./stage.ts";

export interface BenchOptions {
  readonly ring: DirectorShape["ring"];
  readonly wait: NonNullable<DirectorShape["wait"]>;
  readonly size: number;
  readonly flows: number;
  /** Frames a second; 0 for as many as the generator makes. */
  readonly rate: number;
  readonly seconds: number;
}

/** One second. Rates are frames a second. */
export interface BenchSample {
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  readonly duplicates: number;
  readonly reordered: number;
  readonly offered: number;
  readonly rate: number;
  /** CPU nanoseconds of the forwarding thread for a frame that came through. */
  readonly cpuPerFrame: number;
}

export interface BenchReport {
  readonly options: BenchOptions;
  /** The ring it really got, and its way of waiting. */
  readonly how: string;
  readonly machine: { readonly cpu: string; readonly cores: number; readonly kernel: string };
  readonly node: string;
  readonly samples: readonly BenchSample[];
}

export class BenchError extends Error {
  override readonly name = "BenchError";
}

/** For what is still in a ring when the generator has ended. */
const DRAIN_MS = 60;
const OPENING_RATE = 100_000;
const SLOWEST_OPENING = 5_000;
/** Flows that are opened in one go. */
const PORTION = 50_000;

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function pass(stage: Stage, site: Site, order: Partial<LoadOrder>): Promise<BenchSample> {
  const all = { device: site.arm.device, cpu: LOAD_CPU, flags: ACK, rate: 0, frames: 0, skip: 0, ...order };
  const sink = new Sink(stage.load, site.arm.device);
  try {
    const before = site.cpu()!;
    const argv = [process.execPath, built("lab/bench/load.js"), JSON.stringify(all)];
    const { sent, milliseconds } = await stage.ask<LoadReport>(argv);
    await pause(DRAIN_MS);
    const cpu = site.cpu()! - before;
    const { frames, duplicates, reordered, wrong } = sink.read();
    if (wrong > 0)
      throw new BenchError(`${wrong} frames came back with MACs that direct routing does not make`);
    const received = frames - duplicates;
    return {
      sent,
      received,
      lost: sent - received,
      duplicates,
      reordered,
      offered: (sent * 1000) / milliseconds,
      rate: (received * 1000) / milliseconds,
      cpuPerFrame: received === 0 ? 0 : cpu / received,
    };
  } finally {
    sink.close();
  }
}

/** A SYN and an ACK for each flow. What was lost is sent again, slower, as clients would. */
async function openFlows(stage: Stage, site: Site, { flows, size }: BenchOptions): Promise<void> {
  for (const flags of [SYN, ACK]) {
    for (let skip = 0; skip < flows; skip += PORTION) {
      const frames = Math.min(PORTION, flows - skip);
      let lost = frames;
      for (let rate = OPENING_RATE; lost > frames / 1000 && rate >= SLOWEST_OPENING; rate /= 2)
        lost = (await pass(stage, site, { flags, skip, frames, rate, size, flows })).lost;
      if (lost > frames / 1000)
        throw new BenchError(`${lost} of ${frames} connections could not be opened: is the machine busy?`);
    }
  }
}

/** @param told hears each second's sample as it is taken */
export async function runBench(
  options: BenchOptions,
  told: (sample: BenchSample, how: string) => void,
): Promise<BenchReport> {
  const stage = new Stage();
  let site: Site | undefined;
  try {
    await stage.prepare();
    const { ring, wait, flows, size, rate } = options;
    site = await directorSite(stage, "director", { ring, wait, connections: Math.max(65_536, flows * 2) });
    await openFlows(stage, site, options);
    await pass(stage, site, { size, flows, rate, milliseconds: 1000 }); // until the machine code is what it will be
    const samples: BenchSample[] = [];
    for (let second = 0; second < options.seconds; second++) {
      const sample = await pass(stage, site, { size, flows, rate, milliseconds: 1000 });
      samples.push(sample);
      told(sample, site.how);
    }
    const machine = { cpu: cpus()[0]?.model ?? "unknown", cores: cpus().length, kernel: release() };
    return { options, how: site.how, machine, node: process.versions.node, samples };
  } finally {
    await site?.close();
    await stage.close();
  }
}
