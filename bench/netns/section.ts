/** End to end over veth: every forwarder behind its own cable, in the same run. */

import { directorSite } from "../../src/lab/bench/director-site.ts";
import type { Site } from "../../src/lab/bench/site.ts";
import { Stage } from "../../src/lab/bench/stage.ts";
import { median, ratio, spread } from "../../src/lab/bench/statistics.ts";
import type { Ratio, Table } from "../results.ts";
import { type Effort, joinSections, NOTHING, type Section } from "../section.ts";
import { capMissing, capSite } from "./cap-site.ts";
import { dropSite, ipForwardSite, nftSite, xdpSite } from "./kernel-sites.ts";
import { latencySection } from "./latency.ts";
import { referenceSite } from "./reference-site.ts";
import { costRatio, costs, interleave, rawOf, throughputPicture, throughputTable } from "./throughput.ts";
import { overload } from "./traffic.ts";
import { zeroLossRates } from "./zero-loss.ts";

export const OWN_PACKET = "dr-director af_packet";
export const OWN_XDP = "dr-director af_xdp";
export const C_PACKET = "C af_packet";
export const C_XDP = "C af_xdp";
const CAP = "cap package";

interface Absent {
  readonly name: string;
  readonly reason: string;
}

/** The sites that can be had here; the others with the reason. */
async function openSites(
  stage: Stage,
  wanted: readonly (readonly [string, (stage: Stage, name: string) => Promise<Site>])[],
): Promise<{ sites: Site[]; absent: Absent[] }> {
  const sites: Site[] = [];
  const absent: Absent[] = [];
  for (const [name, open] of wanted) {
    try {
      sites.push(await open(stage, name));
    } catch (error) {
      absent.push({ name, reason: (error as Error).message.split("\n")[0]! });
    }
  }
  return { sites, absent };
}

const MAIN = [
  [OWN_PACKET, (stage: Stage, name: string) => directorSite(stage, name, { ring: "packet" })],
  [C_PACKET, (stage: Stage, name: string) => referenceSite(stage, name, { ring: "packet" })],
  [OWN_XDP, (stage: Stage, name: string) => directorSite(stage, name, { ring: "xdp!" })],
  [C_XDP, (stage: Stage, name: string) => referenceSite(stage, name, { ring: "xdp" })],
] as const;

const KERNEL = [
  ["drop", dropSite],
  ["kernel IP forwarding", ipForwardSite],
  ["nftables jhash + fwd", nftSite],
  ["XDP_TX", xdpSite],
] as const;

function withAbsent(table: Table, absent: readonly Absent[]): Table {
  const rest = table.columns.slice(2).map(() => "–");
  return { ...table, rows: [...table.rows, ...absent.map(({ name, reason }) => [name, reason, ...rest])] };
}

async function costSection(stage: Stage, sites: readonly Site[], absent: readonly Absent[], effort: Effort) {
  const sizes = effort.quick ? [60] : [60, 512, 1514];
  const sections: Section[] = [];
  for (const size of sizes) {
    const rounds = await interleave(stage, sites, { size, milliseconds: effort.quick ? 600 : 700 }, effort);
    const own: Record<string, Ratio> = {
      afpacket_vs_c: costRatio(rounds, C_PACKET, OWN_PACKET),
      afxdp_vs_c: costRatio(rounds, C_XDP, OWN_XDP),
      afxdp_vs_afpacket: costRatio(rounds, OWN_PACKET, OWN_XDP),
      afxdp_vs_ipforward: costRatio(rounds, "kernel IP forwarding", OWN_XDP),
    };
    if (!rounds.has("kernel IP forwarding")) delete own.afxdp_vs_ipforward;
    const suffix = size === 60 ? "" : `_${size}`;
    sections.push({
      ratios: Object.fromEntries(Object.entries(own).map(([name, value]) => [name + suffix, value])),
      tables: [withAbsent(throughputTable(rounds, sites, size), absent)],
      pictures: { [`throughput-${size}.svg`]: throughputPicture(rounds, sites, size) },
      raw: { [`throughput_${size}`]: rawOf(rounds) },
    });
  }
  return joinSections(sections);
}

