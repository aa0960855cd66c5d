/** What a run of the benches found, as it is written to a file and read again. */
import { readFileSync } from "node:fs";
import type { Spread } from "../src/lab/bench/statistics.ts";
import type { Machine } from "./machine.ts";

/** A ratio that could not be taken here, and why. */
export interface Missing {
  readonly missing: string;
}
export type Ratio = Spread | Missing;

export interface Table {
  readonly name: string;
  readonly title: string;
  /** What the numbers are, and how they were taken, in a sentence or two. */
  readonly note: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
}

export interface Results {
  readonly format: 1;
  readonly machine: Machine;
  readonly quick: boolean;
  /** Seconds the whole run took. */
  readonly seconds: number;
  readonly ratios: Readonly<Record<string, Ratio>>;
  readonly tables: readonly Table[];
  /** Every sample that a median is made of. */
  readonly raw: Readonly<Record<string, unknown>>;
}

/** Also what is no number, which JSON writes as null. */
export function isMissing(ratio: Ratio): ratio is Missing {
  return "missing" in ratio || !Number.isFinite(ratio.median ?? Number.NaN);
}

/** What the project has set itself: the table. `above` is the least, `below` the most. */
export const GOALS: Readonly<Record<string, { above?: number; below?: number; what: string }>> = {
  afpacket_vs_c: { above: 0.95, what: "whole forwarder, AF_PACKET: C's CPU per frame ÷ ours" },
  afxdp_vs_c: { above: 0.95, what: "whole forwarder, AF_XDP: C's ÷ ours" },
  core_10k_vs_c: { above: 0.6, what: "core alone, 10 k connections: C's time ÷ ours" },
  core_1m_vs_c: { above: 0.6, what: "core alone, 1 M connections: C's time ÷ ours" },
  afxdp_vs_afpacket: { above: 1.5, what: "AF_XDP's frames per CPU second ÷ AF_PACKET's" },
  cap_zero_loss: { above: 4, what: "zero-loss rate ÷ the `cap` forwarder's" },
  bulk_vs_ipforward: { above: 0.9, what: "bulk TCP through us ÷ through kernel IP forwarding" },
  flows_1m_vs_10k: { below: 1.3, what: "cost per frame, 1 M connections ÷ 10 k (whole forwarder)" },
  services_5000_vs_1: { below: 1.1, what: "cost per frame, 5,000 services ÷ 1 (core)" },
  destinations_1000_vs_1: { below: 1.1, what: "cost per frame, 1,000 destinations ÷ 1 (core)" },
  core_flows_1m_vs_10k: { what: "cost per frame, 1 M connections ÷ 10 k (core)" },
  core_shards_8_vs_1: { what: "cost per frame, 8 shards ÷ 1 (core, by arrival)" },
  setup_shards_8_vs_1: { what: "connection set-up, 8 shards ÷ 1: seven other tables are asked (by arrival)" },
  setup_vs_c: { above: 0.5, what: "connection set-up: C's time ÷ ours" },
  web_vs_haproxy: { what: "HTTP requests a second, a connection each: ours ÷ haproxy's in TCP mode" },
  latency_poll_vs_c: { below: 1.1, what: "latency p50, poll: ours ÷ C's" },
  latency_busy_vs_c: { below: 1.1, what: "latency p50, busy: ours ÷ C's" },
  loaded_p999_vs_c: { below: 1.2, what: "latency p99.9 under 50 % load: ours ÷ C's" },
};

export function hasGoal(name: string): boolean {
  return GOALS[name]?.above !== undefined || GOALS[name]?.below !== undefined;
}

/** Is the goal met? undefined where there is none. */
export function isMet(name: string, ratio: Ratio): boolean | undefined {
  const goal = GOALS[name];
  if (!hasGoal(name) || goal === undefined || isMissing(ratio)) return undefined;
  return ratio.median >= (goal.above ?? 0) && ratio.median <= (goal.below ?? Number.POSITIVE_INFINITY);
}

/** Two runs of different parts as one; where both have something, the later one's counts. */
export function mergeResults(before: Results, now: Results): Results {
  const fresh = new Set(now.tables.map(({ name }) => name));
  return {
    ...now,
    seconds: before.seconds + now.seconds,
    ratios: { ...before.ratios, ...now.ratios },
    tables: [...before.tables.filter(({ name }) => !fresh.has(name)), ...now.tables],
    raw: { ...before.raw, ...now.raw },
  };
}

export function readResults(path: string): Results {
  const results = JSON.parse(readFileSync(path, "utf8")) as Results;
  if (results.format !== 1 || results.ratios === undefined)
    throw new Error(`${path} is not a file of bench results`);
  return results;
}
