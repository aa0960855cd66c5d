/** The connection tables' part of heal.ts: rows that cannot be are let go, timers that never end are brought near. */
import { SCTP_STATE_NAMES, SCTP_TIMEOUTS } from "../dataplane/sctp-state.ts";
import { TCP_STATE_NAMES, TcpState } from "../dataplane/tcp-state.ts";
import {
  C_CLIENT,
  C_DESTINATION,
  C_EXPIRES,
  C_KIND,
  C_STATUS,
  C_VIRTUAL,
  ConnectionFlag,
  type Connections,
  FAMILY6,
  HZ,
  ROW_SHIFT,
  STATE_MASK,
} from "../table/connections.ts";
import { Life } from "../table/destinations.ts";
import type { Region } from "../table/region.ts";
import { SETTINGS, Setting } from "../table/settings.ts";
import { MAPPED_WORD } from "../wire/address.ts";
import { Protocol } from "../wire/ipv4.ts";
import type { Findings } from "./findings.ts";

/** ipvsadm's default persistence, for a template that has forgotten its own. */
const PERSISTENCE = 300 * HZ;
const STATES: Readonly<Record<number, number>> = {
  [Protocol.Tcp]: TCP_STATE_NAMES.length,
  [Protocol.Udp]: 1,
  [Protocol.Sctp]: SCTP_STATE_NAMES.length,
};

export function healFlows(region: Region, findings: Findings): void {
  healTable(region, region.templates, true, "persistence templates", findings);
  for (const { connections } of region.shards) healTable(region, connections, false, "connections", findings);
}

function healTable(
  region: Region,
  table: Connections,
  templates: boolean,
  what: string,
  findings: Findings,
): void {
  const { rows } = table;
  const { life } = region.destinations;
  const mended = `${what} put right`;
  if (!table.mendEnd()) findings.add(`table of ${what} put right`);
  for (let row = 0; row < table.high; row++) {
    if (!table.isLive(row)) continue;
    const at = row << ROW_SHIFT;
    const d = rows[at + C_DESTINATION]!;
    const isTemplate = (rows[at + C_STATUS]! & ConnectionFlag.Template) !== 0;
    if (
      d < 0 ||
      d >= life.length ||
      life[d] === Life.Free ||
      isTemplate !== templates ||
      !isKind(rows[at + C_KIND]!, templates)
    ) {
      rows[at + C_STATUS] = 0;
      findings.add(`${what} let go`);
      continue;
    }
    const right = templates ? healTemplate(table, row) : healState(rows, at);
    if (!healWords(rows, at) || !right) findings.add(mended);
  }
}

function isKind(kind: number, template: boolean): boolean {
  const protocol = kind & ~FAMILY6;
  return STATES[protocol] !== undefined || (template && protocol === Protocol.Ip);
}

/** A state that the protocol does not have: the connection goes on as an established one. */
function healState(rows: Int32Array, at: number): boolean {
  const state = rows[at + C_STATUS]! & STATE_MASK;
  if (state < STATES[rows[at + C_KIND]! & ~FAMILY6]!) return true;
  const next = (rows[at + C_KIND]! & ~FAMILY6) === Protocol.Udp ? 0 : TcpState.Established;
  rows[at + C_STATUS] = (rows[at + C_STATUS]! & ~STATE_MASK) | next;
  return false;
}

function healTemplate(table: Connections, row: number): boolean {
  if (table.timeout[row]! > 0) return true;
  table.timeout[row] = PERSISTENCE;
  return false;
}

/** IPv4 addresses are found by their last word; the others say only that it is one. */
function healWords(rows: Int32Array, at: number): boolean {
  if ((rows[at + C_KIND]! & FAMILY6) !== 0) return true;
  let right = true;
  for (const begin of [at + C_CLIENT, at + C_VIRTUAL]) {
    if (rows[begin] === 0 && rows[begin + 1] === 0 && rows[begin + 2] === MAPPED_WORD) continue;
    rows[begin] = 0;
    rows[begin + 1] = 0;
    rows[begin + 2] = MAPPED_WORD;
    right = false;
  }
  return right;
}

/**
 * No connection rests longer than the longest timeout. Who finds one that would puts it there: it may be damage, or
 * the timeouts were longer once. Call when the region's clock is right again.
 */
export function boundTimers(region: Region, tick: number): void {
  const seconds = Math.max(...region.settings.subarray(Setting.timeout_tcp, SETTINGS), ...SCTP_TIMEOUTS);
  const longest = Math.min(seconds * HZ, 2 ** 31 - 1);
  for (const { connections } of region.shards) bound(connections, tick, () => longest);
  const { templates } = region;
  bound(templates, tick, (row) => templates.timeout[row]!);
}

function bound(table: Connections, tick: number, longest: (row: number) => number): void {
  for (let row = 0; row < table.high; row++) {
    if (!table.isLive(row)) continue;
    const at = (row << ROW_SHIFT) + C_EXPIRES;
    if (((table.rows[at]! - tick) | 0) > longest(row)) table.rows[at] = (tick + longest(row)) | 0;
  }
}
