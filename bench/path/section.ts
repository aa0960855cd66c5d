/** The core without a kernel, against the same forwarder in C. */

import { median, ratio, spread } from "../../src/lab/bench/statistics.ts";
import { lineChart } from "../plot.ts";
import type { Ratio, Table } from "../results.ts";
import type { Effort, Section } from "../section.ts";
import { type CaseRounds, runCases } from "./run.ts";

const QUICK = ["flows_10k", "flows_1m", "services_1", "services_5000", "destinations_1000", "setup"];
/** Small worlds first; five million flows take two gigabytes, so they run alone. */
const FULL = [
  [
    "flows_1",
    "flows_10k",
    "flows_100k",
    "flows_1m",
    "services_1",
    "services_100",
    "services_5000",
    "destinations_1000",
    "setup",
    "setup_wlc",
    "setup_services_5000",
  ],
  ["shards_1", "shards_2", "shards_8", "setup_shards_1", "setup_shards_8"],
  ["flows_5m"],
];
const FLOWS: Readonly<Record<string, number>> = {
  flows_1: 1,
  flows_10k: 10_000,
  flows_100k: 100_000,
  flows_1m: 1_000_000,
  flows_5m: 5_000_000,
};

type Cases = Readonly<Record<string, CaseRounds>>;

function column(cases: Cases, name: string, key: string): number[] {
  return cases[name]!.rounds.map((round) => round[key]!);
}

function table(cases: Cases): Table {
  const rows = Object.keys(cases).map((name) => {
    const ours = column(cases, name, "ours");
    const c = column(cases, name, "c");
    const { median: share, min, max } = ratio(c, ours);
    return [
      name,
      median(ours).toFixed(1),
      median(c).toFixed(1),
      `${share.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)})`,
    ];
  });
  const note =
    "CPU nanoseconds a frame (setup: a connection), median of the rounds; both sides handle the same frames in turn in one process. C ÷ ours: 1 would be as fast as C.";
  return {
    name: "core",
    title: "The core alone",
    note,
    columns: ["case", "ours", "C", "C ÷ ours (least–most)"],
    rows,
  };
}

function expiryTable(cases: Cases): Table {
  const rows = Object.keys(cases)
    .filter((name) => cases[name]!.rounds[0]!.expiryOurs !== undefined)
    .map((name) => {
      const ours = column(cases, name, "expiryOurs");
      const c = column(cases, name, "expiryC");
      return [name, median(ours).toFixed(1), median(c).toFixed(1), ratio(c, ours).median.toFixed(2)];
    });
  const note = "CPU nanoseconds for a connection whose time is up, the walk of the timer wheel included.";
  return { name: "expiry", title: "Expiry", note, columns: ["case", "ours", "C", "C ÷ ours"], rows };
}

/** Cost per frame of one case ÷ that of another, round by round. */
function growth(cases: Cases, more: string, less: string): Ratio {
  return ratio(column(cases, more, "ours"), column(cases, less, "ours"));
}

function picture(cases: Cases): string {
  const names = Object.keys(FLOWS).filter((name) => cases[name] !== undefined);
  const points = (key: string) =>
    names.map((name) => [FLOWS[name]!, median(column(cases, name, key))] as const);
  return lineChart(
    "Cost per frame as connections grow",
    "core alone; what grows is memory: each connection is a cache line of its own",
    { x: "established connections", y: "CPU ns a frame" },
    [
      { label: "dr-director", points: points("ours"), own: true },
      { label: "C", points: points("c") },
    ],
  );
}

export async function pathSection({ rounds, quick, say }: Effort): Promise<Section> {
  const parts = quick ? [QUICK] : FULL;
  const cases: Record<string, CaseRounds> = {};
  for (const names of parts) Object.assign(cases, await runCases(names, rounds, say));
  const toC = (name: string) => ratio(column(cases, name, "c"), column(cases, name, "ours"));
  return {
    ratios: {
      core_10k_vs_c: toC("flows_10k"),
      core_1m_vs_c: toC("flows_1m"),
      setup_vs_c: toC("setup"),
      services_5000_vs_1: growth(cases, "services_5000", "services_1"),
      destinations_1000_vs_1: growth(cases, "destinations_1000", "services_1"),
      core_flows_1m_vs_10k: growth(cases, "flows_1m", "flows_10k"),
      ...(quick
        ? {}
        : {
            core_shards_8_vs_1: growth(cases, "shards_8", "shards_1"),
            setup_shards_8_vs_1: growth(cases, "setup_shards_8", "setup_shards_1"),
          }),
    },
    tables: [table(cases), expiryTable(cases)],
    pictures: { "core-flows.svg": picture(cases) },
    raw: {
      core: Object.fromEntries(Object.entries(cases).map(([name, { rounds }]) => [name, rounds])),
      coreSpread: Object.fromEntries(
        Object.keys(cases).map((name) => [name, spread(column(cases, name, "ours"))]),
      ),
    },
  };
}
