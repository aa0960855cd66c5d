/** As many frames as go: what each costs the forwarding thread, in rounds that take turns. */

import type { Site } from "../../src/lab/bench/site.ts";
import type { Stage } from "../../src/lab/bench/stage.ts";
import { median, ratio, spread } from "../../src/lab/bench/statistics.ts";
import { barChart } from "../plot.ts";
import type { Ratio, Table } from "../results.ts";
import type { Effort, Section } from "../section.ts";
import { type Load, openFlows, overload, type Passage } from "./traffic.ts";

/** Until the machine code is what it will be. */
const WARM_MS = 1_500;

export type Rounds = ReadonlyMap<string, readonly Passage[]>;

/** `rounds` passes through each site, turn by turn. */
export async function interleave(
  stage: Stage,
  sites: readonly Site[],
  load: Load,
  { rounds, say }: Effort,
): Promise<Rounds> {
  const passages = new Map<string, Passage[]>(sites.map((site) => [site.name, []]));
  for (const site of sites) {
    say(`netns: ${site.name} (${site.how}), ${load.size ?? 60} bytes, ${load.flows ?? 1000} flows`);
    await openFlows(stage, site, load);
    await overload(stage, site, { ...load, milliseconds: WARM_MS });
  }
  for (let round = 0; round < rounds; round++)
    for (const site of sites) passages.get(site.name)!.push(await overload(stage, site, load));
  return passages;
}

/** CPU nanoseconds a frame: of the forwarding thread, or what the sender spends beyond sending where the kernel forwards. */
export function costs(rounds: Rounds, name: string): number[] {
  const baseline = rounds.get("drop");
  return rounds
    .get(name)!
    .map(
      ({ forwarderCpu, senderCpu }, round) => forwarderCpu ?? senderCpu - (baseline?.[round]?.senderCpu ?? 0),
    );
}

/** How many times as many CPU nanoseconds `other` takes as `own`. */
export function costRatio(rounds: Rounds, other: string, own: string): Ratio {
  if (!rounds.has(other) || !rounds.has(own))
    return { missing: `there was no ${rounds.has(own) ? other : own}` };
  return ratio(costs(rounds, other), costs(rounds, own));
}

function row(rounds: Rounds, site: Site): (string | number)[] {
  const passages = rounds.get(site.name)!;
  const middle = (value: (passage: Passage) => number) => median(passages.map(value));
  const { median: cost, min, max } = spread(costs(rounds, site.name));
  const lost = middle(({ lost, sent }) => (100 * lost) / sent);
  const { duplicates, reordered } = passages.reduce(
    (sum, each) => ({
      duplicates: sum.duplicates + each.duplicates,
      reordered: sum.reordered + each.reordered,
    }),
    { duplicates: 0, reordered: 0 },
  );
  return [
    site.name,
    site.how,
    `${cost.toFixed(0)} (${min.toFixed(0)}–${max.toFixed(0)})`,
    Math.round(middle(({ rate }) => rate / 1000)),
    Math.round(middle(({ offered }) => offered / 1000)),
    lost.toFixed(1),
    `${duplicates} / ${reordered}`,
  ];
}

const COLUMNS = [
  "forwarder",
  "how",
  "CPU ns a frame",
  "kpps through",
  "kpps offered",
  "lost %",
  "doubled / overtaken",
];

export function throughputTable(rounds: Rounds, sites: readonly Site[], size: number): Table {
  return {
    name: `throughput_${size}`,
    title: `${size}-byte frames, more than any forwarder takes`,
    note: "CPU of the forwarding thread a frame that came through, median (least–most); on veth it holds the receiver's softirq. For what the kernel does itself: the sender's CPU beyond that of sending to a drop rule. An overloaded forwarder's rate says less than its cost.",
    columns: COLUMNS,
    rows: sites.map((site) => row(rounds, site)),
  };
}

export function throughputPicture(rounds: Rounds, sites: readonly Site[], size: number): string {
  const bars = sites
    .filter((site) => site.name !== "drop")
    .map((site) => {
      const { median: value, min, max } = spread(costs(rounds, site.name));
      return { label: site.name, value, min, max, own: site.name.startsWith("dr-director") };
    });
  return barChart(
    `CPU per forwarded frame, ${size} bytes`,
    "veth, one core each for generator and forwarder; less is better",
    "ns",
    bars,
  );
}

export function rawOf(rounds: Rounds): Section["raw"] {
  return Object.fromEntries(rounds);
}
