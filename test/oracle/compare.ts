/** What stands in the director's tables against what stood in the kernel's. */

import { listConnections } from "../../src/control/connection-listing.ts";
import type { ServiceListing } from "../../src/control/model.ts";
import { HZ } from "../../src/table/connections.ts";
import type { Entry, ServiceCounters } from "./scenario.ts";
import type { World } from "./world.ts";

/** An entry of ours; what its listing shows as seconds left lies between `least` and `most`. */
export interface OurEntry extends Omit<Entry, "expires"> {
  readonly least: number;
  readonly most: number;
}

/**
 * Our entries. The kernel's clock has ticks of 10 ms, the recordings' times were rounded, and some of them are real
 * time, so each entry's seconds are taken a moment (`slack` ms) before and after.
 */
export function entriesOf(world: World, slack: number): OurEntry[] {
  const later = [...listConnections(world.region, world.now + slack)];
  return [...listConnections(world.region, world.now - slack)].map((row, i) => ({
    proto: row.protocol,
    client: row.client,
    cport: row.cport,
    vip: row.virtual,
    vport: row.vport,
    rs: row.server,
    rport: row.rport,
    state: row.state,
    least: later[i]!.expiresSeconds,
    most: row.expiresSeconds,
  }));
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
  const flags = service.onePacket ? ["ops"] : [];
  if (service.persistence > 0) {
    const bytes = service.netmask.split(".").map((byte) => Number(byte).toString(16).padStart(2, "0"));
    // An IPv6 mask is a prefix length, printed as if it were an address.
    const prefix = (Number(service.netmask) << 24) >>> 0;
    const mask = service.key.family === 4 ? bytes.join("") : prefix.toString(16).padStart(8, "0");
    flags.push("persistent", String(service.persistence * HZ), mask.toUpperCase());
  }
  return flags;
}

export interface Counts {
  active: number;
  inactive: number;
}

/** What the counts of a real server must be forgiven. */
export interface Slack {
  /** Entries that are over but whose timer the kernel may fire late: its counts may be higher by so many. */
  readonly late: ReadonlyMap<string, Counts>;
  /** Entries that may stand in either column, or in none. */
  readonly unsaid: ReadonlyMap<string, number>;
}

export function isForgiven(recorded: Counts, ours: Counts, late: Counts, unsaid: number): boolean {
  const within = (behind: number, more: number): boolean => behind >= -unsaid && behind <= more + unsaid;
  return (
    within(recorded.active - ours.active, late.active) &&
    within(recorded.inactive - ours.inactive, late.inactive)
  );
}

/** Differences, each in words; empty when equal. */
export function compareCounters(world: World, recorded: readonly ServiceCounters[], slack: Slack): string[] {
  const ours = new Map(servicesOf(world).map((service) => [keyOf(service), service]));
  const differences: string[] = [];
  for (const theirs of recorded) {
    const key =
      theirs.proto === "fwm" ? `fwm ${theirs.mark}` : `${theirs.proto} ${theirs.vip}:${theirs.port}`;
    const service = ours.get(key);
    ours.delete(key);
    if (service === undefined) differences.push(`service ${key} is missing`);
    else differences.push(...compareService(key, service, theirs, slack));
  }
  for (const key of ours.keys()) differences.push(`service ${key} should not be there`);
  return differences;
}

function compareService(key: string, ours: ServiceListing, theirs: ServiceCounters, slack: Slack): string[] {
  const differences: string[] = [];
  const say = (what: string, got: unknown, want: unknown): void => {
    if (String(got) !== String(want)) differences.push(`${key} ${what}: ${got}, recorded ${want}`);
  };
  say("scheduler", ours.scheduler, theirs.sched);
  say("flags", flagsOf(ours), theirs.flags);
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
    const counts = { active: server.activeConns, inactive: server.inactiveConns };
    const late = slack.late.get(dest.rs) ?? { active: 0, inactive: 0 };
    const recorded = { active: dest.active, inactive: dest.inact };
    if (!isForgiven(recorded, counts, late, slack.unsaid.get(dest.rs) ?? 0)) {
      say(
        `${dest.rs} active, inactive`,
        `${counts.active}, ${counts.inactive}`,
        `${dest.active}, ${dest.inact}`,
      );
    }
  }
  return differences;
}

type Named = Omit<Entry, "state" | "expires">;

export function nameOf({ proto, client, cport, vip, vport, rs, rport }: Named): string {
  return `${proto} ${client}:${cport} ${vip}:${vport} ${rs}:${rport}`;
}

/** A flow's name, whoever serves it. */
export function flowOf({
  client,
  cport,
  vip,
  vport,
}: Pick<Entry, "client" | "cport" | "vip" | "vport">): string {
  return `${client}:${cport} ${vip}:${vport}`;
}

const MINUTE = 60;

/**
 * A template that is over gets another minute at a time while connections hang on it. The kernel's timer fires late
 * each time, so its minutes begin ever later than ours: by an eighth of the time gone at the most.
 */
function isDelayedMinute(ours: OurEntry, theirs: Entry, t: number): boolean {
  if (theirs.cport !== 0 || ours.least > MINUTE || theirs.expires > MINUTE) return false;
  const behind = (theirs.expires - ours.least + 2 * MINUTE) % MINUTE;
  return behind <= Math.ceil(t / 8) || ours.most === theirs.expires;
}

function isSame(ours: OurEntry, theirs: Entry, t: number): boolean {
  if (ours.state !== theirs.state) return false;
  return (theirs.expires >= ours.least && theirs.expires <= ours.most) || isDelayedMinute(ours, theirs, t);
}

/** What is known of the scenario so far that a listing must be forgiven for. */
export interface Allowances {
  /** Scenario seconds. */
  readonly t: number;
  /** Flows whose entry is not ours to say. */
  readonly unsaid: ReadonlySet<string>;
  /** Names of entries that ran out of late: the kernel may still show them. */
  readonly late: ReadonlySet<string>;
}

/** Entries by protocol, client, virtual address and server; those of expires 0 are optional on both sides. */
export function compareConnections(
  ours: readonly OurEntry[],
  recorded: readonly Entry[],
  allow: Allowances,
): string[] {
  const left = new Map<string, OurEntry[]>();
  for (const entry of ours) left.set(nameOf(entry), [...(left.get(nameOf(entry)) ?? []), entry]);
  const differences: string[] = [];
  for (const theirs of recorded) {
    if (allow.unsaid.has(flowOf(theirs))) continue;
    const same = left.get(nameOf(theirs)) ?? [];
    const at = same.findIndex((entry) => isSame(entry, theirs, allow.t));
    if (at >= 0) {
      same.splice(at, 1);
      continue;
    }
    if (theirs.expires === 0 || (same.length === 0 && allow.late.has(nameOf(theirs)))) continue;
    const got = same.map((entry) => `${entry.state} ${entry.least}`).join(", ") || "missing";
    differences.push(`${nameOf(theirs)}: ${got}, recorded ${theirs.state} ${theirs.expires}`);
    same.length = 0;
  }
  for (const entry of [...left.values()].flat()) {
    if (entry.least === 0 || allow.unsaid.has(flowOf(entry))) continue;
    differences.push(`${nameOf(entry)}: ${entry.state} ${entry.least}, recorded none`);
  }
  return differences;
}
