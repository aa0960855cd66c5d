/**
 * From a config to commands: the whole of it (`toCommands`), or only what differs from how things are
 * (`difference`). A service or server that stays is never deleted and added again: it keeps its connections, its
 * counters and its scheduler's position.
 */
import { formatAddress, parseAddress } from "../wire/address.ts";
import { serviceFamily } from "./config-rules.ts";
import type { Config, ServerConfig, ServiceConfig } from "./config-schema.ts";
import {
  type DirectorCommand,
  SchedulerFlag,
  type ServerSpec,
  type ServiceKey,
  type ServiceSpec,
  serverKeyText,
  serviceKeyText,
  type Timeouts,
} from "./model.ts";

/** How a service is, or is to be; a listing's ServiceListing is one. */
export interface DesiredService extends ServiceSpec {
  readonly servers: readonly ServerSpec[];
}

export interface Desired {
  readonly services: Iterable<DesiredService>;
  /** 0 leaves a timeout as it is. */
  readonly timeouts: Timeouts;
}

const FLAG_BITS: Readonly<Record<ServiceConfig["flags"][number], number>> = {
  "flag-1": SchedulerFlag.First,
  "flag-2": SchedulerFlag.Second,
  "flag-3": SchedulerFlag.Third,
  "sh-fallback": SchedulerFlag.First,
  "sh-port": SchedulerFlag.Second,
  "mh-fallback": SchedulerFlag.First,
  "mh-port": SchedulerFlag.Second,
};

/** An address as inet_ntop(3) writes it; the config's own checks have passed it. */
function canonical(address: string): string {
  const words = parseAddress(address);
  if (words === undefined) throw new TypeError(`"${address}" is no address`);
  return formatAddress(words);
}

function keyOf(service: ServiceConfig): ServiceKey {
  const family = serviceFamily(service);
  if (service.protocol === "fwm") {
    return {
      protocol: "fwm",
      family,
      address: family === 4 ? "0.0.0.0" : "::",
      port: 0,
      mark: service.mark ?? 0,
    };
  }
  const { protocol, address = "", port = 0 } = service;
  return { protocol, family, address: canonical(address), port, mark: 0 };
}

function serverOf(server: ServerConfig, key: ServiceKey): ServerSpec {
  const { weight, upper, lower } = server;
  return { address: canonical(server.address), port: key.port, weight, method: "route", upper, lower };
}

/** A service of the config in the words of commands and listings. */
export function desiredService(service: ServiceConfig): DesiredService {
  const key = keyOf(service);
  return {
    key,
    scheduler: service.scheduler,
    flags: service.flags.reduce((bits, flag) => bits | FLAG_BITS[flag], 0),
    persistence: service.persistence,
    netmask: service.netmask ?? (key.family === 4 ? "255.255.255.255" : "128"),
    onePacket: service.ops,
    servers: service.servers.map((server) => serverOf(server, key)),
  };
}

export function desiredOf(config: Config): Desired {
  return { services: config.services.map(desiredService), timeouts: config.timeouts };
}

function specOf({ key, scheduler, flags, persistence, netmask, onePacket, pe }: DesiredService): ServiceSpec {
  const spec = { key, scheduler, flags, persistence, netmask, onePacket };
  return pe === undefined ? spec : { ...spec, pe };
}

function addition(service: DesiredService): DirectorCommand[] {
  return [
    { kind: "addService", service: specOf(service) },
    ...service.servers.map(
      (server): DirectorCommand => ({ kind: "addServer", service: service.key, server }),
    ),
  ];
}

/** Everything a config asks for, in its order, for a director that has nothing. */
export function toCommands(config: Config): DirectorCommand[] {
  return difference({ services: [], timeouts: { tcp: 0, tcpfin: 0, udp: 0 } }, desiredOf(config));
}

function sameService(a: ServiceSpec, b: ServiceSpec): boolean {
  return (
    a.scheduler === b.scheduler &&
    a.flags === b.flags &&
    a.persistence === b.persistence &&
    a.netmask === b.netmask &&
    a.onePacket === b.onePacket &&
    a.pe === b.pe
  );
}

function sameServer(a: ServerSpec, b: ServerSpec): boolean {
  return a.weight === b.weight && a.method === b.method && a.upper === b.upper && a.lower === b.lower;
}

/**
 * What a service that stays needs. Servers come before servers go, so that it never stands without one; and when
 * every server changes, no client meets an empty service.
 */
function changes(actual: DesiredService, desired: DesiredService): DirectorCommand[] {
  const service = desired.key;
  const commands: DirectorCommand[] = [];
  if (!sameService(actual, desired)) commands.push({ kind: "editService", service: specOf(desired) });
  const present = new Map(actual.servers.map((server) => [serverKeyText(server), server]));
  for (const server of desired.servers) {
    const key = serverKeyText(server);
    const before = present.get(key);
    present.delete(key);
    if (before === undefined) commands.push({ kind: "addServer", service, server });
    else if (!sameServer(before, server)) commands.push({ kind: "editServer", service, server });
  }
  for (const { address, port } of present.values()) {
    commands.push({ kind: "deleteServer", service, server: { address, port } });
  }
  return commands;
}

function timeoutChange(actual: Timeouts, desired: Timeouts): DirectorCommand[] {
  const changed = (["tcp", "tcpfin", "udp"] as const).filter(
    (name) => desired[name] !== 0 && desired[name] !== actual[name],
  );
  if (changed.length === 0) return [];
  const timeouts = { tcp: 0, tcpfin: 0, udp: 0 };
  for (const name of changed) timeouts[name] = desired[name];
  return [{ kind: "setTimeouts", timeouts }];
}

/**
 * The commands that lead from `actual` to `desired`. Services go last: between deleting the only service and adding
 * another, the kernel's rules would send every frame to the host's own stack (IPVS-FACTS 6).
 */
export function difference(actual: Desired, desired: Desired): DirectorCommand[] {
  const present = new Map<string, DesiredService>();
  for (const service of actual.services) present.set(serviceKeyText(service.key), service);
  const commands = timeoutChange(actual.timeouts, desired.timeouts);
  for (const service of desired.services) {
    const key = serviceKeyText(service.key);
    const before = present.get(key);
    present.delete(key);
    commands.push(...(before === undefined ? addition(service) : changes(before, service)));
  }
  for (const service of present.values()) commands.push({ kind: "deleteService", service: service.key });
  return commands;
}
