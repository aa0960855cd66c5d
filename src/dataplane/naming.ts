/** Rows as people name them, for whoever tells of the data path: explain, replay, capture, the page. Never hot. */
import { ConnectionFlag, STATE_MASK } from "../table/connections.ts";
import type { Region } from "../table/region.ts";
import { NONE, ServiceFlag, schedulerName } from "../table/services.ts";
import { formatIpv4, formatIpv6, type Words } from "../wire/address.ts";
import { Protocol } from "../wire/ipv4.ts";
import { SCTP_STATE_NAMES } from "./sctp-state.ts";
import { TCP_STATE_NAMES } from "./tcp-state.ts";

/** A virtual service. With protocol "fwm" the mark and the family name it. */
export interface ServiceName {
  readonly protocol: string;
  readonly family: 4 | 6;
  readonly address: string;
  readonly port: number;
  readonly mark: number;
  /** "tcp 10.0.0.100:80", "fwm 7". */
  readonly text: string;
}

export interface ServerName {
  readonly address: string;
  readonly port: number;
  /** "10.0.0.11:80". */
  readonly text: string;
}

const PROTOCOLS: Readonly<Record<number, string>> = {
  0: "fwm",
  [Protocol.Icmp]: "icmp",
  [Protocol.Icmpv6]: "icmpv6",
  [Protocol.Tcp]: "tcp",
  [Protocol.Udp]: "udp",
  [Protocol.Sctp]: "sctp",
};

export function protocolText(protocol: number): string {
  return PROTOCOLS[protocol] ?? `protocol ${protocol}`;
}

/** Four words at `at`; IPv4 stands in the last one. */
export function addressText(family: number, column: ArrayLike<number>, at: number): string {
  const words: Words = [
    column[at]! >>> 0,
    column[at + 1]! >>> 0,
    column[at + 2]! >>> 0,
    column[at + 3]! >>> 0,
  ];
  return family === 6 ? formatIpv6(words) : formatIpv4(words[3]);
}

export function endpointText(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

export function serviceName(region: Region, s: number): ServiceName {
  const { services } = region;
  const family = services.family[s] === 6 ? 6 : 4;
  const mark = services.mark[s]!;
  const protocol = protocolText(services.protocol[s]!);
  const address = addressText(family, services.address, s * 4);
  const port = services.port[s]!;
  const text = mark !== 0 ? `fwm ${mark}` : `${protocol} ${endpointText(address, port)}`;
  return { protocol, family, address, port, mark, text };
}

/** Flags as ipvsadm(8) words them. */
export function serviceFlagNames(region: Region, s: number): string[] {
  const flags = region.services.flags[s]!;
  const name = schedulerName(region.services, s);
  const own = name === "sh" || name === "mh" ? [`${name}-fallback`, `${name}-port`] : ["flag-1", "flag-2"];
  const bits: readonly [number, string][] = [
    [ServiceFlag.Persistent, "persistent"],
    [ServiceFlag.OnePacket, "ops"],
    [ServiceFlag.Sched1, own[0]!],
    [ServiceFlag.Sched2, own[1]!],
    [ServiceFlag.Sched3, "flag-3"],
  ];
  return bits.filter(([bit]) => (flags & bit) !== 0).map(([, word]) => word);
}

export function serverName(region: Region, d: number): ServerName {
  const { destinations } = region;
  const s = destinations.service[d]!;
  const mapped = destinations.address[d * 4 + 2] === 0xffff && destinations.address[d * 4] === 0;
  const family = s === NONE ? (mapped ? 4 : 6) : region.services.family[s]!;
  const address = addressText(family, destinations.address, d * 4);
  const port = destinations.port[d]!;
  return { address, port, text: endpointText(address, port) };
}

const TEMPLATE_STATES = ["NONE", "ASSURED"] as const;

/** A connection's state by name, from its kind's protocol and its status word. */
export function stateName(protocol: number, status: number): string {
  const state = status & STATE_MASK;
  if ((status & ConnectionFlag.Template) !== 0) return TEMPLATE_STATES[state] ?? "NONE";
  if (protocol === Protocol.Tcp) return TCP_STATE_NAMES[state] ?? "?";
  if (protocol === Protocol.Sctp) return SCTP_STATE_NAMES[state] ?? "?";
  return protocol === Protocol.Udp ? "UDP" : "NONE";
}
