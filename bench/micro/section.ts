/** The stages of the data path one by one. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { BENCH_BUILD } from "../places.ts";
import { type Effort, NOTHING, type Section } from "../section.ts";
import type { Measured } from "./measure.ts";

export const SCHEDULERS = [
  ...["rr", "wrr", "lc", "wlc", "sh", "dh", "sed", "nq", "mh", "lblc", "lblcr", "fo", "ovf", "twos"],
] as const;
export const STAGES: readonly string[] = [
  "classify",
  ...[10_000, 100_000, 1_000_000, 5_000_000].map((n) => `look-up:${n}`),
  ...SCHEDULERS.map((name) => `scheduler:${name}`),
  "rewrite",
  "new-connection",
  "expiry",
];
const MILLISECONDS = 400;

export async function microSection({ say }: Effort): Promise<Section> {
  const all = STAGES.map((name) => {
    say(`micro: ${name}`);
    const argv = [join(BENCH_BUILD, "micro.js"), name, String(MILLISECONDS)];
    return JSON.parse(execFileSync(process.execPath, argv, { encoding: "utf8" })) as Measured;
  });
  return {
    ...NOTHING,
    tables: [
      {
        name: "micro",
        title: "Stage by stage",
        note: "Wall-clock nanoseconds a frame (or choice, or connection), 1,024 of them a sample; each stage in a process of its own. The parts add up to less than the whole, which also has the ring, the timers and colder caches.",
        columns: ["stage", "p50", "p75", "p99", "samples"],
        rows: all.map(({ name, p50, p75, p99, samples }) => [
          name,
          p50.toFixed(1),
          p75.toFixed(1),
          p99.toFixed(1),
          samples,
        ]),
      },
    ],
    raw: { micro: all },
  };
}
