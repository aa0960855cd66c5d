/**
 * Prometheus metrics. Every number lives in the tables; what is here is read when somebody scrapes, so a metric costs
 * nothing in between. Labels are bounded: services, real servers, shards and verdicts, never clients.
 */
import { NEIGHBOUR_STATE_NAMES } from "../table/neighbours.ts";
import { Families } from "./families.ts";
import { serviceMetrics } from "./service-metrics.ts";
import { shardMetrics, tableMetrics } from "./shard-metrics.ts";
import type { MetricsSource } from "./source.ts";

export interface BuildInfo {
  readonly version: string;
  readonly ring: string;
  readonly node: string;
}

export class Metrics {
  readonly #families = new Families();
  readonly #fills: readonly (() => void)[];
  #going: Promise<string> | undefined;

  constructor(source: MetricsSource, build: BuildInfo) {
    const families = this.#families;
    this.#fills = [
      processMetrics(families, build),
      serviceMetrics(families, source),
      shardMetrics(families, source),
      tableMetrics(families, source),
      placeMetrics(families, source),
    ];
  }

  /** Prometheus' text format, as of now. Scrapes at the same time share one text. */
  text(): Promise<string> {
    this.#going ??= this.#collect().finally(() => {
      this.#going = undefined;
    });
    return this.#going;
  }

  /** "text/plain; version=0.0.4; charset=utf-8" */
  get contentType(): string {
    return this.#families.registry.contentType;
  }

  async #collect(): Promise<string> {
    this.#families.clear();
    for (const fill of this.#fills) fill();
    return this.#families.text();
  }
}

/** What runs, and the process as Prometheus' own clients show theirs. */
function processMetrics(families: Families, build: BuildInfo): () => void {
  const info = families.gauge(
    "dr_director_build_info",
    "1, labelled with what runs",
    "version",
    "ring",
    "node",
  );
  const start = families.gauge("process_start_time_seconds", "when the process began, in Unix time");
  const cpu = families.counter("process_cpu_seconds_total", "user and system CPU time, all threads");
  const memory = families.gauge("process_resident_memory_bytes", "resident memory");
  const began = Math.round(Date.now() / 1000 - process.uptime());
  return () => {
    const { user, system } = process.cpuUsage();
    info.add({ ...build }, 1);
    start.add({}, began);
    cpu.add({}, (user + system) / 1e6);
    memory.add({}, process.memoryUsage.rss());
  };
}

/** The director on its link: real servers' neighbour states, virtual addresses. */
function placeMetrics(families: Families, source: MetricsSource): () => void {
  const state = families.gauge(
    "dr_director_neighbour_state",
    "1 for the state the neighbour is in",
    "address",
    "state",
  );
  const active = families.gauge(
    "dr_director_vip_active",
    "1 while the director answers for the virtual address",
    "address",
  );
  const conflicts = families.counter(
    "dr_director_vip_conflicts_total",
    "times another machine claimed the virtual address",
    "address",
  );
  return () => {
    for (const neighbour of source.neighbours()) {
      for (const name of NEIGHBOUR_STATE_NAMES) {
        if (name === "free") continue;
        state.add({ address: neighbour.address, state: name }, neighbour.state === name ? 1 : 0);
      }
    }
    for (const vip of source.vips()) {
      active.add({ address: vip.address }, vip.own && vip.active ? 1 : 0);
      conflicts.add({ address: vip.address }, vip.conflicts);
    }
  };
}
