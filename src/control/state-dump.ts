/** Writes the state as JSON lines, row by row; the shards may work on meanwhile. */
import {
  C_CLIENT,
  C_DESTINATION,
  C_EXPIRES,
  C_KIND,
  C_PORTS,
  C_STATUS,
  C_VIRTUAL,
  ConnectionFlag,
  type Connections,
  FAMILY6,
  ROW_SHIFT,
  ROW_WORDS,
  TICK,
} from "../table/connections.ts";
import { KEY_WORDS, Life } from "../table/destinations.ts";
import { NEIGHBOUR_STATE_NAMES, NeighbourState } from "../table/neighbours.ts";
import type { Region } from "../table/region.ts";
import { SCHEDULER_WORDS } from "../table/services.ts";
import { formatAddress, formatMac, isMapped, type Words } from "../wire/address.ts";
import { stateLabel } from "./connection-listing.ts";
import { readCounters } from "./counters.ts";
import { destinationSum } from "./counters-view.ts";
import { formatWords, protocolName, wordsAt } from "./keys.ts";
import type { ServerSpec, ServiceKey, ServiceListing } from "./model.ts";
import { FORMAT, type StateLine } from "./state-lines.ts";

/** What the dump is made from: the tables, and the services as they are listed, newest first. */
export interface DumpSource {
  readonly region: Region;
  readonly services: Iterable<ServiceListing>;
  readonly timeouts: { tcp: number; tcpfin: number; udp: number };
  /** CLOCK_MONOTONIC in ms. */
  readonly now: number;
}

/** In an order in which they can be carried out again: what is referred to comes first. */
export function* dumpState(source: DumpSource): Generator<StateLine> {
  let lines = 0;
  for (const line of allLines(source)) {
    yield line;
    lines++;
  }
  yield { kind: "end", lines };
}

function* allLines(source: DumpSource): Generator<StateLine> {
  const { region, now } = source;
  yield { kind: "state", format: FORMAT, ...region.sizes };
  yield { kind: "timeouts", ...source.timeouts };
  // Listings come newest first; added in this order they would stand the other way round.
  for (const service of [...source.services].reverse()) yield serviceLine(region, service);
  yield* serverLines(region);
  const tick = Math.floor(now / TICK) | 0;
  for (const { id, ...flow } of flows(region.templates, tick)) yield { kind: "template", id, ...flow };
  for (const { connections } of region.shards) {
    for (const { id, ...flow } of flows(connections, tick)) {
      const parent = connections.parent[id]!;
      yield { kind: "connection", ...(parent === 0 ? {} : { template: parent - 1 }), ...flow };
    }
  }
  const { verdicts, shards } = readCounters(region);
  yield { kind: "frames", verdicts, counts: summed(shards.map(({ counts }) => counts)) };
  yield* neighbourLines(region);
}

function serviceLine(region: Region, listing: ServiceListing): StateLine {
  const { stats: _stats, rates: _rates, servers: _servers, ...service } = listing;
  const s = rowOf(region, service.key);
  const { departed, memory } = region.services;
  const words = [...memory.subarray(s * SCHEDULER_WORDS, (s + 1) * SCHEDULER_WORDS)];
  const used = words.findLastIndex((word) => word !== 0) + 1;
  return {
    kind: "service",
    service,
    departed: [departed[s * 3]!, departed[s * 3 + 1]!, departed[s * 3 + 2]!],
    ...(used > 0 ? { position: words.slice(0, used) } : {}),
  };
}

function rowOf({ services }: Region, key: ServiceKey): number {
  for (let s = 0; s < services.capacity; s++) {
    if (services.live[s] !== 1 || services.port[s] !== key.port || services.mark[s] !== key.mark) continue;
    const sameAddress = formatWords(services.family[s]!, wordsAt(services.address, s)) === key.address;
    if (sameAddress && protocolName(services.protocol[s]!) === key.protocol) return s;
  }
  return -1;
}