/** The whole forwarder's cost with few and with very many connections. */
async function growthSection(stage: Stage, site: Site, effort: Effort): Promise<Section> {
  const few = "10,000";
  const many = "1,000,000";
  const load = { milliseconds: effort.quick ? 600 : 1_000 };
  const samples: Record<string, number[]> = { [few]: [], [many]: [] };
  for (let round = 0; round <= effort.rounds; round++) {
    for (const [name, flows] of [
      [few, 10_000],
      [many, 1_000_000],
    ] as const) {
      // The first round opens them, and does not count.
      const one = { ...effort, rounds: 1, say: round === 0 ? effort.say : () => {} };
      if (round === 0) await interleave(stage, [site], { ...load, flows }, one);
      else samples[name]!.push(...costs(await again(stage, site, { ...load, flows }), site.name));
    }
  }
  return {
    ...NOTHING,
    ratios: { flows_1m_vs_10k: ratio(samples[many]!, samples[few]!) },
    tables: [
      {
        name: "growth",
        title: "Growth: the whole forwarder over connections (AF_PACKET, 60 bytes)",
        note: "CPU nanoseconds of the forwarding thread a frame.",
        columns: ["connections", "CPU ns a frame", "least–most"],
        rows: Object.entries(samples).map(([name, values]) => {
          const { min, max } = spread(values);
          return [name, median(values).toFixed(0), `${min.toFixed(0)}–${max.toFixed(0)}`];
        }),
      },
    ],
    raw: { growth: samples },
  };
}

async function again(stage: Stage, site: Site, load: { milliseconds: number; flows: number }) {
  return new Map([[site.name, [await overload(stage, site, load)]]]);
}

async function zeroLossSection(
  stage: Stage,
  sites: readonly Site[],
  absent: readonly Absent[],
  effort: Effort,
): Promise<Section> {
  const rates = await zeroLossRates(stage, sites, effort);
  const own = rates.get(OWN_PACKET)!;
  const cap = rates.get(CAP);
  const why = absent.find(({ name }) => name === CAP)?.reason ?? "it was not measured";
  return {
    ...NOTHING,
    ratios: { cap_zero_loss: cap === undefined ? { missing: why } : ratio(own, cap) },
    tables: [
      {
        name: "zero_loss",
        title: "Highest rate without loss (RFC 2544's search)",
        note: "Thousands of 60-byte frames a second, median of the searches. A hiccup of the machine ends a trial, so on a busy one these are low for everybody.",
        columns: ["forwarder", "kpps", "least–most"],
        rows: [
          ...[...rates].map(([name, values]) => {
            const { median: middle, min, max } = spread(values.map((value) => value / 1000));
            return [name, middle.toFixed(0), `${min.toFixed(0)}–${max.toFixed(0)}`];
          }),
          ...absent.map(({ name, reason }) => [name, "–", reason]),
        ],
      },
    ],
    raw: { zeroLoss: Object.fromEntries(rates) },
  };
}

async function openCap(stage: Stage, name: string): Promise<Site> {
  const missing = capMissing();
  if (missing !== undefined) throw new Error(missing);
  return capSite(stage, name);
}

const OWN = MAIN[0];

/** Opens a stage and sites on it, and closes them whatever happens. */
async function onStage(
  wanted: Parameters<typeof openSites>[1],
  run: (stage: Stage, sites: readonly Site[], absent: readonly Absent[]) => Promise<Section>,
): Promise<Section> {
  const stage = new Stage();
  let sites: readonly Site[] = [];
  try {
    await stage.prepare();
    const opened = await openSites(stage, wanted);
    sites = opened.sites;
    if (!sites.some((site) => site.name === OWN_PACKET))
      throw new Error(`dr-director does not start: ${opened.absent[0]?.reason}`);
    return await run(stage, sites, opened.absent);
  } finally {
    await Promise.all(sites.map((site) => site.close()));
    await stage.close();
  }
}

export function costPart(effort: Effort): Promise<Section> {
  const wanted = effort.quick ? MAIN : [...MAIN, ...KERNEL, [CAP, openCap] as const];
  return onStage(wanted, (stage, sites, absent) => costSection(stage, sites, absent, effort));
}

export function growthPart(effort: Effort): Promise<Section> {
  return onStage([OWN], (stage, [own]) => growthSection(stage, own!, effort));
}

export function zeroLossPart(effort: Effort): Promise<Section> {
  const others = effort.quick ? [OWN] : [...MAIN, ...KERNEL.filter(([name]) => name !== "drop")];
  return onStage([...others, [CAP, openCap]], (stage, sites, absent) =>
    zeroLossSection(stage, sites, absent, effort),
  );
}

export function latencyPart(effort: Effort): Promise<Section> {
  return onStage(MAIN, (stage, sites) => latencySection(stage, sites, effort));
}
