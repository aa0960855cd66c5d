/** Shards, their rings and connection tables as metrics. */
import type { ShardCounters } from "../control/counters.ts";
import { VERDICT_NAMES } from "../dataplane/verdict.ts";
import type { Families, Family } from "./families.ts";
import type { MetricsSource } from "./source.ts";

type CountName = keyof ShardCounters["counts"];

/** Counters that are one number of the shard's: metric (without prefix and _total), what it counts, its row. */
const COUNTS: readonly (readonly [name: string, help: string, row: CountName])[] = [
  ["frame_bytes_received", "bytes of the frames received", "Bytes"],
  ["frames_handed_over", "of the frames received, those taken over from other shards", "FromShards"],
  ["frames_late", "frames that waited and then went out", "Late"],
  ["ring_drops", "frames the kernel dropped before the ring", "RingDrops"],
  ["bursts", "bursts with at least one frame", "Bursts"],
  ["bursts_full", "bursts that were full: more was waiting", "FullBursts"],
  ["turns", "turns of the loop", "Turns"],
  ["connections_created", "connections made", "Created"],
  ["connections_expired", "connections that ran out", "Expired"],
  ["connections_evicted", "half-open ones given up for room", "Evicted"],
  ["icmp_errors", "ICMP errors made", "Errors"],
  ["icmp_errors_limited", "ICMP errors not made because of the rate limit", "RateLimited"],
  ["answers", "frames of our own that went out", "Answers"],
  ["scheduler_faults", "exceptions thrown by a scheduler", "SchedulerFaults"],
  ["shard_starts", "times the shard's thread was started", "Starts"],
];

export function shardMetrics(families: Families, source: MetricsSource): () => void {
  const frames = families.counter("dr_director_frames_received_total", "frames taken from the ring", "shard");
  const verdicts = families.counter(
    "dr_director_frames_total",
    "frames by what became of them",
    "shard",
    "verdict",
  );
  const waiting = families.gauge(
    "dr_director_frames_waiting",
    "frames that wait for a neighbour or first fragment",
    "shard",
  );
  const counts = COUNTS.map(
    ([name, help, row]) => [families.counter(`dr_director_${name}_total`, help, "shard"), row] as const,
  );
  const time = timeFamilies(families);
  return () => {
    for (const [shard, each] of source.counters().shards.entries()) {
      frames.add({ shard }, each.received);
      for (const verdict of VERDICT_NAMES) {
        // Those that wait come out as something else later: no counter.
        if (verdict === "Waiting") waiting.add({ shard }, each.verdicts.Waiting);
        else verdicts.add({ shard, verdict }, each.verdicts[verdict]);
      }
      for (const [family, row] of counts) family.add({ shard }, each.counts[row]);
      time.busy.add({ shard }, each.counts.Busy / 1000);
      time.longest.add({ shard }, each.counts.Longest / 1000);
    }
  };
}

/** Divided by the bursts: how long a turn of the loop takes. */
function timeFamilies(families: Families): Record<"busy" | "longest", Family<"shard">> {
  return {
    busy: families.counter(
      "dr_director_busy_seconds_total",
      "time spent in turns of the loop that handled frames",
      "shard",
    ),
    longest: families.gauge(
      "dr_director_turn_longest_seconds",
      "the longest such turn of the last ten to twenty seconds",
      "shard",
    ),
  };
}

export function tableMetrics(families: Families, source: MetricsSource): () => void {
  const entries = families.gauge("dr_director_connections", "entries of the connection table", "shard");
  const capacity = families.gauge(
    "dr_director_connections_capacity",
    "entries there is room for in the connection table",
    "shard",
  );
  const templates = families.gauge("dr_director_templates", "persistence templates");
  const room = families.gauge("dr_director_templates_capacity", "persistence templates there is room for");
  return () => {
    const { region } = source;
    for (const [shard, { connections }] of region.shards.entries()) {
      entries.add({ shard }, connections.live);
      capacity.add({ shard }, connections.capacity);
    }
    templates.add({}, region.templates.live);
    room.add({}, region.templates.capacity);
  };
}
