/** The part of heal.ts for services, and for the lists that bind their destinations to them. */
import { KEY_WORDS, Life } from "../table/destinations.ts";
import { generation, isChanging } from "../table/generation.ts";
import { Header, type Region } from "../table/region.ts";
import { SCHEDULER_NAME, ServiceFlag, setSchedulerName } from "../table/services.ts";
import { isMapped } from "../wire/address.ts";
import { Protocol } from "../wire/ipv4.ts";
import { MAX_SECONDS } from "./checks.ts";
import { type Findings, tame } from "./findings.ts";
import { healDestinationRows, healNeighbours, healUsers, keyOf } from "./heal-destinations.ts";
import { serviceText, wordsAt } from "./keys.ts";
import { mendLists } from "./mend.ts";

const MOST = Number.MAX_SAFE_INTEGER;
const FLAGS = Object.values(ServiceFlag).reduce((all, flag) => all | flag, 0);
/** ipvsadm's default, for a service whose scheduler's name cannot be one. */
const SCHEDULER = "wlc";

export function healServices(region: Region, now: number, findings: Findings): void {
  healServiceRows(region, findings);
  healDestinationRows(region, findings);
  const orphans = mendLists(region);
  // In the midst of a change its destination may stand in no list yet, or no more.
  if (!isChanging(generation(region.header, Header.Generation)))
    findings.add("lists of real servers", orphans);
  healNeighbours(region, now, findings);
  healUsers(region, now, findings);
}

function healServiceRows(region: Region, findings: Findings): void {
  const { services } = region;
  const seen = new Set<string>();
  const missed = missedServices(region);
  for (let s = 0; s < services.capacity; s++) {
    if (services.live[s] !== 1 && missed.has(s)) {
      services.live[s] = 1;
      findings.add("services put right");
    }
    if (services.live[s] === 0) continue;
    const text = serviceTextAt(region, s);
    if (services.live[s] !== 1 || !isNamed(region, s) || seen.has(text)) {
      services.live[s] = 0;
      findings.add("services let go");
      continue;
    }
    seen.add(text);
    if (!healService(region, s)) findings.add("services put right");
  }
}

/** Rows that are not said to be live, but whose real servers are and know the service by the name that stands there. */
function missedServices({ services, destinations, header }: Region): Set<number> {
  const missed = new Set<number>();
  if (isChanging(generation(header, Header.Generation))) return missed; // it was being deleted
  for (let d = 0; d < destinations.capacity; d++) {
    const s = destinations.service[d]!;
    if (destinations.life[d] !== Life.Live || s < 0 || s >= services.capacity || services.live[s] === 1)
      continue;
    if (keyOf(services, s).every((word, i) => word === destinations.key[d * KEY_WORDS + i])) missed.add(s);
  }
  return missed;
}

function serviceTextAt({ services }: Region, s: number): string {
  const family = services.family[s] === 6 ? 6 : 4;
  const address = wordsAt(services.address, s);
  return serviceText({
    family,
    protocol: services.protocol[s]!,
    port: services.port[s]!,
    mark: services.mark[s]!,
    address,
  });
}

/** Can a service have this name: family, protocol, address and port, or mark? */
function isNamed({ services }: Region, s: number): boolean {
  const family = services.family[s]!;
  const protocol = services.protocol[s]!;
  const port = services.port[s]!;
  if (family !== 4 && family !== 6) return false;
  if ((family === 4) !== isMapped(wordsAt(services.address, s)) && !(family === 6 && services.mark[s] !== 0))
    return false;
  if (services.mark[s] !== 0) return protocol === 0 && port === 0;
  const known = protocol === Protocol.Tcp || protocol === Protocol.Udp || protocol === Protocol.Sctp;
  return known && port >= 0 && port <= 0xffff;
}

/** Everything but its name; whether it was right. */
function healService(region: Region, s: number): boolean {
  const { services } = region;
  let right = tame(services.departed, s * 3, s * 3 + 3, MOST, { least: -MOST }) === 0;
  if ((services.flags[s]! & ~FLAGS) !== 0 || services.timeout[s]! < 0 || services.timeout[s]! > MAX_SECONDS) {
    services.flags[s]! &= FLAGS & ~ServiceFlag.Suspended;
    services.timeout[s] = 300;
    right = false;
  }
  if (!isMask(services.netmask.subarray(s * 4, s * 4 + 4), services.family[s]!)) {
    services.netmask.fill(0xffff_ffff, s * 4, s * 4 + 4);
    right = false;
  }
  if (!isSchedulerName(services.scheduler.subarray(s * SCHEDULER_NAME, (s + 1) * SCHEDULER_NAME))) {
    setSchedulerName(services, s, SCHEDULER);
    right = false;
  }
  return right;
}

/** Ones, then zeros; an IPv4 mask is any, as ipvsadm's -M takes it. */
function isMask(words: Uint32Array, family: number): boolean {
  if (family === 4) return words.subarray(0, 3).every((word) => word === 0xffff_ffff);
  const bits = [...words].map((word) => word.toString(2).padStart(32, "0")).join("");
  return /^1+0*$/.test(bits);
}

function isSchedulerName(bytes: Uint8Array): boolean {
  return /^[a-z][a-z0-9_-]{0,14}\0+$/.test(String.fromCharCode(...bytes));
}
