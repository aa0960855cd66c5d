/** Round trips: through each ring and each way of waiting, beside the direct path and the reference in C. */

import { directorSite } from "../../src/lab/bench/director-site.ts";
import type { Site } from "../../src/lab/bench/site.ts";
import type { Stage } from "../../src/lab/bench/stage.ts";
import { median, ratio } from "../../src/lab/bench/statistics.ts";
import { lineChart } from "../plot.ts";
import type { Ratio } from "../results.ts";
import type { Effort, Section } from "../section.ts";
import { xdpSite } from "./kernel-sites.ts";
import { referenceSite } from "./reference-site.ts";
import { type Latency, openFlows, pass, ping } from "./traffic.ts";

const SHARES = ["p50", "p90", "p99", "p99.9", "p99.99", "max"] as const;
const PINGS = 5_000;
const WARM_PINGS = 3_000;
const CONNECTIONS = 65_536;
const LOADED_MS = 1_500;
/** What a forwarder carries at the most here, roughly; half of it is the load. */
const HALF_LOAD = 150_000;
const PROBE_EACH_US = 500;

type Samples = Map<string, Latency[]>;

/** A forwarder to be measured; one that spins is there only while it is measured, or it would take the others' core. */
interface Way {
  readonly name: string;
  readonly spins: boolean;
  open(): Promise<Site>;
}

async function rounds(
  names: readonly string[],
  effort: Effort,
  measure: (name: string) => Promise<Latency>,
): Promise<Samples> {
  const samples: Samples = new Map(names.map((name) => [name, []]));
  for (const name of names) await measure(name);
  for (let round = 0; round < effort.rounds; round++)
    for (const name of names) samples.get(name)!.push(await measure(name));
  return samples;
}

/** Nanoseconds of a percentile, one for each round. */
function each(samples: Samples, name: string, share: string): number[] {
  return samples.get(name)!.map(({ latency }) => latency[share]!);
}

function toC(samples: Samples, own: string, c: string, share: string): Ratio {
  if (!samples.has(own) || !samples.has(c)) return { missing: `there was no ${samples.has(own) ? c : own}` };
  return ratio(each(samples, own, share), each(samples, c, share));
}

function table(samples: Samples, name: string, title: string, note: string) {
  const rows = [...samples.keys()].map((site) => [
    site,
    ...SHARES.map((share) => (median(each(samples, site, share)) / 1000).toFixed(1)),
  ]);
  return { name, title, note, columns: ["through", ...SHARES], rows };
}

function picture(samples: Samples): string {
  const tail: Record<string, number> = { p50: 2, p90: 10, p99: 100, "p99.9": 1000, "p99.99": 10_000 };
  const lines = [...samples.keys()].map((name) => ({
    label: name,
    points: Object.entries(tail).map(([share, x]) => [x, median(each(samples, name, share)) / 1000] as const),
    own: name.startsWith("dr-director"),
  }));
  const units = { x: "one in so many round trips takes longer", y: "µs" };
  return lineChart("Round trips, one frame at a time", "veth, 60 bytes, median of the rounds", units, lines);
}

function ways(stage: Stage): Way[] {
  const all: Way[] = [];
  const add = (name: string, spins: boolean, open: () => Promise<Site>) => all.push({ name, spins, open });
  const direct = "direct (reflected at the far end)";
  add(direct, false, () => xdpSite(stage, direct));
  for (const wait of ["poll", "busy", "adaptive"] as const) {
    for (const kind of ["packet", "xdp"] as const) {
      const own = `dr-director af_${kind} ${wait}`;
      const ring = kind === "packet" ? "packet" : "xdp!";
      add(own, wait === "busy", () => directorSite(stage, own, { ring, wait, connections: CONNECTIONS }));
      if (wait === "adaptive") continue;
      const c = `C af_${kind} ${wait}`;
      const shape = { ring: kind, wait, connections: CONNECTIONS };
      add(c, wait === "busy", () => referenceSite(stage, c, shape));
    }
  }
  return all;
}

async function opened(stage: Stage, way: Way): Promise<Site> {
  const site = await way.open();
  await openFlows(stage, site, {});
  await ping(stage, site, WARM_PINGS);
  return site;
}

/** Round trips through every way that can be had here. */
async function aloneRounds(stage: Stage, effort: Effort): Promise<Samples> {
  const resting = new Map<string, Site>();
  const there = new Map<string, Way>();
  try {
    for (const way of ways(stage)) {
      try {
        const site = await opened(stage, way);
        if (way.spins) await site.close();
        else resting.set(way.name, site);
        there.set(way.name, way);
      } catch (error) {
        effort.say(`latency: no ${way.name}: ${(error as Error).message}`);
      }
    }
    return await rounds([...there.keys()], effort, async (name) => {
      const site = resting.get(name) ?? (await opened(stage, there.get(name)!));
      try {
        return await ping(stage, site, PINGS);
      } finally {
        if (!resting.has(name)) await site.close();
      }
    });
  } finally {
    await Promise.all([...resting.values()].map((site) => site.close()));
  }
}

async function loadedRounds(stage: Stage, sites: readonly Site[], effort: Effort): Promise<Samples> {
  const names = sites.filter(({ stateful }) => stateful).map(({ name }) => name);
  for (const site of sites) await openFlows(stage, site, {});
  return rounds(names, effort, async (name) => {
    const site = sites.find((one) => one.name === name)!;
    const load = { rate: HALF_LOAD, milliseconds: LOADED_MS, probe: PROBE_EACH_US };
    return (await pass(stage, site, load)).probes!;
  });
}

export async function latencySection(stage: Stage, idle: readonly Site[], effort: Effort): Promise<Section> {
  const few = { ...effort, rounds: Math.min(effort.rounds, 7) };
  effort.say("latency: round trips");
  const alone = await aloneRounds(stage, few);
  effort.say("latency: under half load");
  const loaded = await loadedRounds(stage, idle, few);
  return {
    ratios: {
      latency_poll_vs_c: toC(alone, "dr-director af_packet poll", "C af_packet poll", "p50"),
      latency_busy_vs_c: toC(alone, "dr-director af_packet busy", "C af_packet busy", "p50"),
      loaded_p999_vs_c: toC(loaded, "dr-director af_packet", "C af_packet", "p99.9"),
    },
    tables: [
      table(
        alone,
        "latency",
        "Round trips, one frame at a time",
        "Microseconds, median over the rounds of each round's percentile. The direct path is an XDP program that sends back at once.",
      ),
      table(
        loaded,
        "latency_loaded",
        `Round trips under ${HALF_LOAD / 1000} kpps of load`,
        "Microseconds; a frame of its own each half millisecond among the load.",
      ),
    ],
    pictures: { "latency.svg": picture(alone) },
    raw: { latency: Object.fromEntries(alone), latencyLoaded: Object.fromEntries(loaded) },
  };
}
