/**
 * Prometheus metrics. Every number lives in the tables; what is here is read when somebody scrapes, so a metric costs
 * nothing in between. Labels are bounded: services, destinations, shards and verdicts, never clients.
 */
import { Counter, Gauge, Registry } from "prom-client";
import type { DirectorCounters } from "../control/counters.ts";
import type { ServerListing, ServiceListing } from "../control/model.ts";
import type { NeighbourListing } from "../control/neighbours.ts";
import { VERDICT_NAMES } from "../dataplane/verdict.ts";
import { NEIGHBOUR_STATE_NAMES } from "../table/neighbours.ts";
import type { Region } from "../table/region.ts";

/** What metrics are made of; the director, or a test. */
export interface MetricsSource {
  readonly region: Region;
  counters(): DirectorCounters;
  services(): Iterable<ServiceListing>;
  neighbours(): readonly NeighbourListing[];
}

export interface BuildInfo {
  readonly version: string;
  readonly ring: string;
  readonly node: string;
}

const SERVICE = ["protocol", "address", "port", "mark"] as const;
const SERVER = [...SERVICE, "server", "server_port"] as const;
type Labels<N extends string> = Readonly<Record<N, string | number>>;

/** A row of numbers in, series out: one metric family that is filled anew at every scrape. */
interface Family<L extends string> {
  add(labels: Labels<L>, value: number): void;
}

type Fill = () => void;

export class Metrics {
  readonly registry = new Registry();
  readonly #source: MetricsSource;
  readonly #fills: Fill[] = [];
  readonly #families: { reset(): void }[] = [];

