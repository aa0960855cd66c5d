/** Rows of the tables as `explain` shows them. */
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
  TICK,
} from "../table/connections.ts";
import { Life, Method } from "../table/destinations.ts";
import { NEIGHBOUR_STATE_NAMES, usable } from "../table/neighbours.ts";
import type { Region } from "../table/region.ts";
import { NONE } from "../table/services.ts";
import { formatMac } from "../wire/address.ts";
import type { ConnectionPicture, DestinationTold, NeighbourTold, TemplateTold } from "./explanation.ts";
import { addressText, protocolText, serverName, serviceName, stateName } from "./naming.ts";

/** A table's used rows as they stood at one moment. */
export function copyRows(table: Connections): Int32Array {
  return table.rows.slice(0, table.high << ROW_SHIFT);
}

export function isLive(rows: Int32Array, row: number): boolean {
  const status = rows[(row << ROW_SHIFT) + C_STATUS];
  return status !== undefined && (status & ConnectionFlag.Live) !== 0;
}

/** Do both hold the same flow's connection in this row? */
export function sameFlow(a: Int32Array, b: Int32Array, row: number): boolean {
  const at = row << ROW_SHIFT;
  for (let w = C_CLIENT; w <= C_KIND; w++) if (a[at + w] !== b[at + w]) return false;
  return true;
}

export function connectionPicture(
  region: Region,
  rows: Int32Array,
  row: number,
  tick: number,
): ConnectionPicture {
  const at = row << ROW_SHIFT;
  const kind = rows[at + C_KIND]!;
  const family = (kind & FAMILY6) !== 0 ? 6 : 4;
  const status = rows[at + C_STATUS]!;
  const ports = rows[at + C_PORTS]!;
  return {
    protocol: protocolText(kind & 0xff),
    client: addressText(family, rows, at + C_CLIENT),
    clientPort: ports >>> 16,
    virtual: addressText(family, rows, at + C_VIRTUAL),
    virtualPort: ports & 0xffff,
    server: serverName(region, rows[at + C_DESTINATION]!),
    state: stateName(kind & 0xff, status),
    active: (status & ConnectionFlag.Inactive) === 0,
    expiresIn: Math.max(0, (rows[at + C_EXPIRES]! - tick) | 0) * TICK,
  };
}

export function templatePicture(
  region: Region,
  row: number,
  tick: number,
  what: TemplateTold["what"],
): TemplateTold {
  const { templates } = region;
  const { client, virtual, virtualPort, server, state, expiresIn } = connectionPicture(
    region,
    templates.rows,
    row,
    tick,
  );
  return {
    what,
    client,
    virtual,
    virtualPort,
    server,
    state,
    connections: templates.controlled[row]!,
    expiresIn,
  };
}

const METHODS: Readonly<Record<number, DestinationTold["method"]>> = {
  [Method.Route]: "route",
  [Method.LocalNode]: "local",
  [Method.Tunnel]: "tunnel",
  [Method.Masquerade]: "masquerade",
};

export function destinationPicture(region: Region, d: number): DestinationTold {
  const { destinations, services } = region;
  const s = destinations.service[d]!;
  return {
    server: serverName(region, d),
    service: s === NONE || services.live[s] !== 1 ? null : serviceName(region, s),
    weight: destinations.weight[d]!,
    deleted: destinations.life[d] !== Life.Live,
    method: METHODS[destinations.method[d]!] ?? "route",
  };
}

export function neighbourPicture(region: Region, n: number, now: number): NeighbourTold {
  const { neighbours } = region;
  const state = neighbours.state[n]!;
  const mapped = neighbours.address[n * 4 + 2] === 0xffff && neighbours.address[n * 4] === 0;
  const mac = { hi: neighbours.macHi[n]!, lo: neighbours.macLo[n]! };
  return {
    address: addressText(mapped ? 4 : 6, neighbours.address, n * 4),
    mac: mac.hi === 0 && mac.lo === 0 ? null : formatMac(mac),
    state: NEIGHBOUR_STATE_NAMES[state] ?? "unknown",
    usable: usable(state),
    since: Math.max(0, now - neighbours.since[n]!),
  };
}
