/** The config file's rules that look at two keys at once. Each complaint names the key it is about. */
import { isMapped, parseAddress, type Words } from "../wire/address.ts";
import type { Config, ServerConfig, ServiceConfig } from "./config-schema.ts";

export interface Complaint {
  readonly path: readonly (string | number)[];
  /** What was expected there. */
  readonly expected: string;
}

type Path = readonly (string | number)[];

const familyOf = (words: Words): 4 | 6 => (isMapped(words) ? 4 : 6);

export function serviceFamily(service: ServiceConfig): 4 | 6 {
  if (service.protocol === "fwm") return service.family ?? 4;
  return familyOf(parseAddress(service.address ?? "") ?? [0, 0, 0xffff, 0]);
}

/** The text under which two services would be the same one. */
function identity(service: ServiceConfig): string {
  if (service.protocol === "fwm") return `fwm ${serviceFamily(service)} ${service.mark}`;
  return `${service.protocol} ${parseAddress(service.address ?? "")?.join()} ${service.port}`;
}

function* namingRules(service: ServiceConfig, path: Path): Generator<Complaint> {
  if (service.protocol === "fwm") {
    if (service.mark === undefined)
      yield { path: [...path, "mark"], expected: "a mark, because protocol is fwm" };
    for (const key of ["address", "port"] as const) {
      if (service[key] !== undefined)
        yield { path: [...path, key], expected: "nothing: a mark names the service" };
    }
    return;
  }
  for (const key of ["address", "port"] as const) {
    if (service[key] === undefined) yield { path: [...path, key], expected: `the virtual ${key}` };
  }
  for (const key of ["mark", "family"] as const) {
    if (service[key] !== undefined)
      yield { path: [...path, key], expected: "nothing, unless protocol is fwm" };
  }
  if (service.port === 0 && service.persistence === 0) {
    yield { path: [...path, "port"], expected: "1 to 65535, because the service is not persistent" };
  }
}

function* optionRules(service: ServiceConfig, path: Path): Generator<Complaint> {
  if (service.ops && service.protocol !== "udp" && service.protocol !== "fwm") {
    yield { path: [...path, "ops"], expected: "false: one-packet scheduling is only for udp and fwm" };
  }
  for (const [i, flag] of service.flags.entries()) {
    const owner = flag.split("-")[0]!;
    if (owner !== "flag" && owner !== service.scheduler) {
      yield { path: [...path, "flags", i], expected: `a flag of scheduler ${service.scheduler}` };
    }
  }
  if (service.netmask === undefined) return;
  const family = serviceFamily(service);
  if (service.netmask.includes(".") !== (family === 4)) {
    const expected =
      family === 4 ? "a dotted mask for an IPv4 service" : "a prefix length for an IPv6 service";
    yield { path: [...path, "netmask"], expected };
  }
  if (service.persistence === 0) {
    yield { path: [...path, "netmask"], expected: "nothing, unless persistence is set" };
  }
}

function* serverRules(server: ServerConfig, service: ServiceConfig, path: Path): Generator<Complaint> {
  const words = parseAddress(server.address);
  const family = serviceFamily(service);
  if (words !== undefined && familyOf(words) !== family) {
    yield { path: [...path, "address"], expected: `an IPv${family} address, as the service's` };
  }
  const port = service.port ?? 0;
  if (server.port !== undefined && server.port !== port) {
    yield {
      path: [...path, "port"],
      expected: `${port}, the service's: direct routing cannot change a port`,
    };
  }
  if (server.lower > server.upper) yield { path: [...path, "lower"], expected: "no more than upper" };
}

function* repeated(keys: readonly string[], path: Path, word: string): Generator<Complaint> {
  const first = new Map<string, number>();
  for (const [i, key] of keys.entries()) {
    const before = first.get(key);
    if (before === undefined) first.set(key, i);
    else
      yield { path: [...path, i], expected: `another ${word}: number ${before + 1} of the list is the same` };
  }
}

const words = (address: string): string => parseAddress(address)?.join() ?? address;

/** Every complaint about a config whose keys are right one by one. `schedulers` are those that exist, if known. */
export function* complaints(config: Config, schedulers?: readonly string[]): Generator<Complaint> {
  yield* repeated(
    config.vips.map((vip) => words(vip.address)),
    ["vips"],
    "address",
  );
  yield* repeated(config.services.map(identity), ["services"], "service");
  for (const [s, service] of config.services.entries()) {
    const path = ["services", s];
    yield* namingRules(service, path);
    yield* optionRules(service, path);
    if (schedulers !== undefined && !schedulers.includes(service.scheduler)) {
      yield { path: [...path, "scheduler"], expected: `one of ${schedulers.join(", ")}` };
    }
    yield* repeated(
      service.servers.map((server) => words(server.address)),
      [...path, "servers"],
      "real server",
    );
    for (const [d, server] of service.servers.entries()) {
      yield* serverRules(server, service, [...path, "servers", d]);
    }
  }
  for (const [m, rule] of config.marks.entries()) {
    const [low = 0, high = low] = rule.ports.split("-").map(Number);
    if (low > high || high > 65535)
      yield { path: ["marks", m, "ports"], expected: "a range of 0 to 65535, low first" };
  }
}