  constructor(source: MetricsSource, build: BuildInfo) {
    this.#source = source;
    this.#gauge("dr_director_build_info", "1, labelled with what runs", ["version", "ring", "node"]).add(
      { ...build },
      1,
    );
    this.#families.length = 0;
    this.#services();
    this.#shards();
    this.#connections();
    this.#neighbours();
  }

  /** Prometheus' text format, as of now. */
  text(): Promise<string> {
    for (const family of this.#families) family.reset();
    for (const fill of this.#fills) fill();
    return this.registry.metrics();
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  #services(): void {
    const service = {
      connections: this.#counter("dr_director_service_connections_total", "connections made", SERVICE),
      packets: this.#counter("dr_director_service_packets_total", "packets forwarded", SERVICE),
      bytes: this.#counter("dr_director_service_bytes_total", "bytes of IP packets forwarded", SERVICE),
      destinations: this.#gauge("dr_director_service_destinations", "real servers of the service", SERVICE),
    };
    const server = {
      connections: this.#counter("dr_director_destination_connections_total", "connections made", SERVER),
      packets: this.#counter("dr_director_destination_packets_total", "packets forwarded", SERVER),
      bytes: this.#counter("dr_director_destination_bytes_total", "bytes of IP packets forwarded", SERVER),
      active: this.#gauge(
        "dr_director_destination_active_connections",
        "ActiveConn as ipvsadm shows it",
        SERVER,
      ),
      inactive: this.#gauge(
        "dr_director_destination_inactive_connections",
        "InActConn as ipvsadm shows it",
        SERVER,
      ),
      persistent: this.#gauge(
        "dr_director_destination_persistent_connections",
        "persistence templates",
        SERVER,
      ),
      weight: this.#gauge("dr_director_destination_weight", "weight; 0 is quiesced", SERVER),
    };
    this.#fills.push(() => {
      for (const listing of this.#source.services()) {
        const labels = serviceLabels(listing);
        service.connections.add(labels, listing.stats.conns);
        service.packets.add(labels, listing.stats.inPkts);
        service.bytes.add(labels, listing.stats.inBytes);
        service.destinations.add(labels, listing.servers.length);
        for (const each of listing.servers) fillServer(server, { ...labels, ...serverLabels(each) }, each);
      }
    });
  }

  #shards(): void {
    const frames = this.#counter("dr_director_frames_received_total", "frames taken from the ring", [
      "shard",
    ]);
    const verdicts = this.#counter("dr_director_frames_total", "frames by what became of them", [
      "shard",
      "verdict",
    ]);
    const waiting = this.#gauge(
      "dr_director_frames_waiting",
      "frames that wait for a neighbour or first fragment",
      ["shard"],
    );
    const drops = this.#counter("dr_director_ring_drops_total", "frames the kernel dropped before the ring", [
      "shard",
    ]);
    const bursts = this.#counter("dr_director_bursts_total", "bursts with at least one frame", ["shard"]);
    const full = this.#counter("dr_director_bursts_full_total", "bursts that were full", ["shard"]);
    const turns = this.#counter("dr_director_turns_total", "turns of the loop", ["shard"]);
    const starts = this.#counter("dr_director_shard_starts_total", "times the shard's thread was started", [
      "shard",
    ]);
    this.#fills.push(() => {
      for (const [shard, each] of this.#source.counters().shards.entries()) {
        const label = { shard };
        frames.add(label, each.received);
        for (const verdict of VERDICT_NAMES) {
          if (verdict === "Waiting") waiting.add(label, each.verdicts.Waiting);
          else verdicts.add({ shard, verdict }, each.verdicts[verdict]);
        }
        drops.add(label, each.counts.RingDrops);
        bursts.add(label, each.counts.Bursts);
        full.add(label, each.counts.FullBursts);
        turns.add(label, each.counts.Turns);
        starts.add(label, each.counts.Starts);
      }
    });
  }

  #connections(): void {
    const entries = this.#gauge("dr_director_connections", "entries of the connection table", ["shard"]);
    const capacity = this.#gauge("dr_director_connections_capacity", "entries there is room for", ["shard"]);
    const created = this.#counter("dr_director_connections_created_total", "connections made", ["shard"]);
    const expired = this.#counter("dr_director_connections_expired_total", "connections that ran out", [
      "shard",
    ]);
    const evicted = this.#counter(
      "dr_director_connections_evicted_total",
      "half-open ones given up for room",
      ["shard"],
    );
    const templates = this.#gauge("dr_director_templates", "persistence templates", []);
    this.#fills.push(() => {
      const { region } = this.#source;
      const counts = this.#source.counters().shards;
      for (const [shard, { connections }] of region.shards.entries()) {
        const label = { shard };
        entries.add(label, connections.live);
        capacity.add(label, connections.capacity);
        created.add(label, counts[shard]!.counts.Created);
        expired.add(label, counts[shard]!.counts.Expired);
        evicted.add(label, counts[shard]!.counts.Evicted);
      }
      templates.add({}, region.templates.live);
    });
  }

  #neighbours(): void {
    const state = this.#gauge("dr_director_neighbour_state", "1 for the state the neighbour is in", [
      "address",
      "state",
    ]);
    this.#fills.push(() => {
      for (const neighbour of this.#source.neighbours()) {
        for (const name of NEIGHBOUR_STATE_NAMES) {
          if (name !== "free")
            state.add({ address: neighbour.address, state: name }, neighbour.state === name ? 1 : 0);
        }
      }
    });
  }

  #counter<L extends string>(name: string, help: string, labelNames: readonly L[]): Family<L> {
    const metric = new Counter({ name, help, labelNames: [...labelNames], registers: [this.registry] });
    this.#families.push(metric);
    return { add: (labels, value) => metric.inc({ ...labels } as Record<L, string | number>, value) };
  }

  #gauge<L extends string>(name: string, help: string, labelNames: readonly L[]): Family<L> {
    const metric = new Gauge({ name, help, labelNames: [...labelNames], registers: [this.registry] });
    this.#families.push(metric);
    return { add: (labels, value) => metric.set({ ...labels } as Record<L, string | number>, value) };
  }
}

function fillServer(
  family: Readonly<
    Record<
      "connections" | "packets" | "bytes" | "active" | "inactive" | "persistent" | "weight",
      Family<(typeof SERVER)[number]>
    >
  >,
  labels: Labels<(typeof SERVER)[number]>,
  server: ServerListing,
): void {
  family.connections.add(labels, server.stats.conns);
  family.packets.add(labels, server.stats.inPkts);
  family.bytes.add(labels, server.stats.inBytes);
  family.active.add(labels, server.activeConns);
  family.inactive.add(labels, server.inactiveConns);
  family.persistent.add(labels, server.persistentConns);
  family.weight.add(labels, server.weight);
}

function serviceLabels({ key }: ServiceListing): Labels<(typeof SERVICE)[number]> {
  return { protocol: key.protocol, address: key.address, port: key.port, mark: key.mark };
}

function serverLabels(server: ServerListing): Labels<"server" | "server_port"> {
  return { server: server.address, server_port: server.port };
}