/** Every destination, each service's oldest first; deleted ones last. */
function* serverLines(region: Region): Generator<StateLine> {
  const { destinations, services } = region;
  for (let s = 0; s < services.capacity; s++) {
    if (services.live[s] !== 1) continue;
    const members: number[] = [];
    for (let d = services.first[s]!; d >= 0; d = destinations.next[d]!) members.push(d);
    for (const d of members.reverse()) yield serverLine(region, d, false);
  }
  for (let d = 0; d < destinations.capacity; d++) {
    if (destinations.life[d] === Life.Trash) yield serverLine(region, d, true);
  }
}

function serverLine(region: Region, d: number, deleted: boolean): StateLine {
  const { destinations } = region;
  const words = wordsAt(destinations.address, d);
  const server: ServerSpec = {
    address: formatAddress(words),
    port: destinations.port[d]!,
    weight: destinations.weight[d]!,
    method: "route",
    upper: destinations.upper[d]!,
    lower: destinations.lower[d]!,
  };
  const service = keyOf(region, d);
  const lastWeight = destinations.lastWeight[d]!;
  return {
    kind: "server",
    id: d,
    service,
    server,
    deleted,
    ...(destinations.overload[d] === 0 ? {} : { overloaded: true }),
    ...(lastWeight === server.weight ? {} : { lastWeight }),
    counters: destinationSum(region, d),
  };
}

/** The service's key as its destination remembers it, though the service may be gone. */
function keyOf({ destinations }: Region, d: number): ServiceKey {
  const [protocol = 0, port = 0, mark = 0, ...words] = destinations.key.subarray(
    d * KEY_WORDS,
    (d + 1) * KEY_WORDS,
  );
  const own = wordsAt(destinations.address, d);
  const family = isMapped(own) ? 4 : 6;
  const address = formatWords(family, words as unknown as Words);
  return { protocol: protocolName(protocol), family, address, port, mark };
}

type FlowLine = Omit<Extract<StateLine, { kind: "template" }>, "kind">;

function* flows(table: Connections, tick: number): Generator<FlowLine> {
  const row = new Int32Array(ROW_WORDS);
  for (let id = 0; id < table.high; id++) {
    const at = id << ROW_SHIFT;
    for (let i = 0; i < ROW_WORDS; i++) row[i] = table.rows[at + i]!;
    const stood = table.isLive(id) && table.rows[at + C_PORTS] === row[C_PORTS];
    if (stood && (row[C_STATUS]! & ConnectionFlag.Live) !== 0) yield flowLine(table, id, row, tick);
  }
}

function flowLine(table: Connections, id: number, row: Int32Array, tick: number): FlowLine {
  const family = (row[C_KIND]! & FAMILY6) !== 0 ? 6 : 4;
  const protocol = row[C_KIND]! & 0xff;
  const address = (at: number) =>
    formatWords(family, [...row.subarray(at, at + 4)].map((w) => w >>> 0) as unknown as Words);
  return {
    id,
    protocol,
    family,
    client: address(C_CLIENT),
    cport: row[C_PORTS]! >>> 16,
    virtual: address(C_VIRTUAL),
    vport: row[C_PORTS]! & 0xffff,
    server: row[C_DESTINATION]!,
    rport: table.serverPort[id]!,
    state: stateLabel(protocol, row[C_STATUS]!),
    status: row[C_STATUS]!,
    expires: Math.max(0, (row[C_EXPIRES]! - tick) | 0) * TICK,
    timeout: table.timeout[id]! * TICK,
    mark: table.mark[id]!,
  };
}

function summed(all: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const counts of all)
    for (const [name, value] of Object.entries(counts)) sum[name] = (sum[name] ?? 0) + value;
  return sum;
}

function* neighbourLines({ neighbours }: Region): Generator<StateLine> {
  for (let n = 0; n < neighbours.capacity; n++) {
    const state = neighbours.state[n]!;
    if (state === NeighbourState.Free) continue;
    const mac = { hi: neighbours.macHi[n]!, lo: neighbours.macLo[n]! >>> 0 };
    const known = mac.hi !== 0 || mac.lo !== 0;
    const address = formatAddress(wordsAt(neighbours.address, n));
    const name = NEIGHBOUR_STATE_NAMES[state] ?? "?";
    yield { kind: "neighbour", address, state: name, ...(known ? { mac: formatMac(mac) } : {}) };
  }
}
