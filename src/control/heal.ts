/**
 * Makes a found region one that can be worked on, whatever its words say: a bad disk image, a stray write or a bug may
 * have changed any of them, and a shard that trusts its tables would follow a link for ever or write where nothing is.
 *
 * Each row is looked at on its own: what cannot be is put right where something else tells how it was, and otherwise
 * let go. What is only told from rows (chains, timers, free lists, counts) is not looked at: recover.ts and mend.ts
 * make it anew. A word that was changed into another possible one cannot be seen; it is what its owner will see.
 */
import { VERDICTS } from "../dataplane/verdict.ts";
import { ShardCount } from "../table/counters.ts";
import { MAX_MARK_RULES } from "../table/marks.ts";
import { NeighbourState } from "../table/neighbours.ts";
import { MAX_OWN_VIPS, MAX_PEERS, PLACE_PEERS, PLACE_VIPS } from "../table/place.ts";
import { Header, type Region } from "../table/region.ts";
import { SETTINGS, Setting, setDefaults } from "../table/settings.ts";
import { MAX_SECONDS } from "./checks.ts";
import { totalZero } from "./counters-view.ts";
import { Findings, tame } from "./findings.ts";
import { forget } from "./heal-destinations.ts";
import { healFlows } from "./heal-flows.ts";
import { healServices } from "./heal-services.ts";

/** Counts up to here add up exactly; a director would take three years at ten million frames a second. */
const MOST_FRAMES = 2 ** 50;
const MOST = Number.MAX_SAFE_INTEGER;

/** Before anything else is done with a region from a file. `now` is CLOCK_MONOTONIC in ms. */
export function heal(region: Region, now: number): Findings {
  const findings = new Findings();
  healSettings(region, findings);
  healServices(region, now, findings);
  healFlows(region, findings);
  healCounters(region, findings);
  for (const { inbox } of region.shards)
    for (const queue of inbox) if (!queue.mend()) findings.add("queues between shards");
  if (findings.any) distrust(region, now);
  return findings;
}

/**
 * Where some words were changed others may have been: what a config says is compared with the tables once more, and
 * nobody is sent to a MAC that may be a stranger's.
 */
function distrust({ header, neighbours }: Region, now: number): void {
  header[Header.Config] = 0;
  for (let n = 0; n < neighbours.capacity; n++)
    if (neighbours.state[n] !== NeighbourState.Free) forget(neighbours, n, now);
}

/** Timeouts and lengths of short lists; everything else of this kind is written anew by each start. */
function healSettings({ settings, place, marks }: Region, findings: Findings): void {
  const defaults = new Int32Array(SETTINGS);
  setDefaults(defaults);
  for (let at = Setting.timeout_tcp; at <= Setting.timeout_icmp; at++) {
    if (defaults[at] === 0 || (settings[at]! >= 1 && settings[at]! <= MAX_SECONDS)) continue;
    settings[at] = defaults[at]!;
    findings.add("timeouts");
  }
  const lists: [Int32Array, number, number][] = [
    [place.counts, PLACE_VIPS, MAX_OWN_VIPS],
    [place.counts, PLACE_PEERS, MAX_PEERS],
    [marks.count, 0, MAX_MARK_RULES],
  ];
  for (const [counts, at, most] of lists) {
    if (counts[at]! >= 0 && counts[at]! <= most) continue;
    counts[at] = 0;
    findings.add("lengths of lists");
  }
}

function healCounters(region: Region, findings: Findings): void {
  for (const { counters } of region.shards) {
    const { verdict, shard, destination } = counters;
    findings.add("counters", tame(verdict, 0, VERDICTS, MOST_FRAMES) + clear(verdict, VERDICTS));
    for (const at of Object.values(ShardCount)) {
      const whole = at !== ShardCount.Busy && at !== ShardCount.Longest;
      findings.add("counters", tame(shard, at, at + 1, MOST_FRAMES, { whole }));
    }
    findings.add("counters", tame(destination, 0, destination.length, MOST));
  }
  findings.add("counters", tame(totalZero(region), 0, 3, MOST, { least: -MOST }));
}

/** The same for rows that nobody counts in. */
function clear(cells: Float64Array, from: number): number {
  const wrong = cells.subarray(from).some((value) => value !== 0);
  cells.fill(0, from);
  return wrong ? 1 : 0;
}
