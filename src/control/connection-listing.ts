/**
 * The connection tables as listings, read while the shards write them: a row that ends or is taken anew under the
 * reader's eyes is left out rather than shown half.
 */
import { SCTP_STATE_NAMES } from "../dataplane/sctp-state.ts";
import { TCP_STATE_NAMES } from "../dataplane/tcp-state.ts";
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
  HZ,
  ROW_SHIFT,
  ROW_WORDS,
  STATE_MASK,
  TICK,
} from "../table/connections.ts";
import type { Region } from "../table/region.ts";
import type { Words } from "../wire/address.ts";
import { Protocol } from "../wire/ipv4.ts";
import { formatWords, wordsAt } from "./keys.ts";
import type { ConnectionListing } from "./model.ts";

/** A template is ASSURED once one of its connections was established. */
const TEMPLATE_STATES = ["NONE", "ASSURED"] as const;

export function protocolLabel(protocol: number): string {
  switch (protocol) {
    case Protocol.Tcp:
      return "TCP";
    case Protocol.Udp:
      return "UDP";
    case Protocol.Sctp:
      return "SCTP";
    default:
      return protocol === 0 ? "IP" : `IP_${protocol}`;
  }
}

export function stateLabel(protocol: number, status: number): string {
  const state = status & STATE_MASK;
  if ((status & ConnectionFlag.Template) !== 0) return TEMPLATE_STATES[state] ?? "NONE";
  if (protocol === Protocol.Tcp) return TCP_STATE_NAMES[state] ?? "ERR!";
  if (protocol === Protocol.Udp) return "UDP";
  if (protocol === Protocol.Sctp) return SCTP_STATE_NAMES[state] ?? "?";
  return "NONE";
}

function sliceWords(row: Int32Array, at: number): Words {
  return [row[at]! >>> 0, row[at + 1]! >>> 0, row[at + 2]! >>> 0, row[at + 3]! >>> 0];
}

function listRow(region: Region, row: Int32Array, rport: number, tick: number): ConnectionListing {
  const kind = row[C_KIND]!;
  const family = (kind & FAMILY6) !== 0 ? 6 : 4;
  const protocol = kind & 0xff;
  const ports = row[C_PORTS]!;
  const server = wordsAt(region.destinations.address, row[C_DESTINATION]!);
  return {
    protocol: protocolLabel(protocol),
    expiresSeconds: Math.max(0, Math.floor(((row[C_EXPIRES]! - tick) | 0) / HZ)),
    state: stateLabel(protocol, row[C_STATUS]!),
    client: formatWords(family, sliceWords(row, C_CLIENT)),
    cport: ports >>> 16,
    virtual: formatWords(family, sliceWords(row, C_VIRTUAL)),
    vport: ports & 0xffff,
    server: formatWords(family, server),
    rport,
  };
}

function* listTable(region: Region, table: Connections, tick: number): Generator<ConnectionListing> {
  const copy = new Int32Array(ROW_WORDS);
  for (let r = 0; r < table.high; r++) {
    const at = r << ROW_SHIFT;
    for (let i = 0; i < ROW_WORDS; i++) copy[i] = table.rows[at + i]!;
    const rport = table.serverPort[r]!;
    const stood = table.isLive(r) && table.rows[at + C_PORTS] === copy[C_PORTS];
    if ((copy[C_STATUS]! & ConnectionFlag.Live) === 0 || !stood) continue;
    yield listRow(region, copy, rport, tick);
  }
}

/** Every connection of every shard, then the persistence templates. `now` in ms. */
export function* listConnections(region: Region, now: number): Generator<ConnectionListing> {
  const tick = Math.floor(now / TICK) | 0;
  for (const shard of region.shards) yield* listTable(region, shard.connections, tick);
  yield* listTable(region, region.templates, tick);
}
