/** Load through a forwarder, and what became of it. */
import { join } from "node:path";
import { Sink } from "../../src/lab/bench/sink.ts";
import type { Site } from "../../src/lab/bench/site.ts";
import { DIRECTOR_MAC, LOAD_CPU, type Stage, VIP } from "../../src/lab/bench/stage.ts";
import { BENCH_BUILD } from "../places.ts";
import { flood } from "./flood.ts";

export interface Load {
  readonly size?: number;
  readonly flows?: number;
  readonly services?: number;
  /** Frames a second; 0 for as many as the generator makes. */
  readonly rate?: number;
  readonly milliseconds?: number;
  /** Instead of a time: so many frames. */
  readonly frames?: number;
  /** TCP's flags; ACK by default. */
  readonly flags?: number;
  /** Also times a frame of its own each so many microseconds. */
  readonly probe?: number;
  /** Begins so many flows later. */
  readonly skip?: number;
}

export interface Latency {
  readonly samples: number;
  readonly lost: number;
  /** Nanoseconds, by "p50", "p99", "max" … */
  readonly latency: Readonly<Record<string, number>>;
}

export interface Sent extends Partial<Latency> {
  readonly sent: number;
  readonly refused: number;
  readonly nanoseconds: number;
  readonly cpu: number;
}

export interface Passage {
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  readonly duplicates: number;
  readonly reordered: number;
  /** Frames a second that were offered, and that came through. */
  readonly offered: number;
  readonly rate: number;
  /** CPU nanoseconds of the forwarding thread a frame that came through; undefined when the kernel forwards. */
  readonly forwarderCpu: number | undefined;
  /** CPU nanoseconds of the sending thread a frame sent, in which the kernel receives and, for its own peers, forwards. */
  readonly senderCpu: number;
  /** What became of the frames that were timed among the load. */
  readonly probes?: Latency;
}

export class WrongFrames extends Error {
  override readonly name = "WrongFrames";
}

const SYN = 0x02;
const ACK = 0x10;
const OPENING_RATE = 160_000;
const SLOWEST_OPENING = 5_000;
/** Flows that are opened in one go. */
const PORTION = 100_000;
/** For what is still in a ring when the sender has ended. */
const DRAIN_MS = 80;

function argvOf(verb: "send" | "ping", site: Site, load: Load): string[] {
  const { size = 60, flows = 1000, services = 1, flags = ACK } = load;
  const numbers = {
    cpu: LOAD_CPU,
    size,
    flows,
    services,
    rate: Math.round(load.rate ?? 0),
    frames: load.frames ?? 0,
    milliseconds: load.milliseconds ?? 800,
    probe: load.probe ?? 0,
    skip: load.skip ?? 0,
  };
  return [
    join(BENCH_BUILD, "load"),
    verb,
    `dev=${site.arm.device}`,
    `mac=${DIRECTOR_MAC}`,
    `vip=${VIP.toString(16)}`,
    `flags=${flags.toString(16)}`,
    ...Object.entries(numbers).map(([name, value]) => `${name}=${value}`),
  ];
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/**
 * Opens the flows, a SYN and an ACK each, in portions. A portion of which some were lost is sent again and slower, as a
 * client's SYN would be: what counts is that all are open when the measuring begins.
 */
export async function openFlows(stage: Stage, site: Site, load: Load): Promise<void> {
  if (!site.stateful) return;
  const flows = load.flows ?? 1000;
  for (const flags of [SYN, ACK]) {
    for (let skip = 0; skip < flows; skip += PORTION)
      await openPortion(stage, site, { ...load, flags, skip, frames: Math.min(PORTION, flows - skip) });
  }
}

async function openPortion(stage: Stage, site: Site, load: Load & { readonly frames: number }) {
  let lost = 0;
  for (let rate = OPENING_RATE; rate >= SLOWEST_OPENING; rate /= 2) {
    lost = (await pass(stage, site, { ...load, rate })).lost;
    if (lost <= load.frames / 1000) return;
  }
  throw new Error(`${site.name}: ${lost} of ${load.frames} flows could not be opened`);
}

/** Sends load through the forwarder. Throws when what comes out is not what direct routing makes of what went in. */
export function pass(stage: Stage, site: Site, load: Load): Promise<Passage> {
  return through(stage, site, () => stage.ask<Sent>(argvOf("send", site, load)));
}

/** The same with more frames than it takes (flood.ts). */
export function overload(stage: Stage, site: Site, load: Load): Promise<Passage> {
  const { size = 60, flows = 1000, milliseconds = 800 } = load;
  return through(stage, site, async () => flood(stage, site, size, flows, milliseconds));
}

async function through(stage: Stage, site: Site, send: () => Promise<Sent>): Promise<Passage> {
  const sink = new Sink(stage.load, site.arm.device);
  try {
    const before = site.cpu();
    const sent = await send();
    await pause(DRAIN_MS);
    const after = site.cpu();
    const arrived = sink.read();
    if (arrived.wrong > 0) throw new WrongFrames(`${site.name} sent ${arrived.wrong} frames with wrong MACs`);
    const received = arrived.frames - arrived.duplicates;
    if (received === 0 && site.silent !== true)
      throw new WrongFrames(`nothing of ${sent.sent} frames came through ${site.name}`);
    const seconds = sent.nanoseconds / 1e9;
    const { samples, lost, latency } = sent;
    return {
      sent: sent.sent,
      received,
      lost: sent.sent - received,
      duplicates: arrived.duplicates,
      reordered: arrived.reordered,
      offered: sent.sent / seconds,
      rate: received / seconds,
      forwarderCpu: before === undefined || after === undefined ? undefined : (after - before) / received,
      senderCpu: sent.cpu / sent.sent,
      ...(latency === undefined ? {} : { probes: { samples: samples!, lost: lost!, latency } }),
    };
  } finally {
    sink.close();
  }
}

/** Round trips, one frame after another. */
export function ping(stage: Stage, site: Site, frames: number, size = 60): Promise<Latency> {
  return stage.ask<Latency>(argvOf("ping", site, { frames, size }));
}
