/** Services and their destinations as listings, made one by one while they are read. */
import { Method as MethodNumber } from "../table/destinations.ts";
import type { Region } from "../table/region.ts";
import { NONE, ServiceFlag, schedulerName } from "../table/services.ts";
import {
  activeConnections,
  addSum,
  destinationSum,
  inactiveConnections,
  type RateSource,
  type Sum,
  statsOf,
} from "./counters-view.ts";
import type { DestinationRows } from "./destination-rows.ts";
import { formatNetmask, formatWords, protocolName, wordsAt } from "./keys.ts";
import { type Method, NO_RATES, SchedulerFlag, type ServerListing, type ServiceListing } from "./model.ts";
import type { ServiceRows } from "./service-rows.ts";

const SCHEDULER_FLAGS = SchedulerFlag.First | SchedulerFlag.Second | SchedulerFlag.Third;

/** What a listing is made from. */
export interface Tables {
  readonly region: Region;
  readonly services: ServiceRows;
  readonly destinations: DestinationRows;
  readonly rates: RateSource | undefined;
}

function methodName(method: number): Method {
  if (method === MethodNumber.Tunnel) return "tunnel";
  return method === MethodNumber.Masquerade ? "masq" : "route";
}

export function listServer(tables: Tables, d: number): ServerListing {
  const { region, rates } = tables;
  const { destinations, services } = region;
  return {
    address: formatWords(services.family[destinations.service[d]!]!, wordsAt(destinations.address, d)),
    port: destinations.port[d]!,
    weight: destinations.weight[d]!,
    method: methodName(destinations.method[d]!),
    upper: destinations.upper[d]!,
    lower: destinations.lower[d]!,
    activeConns: activeConnections(region, d),
    inactiveConns: inactiveConnections(region, d),
    persistentConns: destinations.persistent[d]!,
    stats: statsOf(destinationSum(region, d)),
    rates: rates?.destination(d) ?? NO_RATES,
  };
}

/** Rows of the service's destinations, newest first. */
export function* members(region: Region, s: number): Generator<number> {
  const { destinations, services } = region;
  for (let d = services.first[s]!; d !== NONE; d = destinations.next[d]!) yield d;
}

/** What a service has counted since the last --zero. */
export function serviceSum(tables: Tables, s: number): Sum {
  const { region } = tables;
  const { departed } = region.services;
  const sum: Sum = [departed[s * 3]!, departed[s * 3 + 1]!, departed[s * 3 + 2]!];
  for (const d of members(region, s)) addSum(sum, destinationSum(region, d));
  for (const d of tables.destinations.trashOf(s)) addSum(sum, destinationSum(region, d));
  return sum;
}

export function listService(tables: Tables, s: number): ServiceListing {
  const { region, rates } = tables;
  const { services } = region;
  const family = services.family[s] === 6 ? 6 : 4;
  const flags = services.flags[s]!;
  return {
    key: {
      protocol: protocolName(services.protocol[s]!),
      family,
      address: formatWords(family, wordsAt(services.address, s)),
      port: services.port[s]!,
      mark: services.mark[s]!,
    },
    scheduler: schedulerName(services, s),
    flags: flags & SCHEDULER_FLAGS,
    persistence: (flags & ServiceFlag.Persistent) !== 0 ? services.timeout[s]! : 0,
    netmask: formatNetmask(family, wordsAt(services.netmask, s)),
    onePacket: (flags & ServiceFlag.OnePacket) !== 0,
    stats: statsOf(serviceSum(tables, s)),
    rates: rates?.service(s) ?? NO_RATES,
    servers: Array.from(members(region, s), (d) => listServer(tables, d)),
  };
}

/** All services, the one added last first. One that is deleted meanwhile is left out. */
export function* listServices(tables: Tables): Generator<ServiceListing> {
  const { live } = tables.region.services;
  for (const s of tables.services.newestFirst()) {
    if (live[s] === 1) yield listService(tables, s);
  }
}
