/** Whom the doctor examines: the director's config, and what a running director says of itself. */
import { isMapped, parseAddress, parseIpv4, parseMac } from "../../wire/address.ts";
import { Protocol } from "../../wire/ipv4.ts";
import { parseCidr } from "../../wire/network.ts";
import type { Config } from "../config.ts";
import type { ServiceListing } from "../model.ts";
import type { NeighbourListing } from "../neighbours.ts";
import type { VipListing } from "../vip.ts";

/** What a running director answered. */
export interface Running {
  readonly services: readonly ServiceListing[];
  readonly neighbours: readonly NeighbourListing[];
  readonly vips: readonly VipListing[];
}

export interface Port {
  /** IP protocol number: TCP or UDP. */
  readonly protocol: number;
  readonly port: number;
}

export interface VipPatient {
  readonly address: string;
  /** false: it is not the director who should answer ARP for it. */
  readonly active: boolean;
}

export interface ServerPatient {
  readonly rip: string;
  /** The virtual addresses it must have, and the ports that must be open there; none to ask when it is quiesced. */
  readonly vips: ReadonlyMap<string, readonly Port[]>;
  /** MAC of the config, which ARP is not asked for. */
  readonly fixedMac?: string;
  /** MAC that the running director sends to. */
  readonly heldMac?: string;
}

export interface Patient {
  readonly interfaceName: string;
  readonly running: boolean;
  readonly silence: Config["silence"];
  readonly sourceMac: Config["sourceMac"];
  /** MACs of peer directors, as formatMac writes them. */
  readonly peers: readonly string[];
  readonly vips: readonly VipPatient[];
  readonly servers: readonly ServerPatient[];
  /** What is left out, a sentence each. */
  readonly leftOut: readonly string[];
}

const PROTOCOLS: Readonly<Record<string, number>> = { tcp: Protocol.Tcp, udp: Protocol.Udp };
const NO_MAC = "00:00:00:00:00:00";

/** A service of either source, reduced to what is asked about. */
interface Service {
  readonly vips: readonly string[];
  readonly port: Port | undefined;
  readonly servers: readonly { readonly address: string; readonly weight: number }[];
}

const isIpv4 = (text: string): boolean => parseIpv4(text) !== undefined;

/** A mark stands for addresses by rules that are in the config alone; only single ones can be asked about. */
function markedAddresses(config: Config | undefined, mark: number): string[] {
  const rules = config?.marks.filter((rule) => rule.mark === mark) ?? [];
  return rules.flatMap(({ network }) => {
    const parsed = parseCidr(network);
    return parsed !== undefined && isMapped(parsed.address) && parsed.prefix === 32
      ? [network.split("/")[0]!]
      : [];
  });
}

function portOf(protocol: string, port: number): Port | undefined {
  const number = PROTOCOLS[protocol];
  return number === undefined || port === 0 ? undefined : { protocol: number, port };
}

function ofListing(listing: ServiceListing, config: Config | undefined): Service {
  const { protocol, address, port, mark } = listing.key;
  const vips = protocol === "fwm" ? markedAddresses(config, mark) : [address];
  return { vips: vips.filter(isIpv4), port: portOf(protocol, port), servers: listing.servers };
}

function ofConfig(service: Config["services"][number], config: Config): Service {
  const { protocol, address, port = 0, mark = 0 } = service;
  const vips = protocol === "fwm" ? markedAddresses(config, mark) : [address ?? ""];
  return { vips: vips.filter(isIpv4), port: portOf(protocol, port), servers: service.servers };
}

function fixedMacs(config: Config | undefined): Map<string, string> {
  const servers = config?.services.flatMap((service) => service.servers) ?? [];
  return new Map(
    servers.flatMap(({ address, mac }) => (mac === undefined ? [] : [[address, plainMac(mac)]])),
  );
}

/** As formatMac writes it, so that MACs compare as text. */
function plainMac(text: string): string {
  return parseMac(text) === undefined ? text : text.toLowerCase().replaceAll("-", ":");
}

/** Merges what each service wants of a real server. */
function serversOf(services: readonly Service[]): Map<string, Map<string, Port[]>> {
  const all = new Map<string, Map<string, Port[]>>();
  for (const { vips, port, servers } of services) {
    for (const { address, weight } of servers) {
      const wanted = all.get(address) ?? new Map<string, Port[]>();
      all.set(address, wanted);
      for (const vip of vips) {
        const ports = wanted.get(vip) ?? [];
        wanted.set(vip, ports);
        // A quiesced server may well be down on purpose.
        if (port !== undefined && weight > 0) ports.push(port);
      }
    }
  }
  return all;
}

function vipsOf(services: readonly Service[], config: Config | undefined, running: Running | undefined) {
  const owned = running?.vips ?? config?.vips ?? [];
  const all = new Map<string, VipPatient>();
  for (const vip of services.flatMap((service) => service.vips))
    all.set(vip, { address: vip, active: false });
  for (const { address, own, active } of owned) {
    if (isIpv4(address)) all.set(address, { address, active: own && active });
  }
  return [...all.values()];
}

/** `interfaceName` from the command line counts before the config's. Throws RangeError when nobody names one. */
export function patientOf(
  config: Config | undefined,
  running: Running | undefined,
  interfaceName = config?.interface,
): Patient {
  if (interfaceName === undefined) {
    throw new RangeError("which interface? Give --config FILE or --interface NAME");
  }
  const services =
    running === undefined
      ? (config?.services ?? []).map((service) => ofConfig(service, config!))
      : running.services.map((listing) => ofListing(listing, config));
  const fixed = fixedMacs(config);
  const held = new Map(running?.neighbours.map(({ address, mac }) => [address, mac]) ?? []);
  const servers = [...serversOf(services)].map(([rip, vips]): ServerPatient => {
    const [fixedMac, heldMac] = [fixed.get(rip), held.get(rip)];
    return {
      rip,
      vips,
      ...(fixedMac === undefined ? {} : { fixedMac }),
      ...(heldMac === undefined || heldMac === NO_MAC ? {} : { heldMac }),
    };
  });
  const six = servers.filter(({ rip }) => !isIpv4(rip)).length;
  return {
    interfaceName,
    running: running !== undefined,
    silence: config?.silence ?? "auto",
    sourceMac: config?.sourceMac ?? "interface",
    peers: (config?.peers ?? []).map(plainMac),
    vips: vipsOf(services, config, running),
    servers: servers.filter(({ rip }) => isIpv4(rip)),
    leftOut: six > 0 ? [`${six} IPv6 real servers: only IPv4 can be asked so far`] : [],
  };
}

/** u32 of an address that is known to be IPv4. */
export const number4 = (text: string): number => parseAddress(text)![3];
