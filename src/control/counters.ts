/** The verdict counters as everybody outside reads them: by name, summed over the shards. */
import { VERDICT_NAMES, type Verdict } from "../dataplane/verdict.ts";
import { type Counters, ShardCount } from "../table/counters.ts";
import type { Relax } from "../table/lock.ts";
import type { Region } from "../table/region.ts";

type ShardCountName = Exclude<keyof typeof ShardCount, "Received">;
type VerdictName = keyof typeof Verdict;

export interface DirectorCounters {
  /** Frames received; always the sum of the verdicts. */
  readonly received: number;
  readonly verdicts: Readonly<Record<VerdictName, number>>;
  /** Frames the kernel dropped before the rings. */
  readonly ringDrops: number;
  /** Which path the rings really got: "af_packet", "af_xdp native copy". */
  readonly ring: string;
  readonly shards: readonly ShardCounters[];
}

export interface ShardCounters {
  readonly received: number;
  readonly verdicts: Readonly<Record<VerdictName, number>>;
  /** ShardCount by name. */
  readonly counts: Readonly<Record<ShardCountName, number>>;
}

function verdictsOf(row: Float64Array): Record<VerdictName, number> {
  return Object.fromEntries(VERDICT_NAMES.map((name, v) => [name, row[v]!])) as Record<VerdictName, number>;
}

/**
 * A burst is counted in two places; so often is a shard read again to find it between two bursts. On a busy machine
 * its thread may stand in the midst of one, so after a few looks ours steps aside for it.
 */
const ATTEMPTS = 2_000;
const PATIENT_ATTEMPTS = 20;

function readShard({ verdict, shard }: Counters, relax: Relax): ShardCounters {
  const { Received: _, ...names } = ShardCount;
  let received = shard[ShardCount.Received]!;
  let verdicts = verdictsOf(verdict);
  for (let attempt = 0; attempt < ATTEMPTS && sum(Object.values(verdicts)) !== received; attempt++) {
    if (attempt >= PATIENT_ATTEMPTS) relax();
    received = shard[ShardCount.Received]!;
    verdicts = verdictsOf(verdict);
  }
  const counts = Object.fromEntries(Object.entries(names).map(([name, row]) => [name, shard[row]!]));
  return { received, verdicts, counts: counts as Record<ShardCountName, number> };
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** `ring` says which path the frames take; `relax` lets a shard's thread run. */
export function readCounters(region: Region, ring = "none", relax: Relax = () => {}): DirectorCounters {
  const shards = region.shards.map(({ counters }) => readShard(counters, relax));
  const verdicts = verdictsOf(new Float64Array(VERDICT_NAMES.length));
  for (const shard of shards) for (const name of VERDICT_NAMES) verdicts[name] += shard.verdicts[name];
  return {
    received: sum(shards.map((shard) => shard.received)),
    verdicts,
    ringDrops: sum(shards.map((shard) => shard.counts.RingDrops)),
    ring,
    shards,
  };
}
