/**
 * Persistence: a template remembers which real server a client (or its network) was sent to, and new connections
 * follow it. Kernel IPVS's ip_vs_sched_persist and ip_vs_check_template. All shards share the templates under one
 * lock, taken once per new connection of a persistent service.
 */

import { NO_DESTINATION } from "../schedulers/scheduler.ts";
import {
  C_DESTINATION,
  C_EXPIRES,
  C_KIND,
  C_PORTS,
  C_STATUS,
  ConnectionFlag,
  type Connections,
  FAMILY6,
  FRAMES_MASK,
  FRAMES_ONE,
  HZ,
  ROW_SHIFT,
} from "../table/connections.ts";
import { Life } from "../table/destinations.ts";
import { flowHash, foldAddress } from "../table/hash.ts";
import { lock, unlock } from "../table/lock.ts";
import { Header } from "../table/region.ts";
import { ServiceFlag } from "../table/services.ts";
import { Setting } from "../table/settings.ts";
import { Protocol } from "../wire/ipv4.ts";
import type { Context } from "./context.ts";
import type { ServiceEntry } from "./directory.ts";
import { clearOverload, hashOfRow, markOverload } from "./life.ts";
import { choose } from "./schedule.ts";

const FTP = 21;
/** A template that lost its server is rewritten to a port that no service has, and left to expire. */
const INVALID_PORT = 0xffff;
/** While connections still hang on an expired template it gets another minute at a time. */
const EXTENSION = 60 * HZ;

/** The template's key: the client's network, port 0, virtual address and port (or the mark). */
const key = new Int32Array(8);

/** Result of `persist`: the template's row; its destination is in the row. */
export const NO_ROOM = -2;

/**
 * The template for `context.flow`, found or newly scheduled: its row, NO_DESTINATION, or NO_ROOM.
 * `protocol` is the IP protocol of the flow.
 */
export function persist(context: Context, entry: ServiceEntry, protocol: number): number {
  const { header } = context.region;
  if (context.shards === 1) return persistLocked(context, entry, protocol);
  lock(header, Header.TemplateLock, context.index, context.relax);
  try {
    return persistLocked(context, entry, protocol);
  } finally {
    unlock(header, Header.TemplateLock);
  }
}

function persistLocked(context: Context, entry: ServiceEntry, protocol: number): number {
  const { region, flow } = context;
  const { services, templates, destinations } = region;
  const s = entry.view.service;
  const port = services.port[s]!;
  const mark = services.mark[s]!;
  const family = flow.family === 6 ? FAMILY6 : 0;
  const samePort = flow.virtualPort === port;
  const virtualPort = samePort && port !== FTP ? port : 0;
  const kind = (mark !== 0 && !samePort ? 0 : protocol) | family;
  fillKey(context, s, mark !== 0 && !samePort ? mark : 0);
  const hash = flowHash(context.seed, fold(0), fold(4), virtualPort);
  const known = find(templates, hash, kind, family, virtualPort);
  if (known >= 0 && isGood(context, known)) {
    templates.expireAt(known, (context.tick + templates.timeout[known]!) | 0);
    countOnePacket(context, s, protocol, known);
    return known;
  }
  const d = choose(context, entry);
  if (d === NO_DESTINATION) return NO_DESTINATION;
  const row = templates.take();
  if (row < 0) return NO_ROOM;
  const at = row << ROW_SHIFT;
  templates.rows.set(key, at);
  templates.rows[at + C_PORTS] = virtualPort;
  templates.rows[at + C_KIND] = kind;
  templates.rows[at + C_DESTINATION] = d;
  templates.timeout[row] = services.timeout[s]! * HZ;
  templates.rows[at + C_EXPIRES] = (context.tick + templates.timeout[row]!) | 0;
  templates.parent[row] = 0;
  templates.controlled[row] = 0;
  templates.mark[row] = mark;
  templates.serverPort[row] = samePort && port !== FTP ? destinations.port[d]! : 0;
  templates.rows[at + C_STATUS] = ConnectionFlag.Template | ConnectionFlag.Inactive;
  templates.hash(row, hash);
  templates.arm(row);
  destinations.persistent[d]!++;
  markOverload(region, d);
  templates.rows[at + C_STATUS]! |= ConnectionFlag.Live;
  countOnePacket(context, s, protocol, row);
  return row;
}

/** One-packet scheduling leaves no connections that drop_entry could ask for their frames: it asks the template. */
function countOnePacket({ region }: Context, s: number, protocol: number, template: number): void {
  if (protocol !== Protocol.Udp || (region.services.flags[s]! & ServiceFlag.OnePacket) === 0) return;
  const { rows } = region.templates;
  const at = (template << ROW_SHIFT) + C_STATUS;
  if ((rows[at]! & FRAMES_MASK) !== FRAMES_MASK) rows[at]! += FRAMES_ONE;
}

function fillKey(context: Context, s: number, mark: number): void {
  const { netmask } = context.region.services;
  const { words, family } = context.flow;
  for (let w = 0; w < 8; w++) key[w] = words[w]!;
  for (let w = family === 6 ? 0 : 3; w < 4; w++) key[w]! &= netmask[s * 4 + w]!;
  if (mark === 0) return;
  for (let w = 4; w < 8; w++) key[w] = 0;
  // Of a mark's template the kernel shows the address 0.0.0.<mark>: the first word of its union of addresses.
  if (family === 4) key[6] = 0xffff;
  key[family === 4 ? 7 : 4] = mark;
}

function fold(at: number): number {
  return key[at] === 0 && key[at + 1] === 0 && key[at + 2] === 0xffff
    ? key[at + 3]!
    : foldAddress(key[at]!, key[at + 1]!, key[at + 2]!, key[at + 3]!);
}

function find(templates: Connections, hash: number, kind: number, family: number, ports: number): number {
  return family === FAMILY6
    ? templates.find6(hash, kind, key, 0, ports)
    : templates.find4(hash, kind, key[3]!, key[7]!, ports);
}

/** A template whose server was deleted, or quiesced with expire_quiescent_template, is invalidated. */
function isGood(context: Context, row: number): boolean {
  const { templates, destinations } = context.region;
  const at = row << ROW_SHIFT;
  const d = templates.rows[at + C_DESTINATION]!;
  const quiesced = context.settings[Setting.expire_quiescent_template] !== 0 && destinations.weight[d] === 0;
  if (destinations.life[d] === Life.Live && !quiesced) return true;
  templates.unhash(row, hashOfRow(templates, row, context.seed));
  templates.rows[at + C_PORTS] = INVALID_PORT;
  templates.serverPort[row] = INVALID_PORT;
  templates.hash(row, hashOfRow(templates, row, context.seed));
  return false;
}

/** A template's time is up: it stays another minute while it has connections. */
export function templateDue(context: Context, row: number): void {
  const { templates, destinations } = context.region;
  const at = row << ROW_SHIFT;
  if (Atomics.load(templates.controlled, row) > 0) {
    templates.timeout[row] = EXTENSION;
    templates.rows[at + C_EXPIRES] = (context.tick + EXTENSION) | 0;
    templates.arm(row);
    return;
  }
  const d = templates.rows[at + C_DESTINATION]!;
  templates.unhash(row, hashOfRow(templates, row, context.seed));
  templates.free(row);
  destinations.persistent[d]!--;
  clearOverload(context.region, d);
}
