/** What stands in the director's tables against what stood in the kernel's. */

import type { ConnectionListing, ServiceListing } from "../../src/control/model.ts";
import { HZ } from "../../src/table/connections.ts";
import type { Entry, ServiceCounters } from "./scenario.ts";
import type { World } from "./world.ts";

export function connectionsOf(world: World): ConnectionListing[] {
  const listing = world.commands.list("connections");
  return listing.kind === "connections" ? [...listing.connections] : [];
}

export function servicesOf(world: World): ServiceListing[] {
  const listing = world.commands.list("services");
  return listing.kind === "services" ? [...listing.services] : [];
}

function keyOf(service: ServiceListing): string {
  const { protocol, address, port, mark } = service.key;
  return protocol === "fwm" ? `fwm ${mark}` : `${protocol} ${address}:${port}`;
}

/** As /proc/net/ip_vs prints them: persistence in ticks, mask in hexadecimal or as a prefix length. */
function flagsOf(service: ServiceListing): string[] {
  const flags: string[] = [];
  if (service.persistence > 0) {
    const bytes = service.netmask.split(".").map((byte) => Number(byte).toString(16).padStart(2, "0"));
    const mask = service.key.family === 4 ? bytes.join("").toUpperCase() : service.netmask;
    flags.push("persistent", String(service.persistence * HZ), mask);
  }
  return flags;
}

/** Counts by which the kernel may still be ahead because its timer fires late: per real server and column. */
export type Late = ReadonlyMap<string, { active: number; inactive: number }>;

/** Differences, each in words; empty when equal. */
export function compareCounters(world: World, recorded: readonly ServiceCounters[], late: Late): string[] {
  const ours = new Map(servicesOf(world).map((service) => [keyOf(service), service]));
  const differences: string[] = [];
  for (const theirs of recorded) {
    const key =
      theirs.proto === "fwm" ? `fwm ${theirs.mark}` : `${theirs.proto} ${theirs.vip}:${theirs.port}`;
    const service = ours.get(key);
    ours.delete(key);
    if (service === undefined) differences.push(`service ${key} is missing`);
    else differences.push(...compareService(key, service, theirs, late));
  }
  for (const key of ours.keys()) differences.push(`service ${key} should not be there`);
  return differences;
}

function compareService(key: string, ours: ServiceListing, theirs: ServiceCounters, late: Late): string[] {
  const differences: string[] = [];
  const say = (what: string, got: unknown, want: unknown): void => {
    if (String(got) !== String(want)) differences.push(`${key} ${what}: ${got}, recorded ${want}`);
  };
  say("scheduler", ours.scheduler, theirs.sched);
  const persistent = theirs.flags.slice(
    theirs.flags.indexOf("persistent"),
    theirs.flags.indexOf("persistent") + 3,
  );
  say("persistence", flagsOf(ours), theirs.flags.includes("persistent") ? persistent : []);
  say(
    "servers in order",
    ours.servers.map((server) => server.address),
    theirs.dests.map((dest) => dest.rs),
  );
  for (const [i, dest] of theirs.dests.entries()) {
    const server = ours.servers[i];
    if (server === undefined || server.address !== dest.rs) continue;
    say(`${dest.rs} port`, server.port, dest.port);
    say(`${dest.rs} weight`, server.weight, dest.weight);
    say(`${dest.rs} method`, server.method, dest.forward.toLowerCase());
    const slack = late.get(dest.rs) ?? { active: 0, inactive: 0 };
    const active = within(dest.active - server.activeConns, slack.active);
    const inactive = within(dest.inact - server.inactiveConns, slack.inactive);
    if (!active) say(`${dest.rs} active`, server.activeConns, dest.active);
    if (!inactive) say(`${dest.rs} inactive`, server.inactiveConns, dest.inact);
  }
  return differences;
}

function within(behind: number, slack: number): boolean {
  return behind >= 0 && behind <= slack;
}

function nameOf(entry: Omit<Entry, "state" | "expires">): string {
  const { proto, client, cport, vip, vport, rs, rport } = entry;
  return `${proto} ${client}:${cport} ${vip}:${vport} ${rs}:${rport}`;
}

function entryOf(row: ConnectionListing): Entry {
  return {
    proto: row.protocol,
    client: row.client,
    cport: row.cport,
    vip: row.virtual,
    vport: row.vport,
    rs: row.server,
    rport: row.rport,
    state: row.state,
    expires: row.expiresSeconds,
  };
}

/**
 * Entries by (protocol, client, virtual, server). Those of expires 0 are optional on both sides; the others' state
 * must be equal and their expiry within `slack` seconds.
 */
export function compareConnections(
  rows: readonly ConnectionListing[],
  recorded: readonly Entry[],
  slack: number,
): string[] {
  const ours = new Map<string, Entry[]>();
  for (const entry of rows.map(entryOf)) {
    ours.set(nameOf(entry), [...(ours.get(nameOf(entry)) ?? []), entry]);
  }
  const differences: string[] = [];
  for (const theirs of recorded) {
    const same = ours.get(nameOf(theirs)) ?? [];
    const at = same.findIndex(
      (entry) => entry.state === theirs.state && Math.abs(entry.expires - theirs.expires) <= slack,
    );
    if (at >= 0) same.splice(at, 1);
    else if (theirs.expires > 0) {
      const got = same.map((entry) => `${entry.state} ${entry.expires}`).join(", ") || "missing";
      differences.push(`${nameOf(theirs)}: ${got}, recorded ${theirs.state} ${theirs.expires}`);
      same.length = 0;
    }
  }
  for (const left of [...ours.values()].flat()) {
    if (left.expires > 0) differences.push(`${nameOf(left)}: ${left.state} ${left.expires}, recorded none`);
  }
  return differences;
}
