/** Looks at the host: what the process may do, the interface, addresses, routes, forwarding, and the rule of silence. */
import { readFileSync } from "node:fs";
import { isNativeError, native, openNetlink } from "../../ring/native.ts";
import { formatIpv4, formatMac } from "../../wire/address.ts";
import { MessageFlag, MessageType, message, parseMessages } from "../../wire/netlink.ts";
import { NETLINK_NETFILTER, parseTable } from "../../wire/nftables.ts";
import { HostAddresses, type Link, MachineError, readLink } from "../machine.ts";
import type { HostSeen } from "./observations.ts";
import { activeFeatures } from "./offloads.ts";
import { number4, type Patient } from "./patient.ts";

const CAPABILITIES: readonly (readonly [bigint, string])[] = [
  [13n, "CAP_NET_RAW"],
  [12n, "CAP_NET_ADMIN"],
];

export interface Route {
  readonly device: string;
  /** u32; 0 is none: the destination is on the link. */
  readonly gateway: number;
  readonly network: number;
  readonly mask: number;
}

/** /proc/net/route (proc(5)): hexadecimal columns in the machine's byte order, read here as little-endian. */
export function parseRoutes(text: string): Route[] {
  const swap = (hex: string): number => Buffer.from(hex, "hex").readUInt32LE();
  return text
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields.length >= 8)
    .map((fields) => ({
      device: fields[0]!,
      network: swap(fields[1]!),
      gateway: swap(fields[2]!),
      mask: swap(fields[7]!),
    }));
}

/** The route of the longest mask, as the kernel would take it from its main table. */
export function routeTo(routes: readonly Route[], address: number): Route | undefined {
  const fit = routes.filter(({ network, mask }) => (address & mask) >>> 0 === network);
  return fit.sort((a, b) => b.mask - a.mask)[0];
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

export interface Host {
  readonly seen: HostSeen;
  /** Absent when the interface cannot serve. */
  readonly link: Link | undefined;
  readonly routes: readonly Route[];
}

function linkOf(name: string): { link?: Link; trouble: string } {
  try {
    return { link: readLink(name), trouble: "" };
  } catch (error) {
    if (!(error instanceof MachineError)) throw error;
    return { trouble: error.message };
  }
}

export function lookAtHost({ interfaceName, vips }: Patient): Host {
  const has = native().capabilities();
  const lacks = CAPABILITIES.filter(([bit]) => ((has >> bit) & 1n) === 0n).map(([, name]) => name);
  const { link, trouble } = linkOf(interfaceName);
  const addresses = new HostAddresses();
  const routes = parseRoutes(read("/proc/net/route"));
  const numbers = new Set(vips.map(({ address }) => number4(address)));
  const dip = addresses.sourceFor(interfaceName, 0, numbers);
  const seen: HostSeen = {
    lacks,
    linkTrouble: trouble,
    dip: dip === 0 ? "" : formatIpv4(dip),
    mac: link === undefined ? "" : formatMac(link.mac),
    mtu: link?.mtu ?? 0,
    vipsOnHost: vips
      .map(({ address }) => address)
      .filter((vip) => addresses.isLocal([0, 0, 0xffff, number4(vip)])),
    forwards: read("/proc/sys/net/ipv4/ip_forward").trim() === "1",
    silenced: lacks.length > 0 ? undefined : isSilenced(interfaceName),
    joins: activeFeatures(interfaceName)?.has("rx-lro"),
  };
  return { seen, link, routes };
}

const GET_TABLE = 0x0a01; // NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE
const FAMILY_NETDEV = 5;
const WAIT_MS = 500;

/** Does a table of a director stand for this interface? undefined when the kernel does not say. */
function isSilenced(interfaceName: string): boolean | undefined {
  const ours = new RegExp(`^dr-director-${interfaceName.replaceAll(/[^\w]/g, "\\$&")}(-\\d+)?$`);
  try {
    return tableNames().some((name) => ours.test(name));
  } catch (error) {
    if (isNativeError(error) || error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Names of all netdev tables, by one dump. */
function tableNames(): string[] {
  const fd = openNetlink(NETLINK_NETFILTER, 0);
  try {
    const flags = MessageFlag.Request | MessageFlag.Dump;
    native().send(fd, message(GET_TABLE, flags, 1, Uint8Array.of(FAMILY_NETDEV, 0, 0, 0)));
    const names: string[] = [];
    const buffer = new Uint8Array(65_536);
    const deadline = native().monotonic() + WAIT_MS;
    for (;;) {
      const length = native().recv(fd, buffer);
      if (length < 0 && native().monotonic() > deadline) throw new RangeError("nf_tables does not answer");
      for (const reply of parseMessages(buffer.subarray(0, Math.max(0, length)))) {
        if (reply.type === MessageType.Done) return names;
        if (reply.type === MessageType.Error) throw new RangeError("nf_tables refused");
        const table = parseTable(reply);
        if (table !== undefined) names.push(table.name);
      }
    }
  } finally {
    native().close(fd);
  }
}
