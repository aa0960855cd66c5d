/**
 * What a kernel director shows in /proc/net/ip_vs and /proc/net/ip_vs_stats (net/netfilter/ipvs/ip_vs_ctl.c), so that
 * exporters and scripts that read those files can read us: hexadecimal, addresses in network order.
 */
import { parseAddress } from "../wire/address.ts";
import type { Method, Rates, ServerListing, ServiceListing, Stats } from "./model.ts";

/** The kernel shows a persistence timeout in clock ticks: Debian's kernels make 250 a second. */
const HZ = 250;

const METHODS: Readonly<Record<Method, string>> = { route: "Route", tunnel: "Tunnel", masq: "Masq" };

const hex = (value: number, width: number): string => value.toString(16).toUpperCase().padStart(width, "0");

function wordsOf(address: string): readonly number[] {
  const words = parseAddress(address);
  if (words === undefined) throw new TypeError(`"${address}" is no address`);
  return words;
}

/** "0A000064", or "[2001:0db8:…]" with all its zeros. */
function addressText(address: string, family: 4 | 6): string {
  const words = wordsOf(address);
  if (family === 4) return hex(words[3]! >>> 0, 8);
  const digits = words.map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  return `[${digits.match(/.{4}/g)!.join(":")}]`;
}

/** The mask as the kernel shows it: of IPv6 it has only a prefix length, whose bytes come out reversed. */
function maskText({ netmask, key }: ServiceListing): string {
  return key.family === 4 ? addressText(netmask, 4) : hex(Number(netmask) * 2 ** 24, 8);
}

function serviceLine(service: ServiceListing): string {
  const { key, scheduler, onePacket, persistence } = service;
  const ops = onePacket ? "ops " : "";
  const lasting = persistence > 0 ? `persistent ${persistence * HZ} ${maskText(service)}` : "";
  if (key.protocol === "fwm") return `FWM  ${hex(key.mark, 8)} ${scheduler} ${ops}${lasting}\n`;
  const place = `${key.protocol.toUpperCase()}  ${addressText(key.address, key.family)}:${hex(key.port, 4)}`;
  // The kernel tells no "ops" of an IPv6 service, and its line has a blank less.
  return `${place} ${scheduler} ${key.family === 6 ? "" : `${ops} `}${lasting}\n`;
}

function serverLine(server: ServerListing, family: 4 | 6): string {
  const { address, port, method, weight, activeConns, inactiveConns } = server;
  const columns = [
    METHODS[method].padEnd(7),
    String(weight).padEnd(6),
    String(activeConns).padEnd(10),
    String(inactiveConns).padEnd(10),
  ];
  return `  -> ${addressText(address, family)}:${hex(port, 4)}      ${columns.join(" ")}\n`;
}

/** /proc/net/ip_vs: services by address first, those by mark last. */
export function* procIpVs(
  services: Iterable<ServiceListing>,
  info: { version: string; size: number },
): Generator<string> {
  yield `IP Virtual Server version ${info.version} (size=${info.size})\n`;
  yield "Prot LocalAddress:Port Scheduler Flags\n";
  yield "  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n";
  const marked: string[] = [];
  for (const service of services) {
    const { protocol, family } = service.key;
    const text = serviceLine(service) + service.servers.map((server) => serverLine(server, family)).join("");
    if (protocol === "fwm") marked.push(text);
    else yield text;
  }
  yield* marked;
}

const column = (value: number, width: number): string => value.toString(16).toUpperCase().padStart(width);

const line = (numbers: readonly number[]): string =>
  `${numbers.map((value, i) => column(value, i < 3 ? 8 : 16)).join(" ")}\n`;

/** /proc/net/ip_vs_stats. */
export function procIpVsStats(stats: Stats, rates: Rates): string {
  const { conns, inPkts, outPkts, inBytes, outBytes } = stats;
  const { cps, inPps, outPps, inBps, outBps } = rates;
  return [
    "   Total Incoming Outgoing         Incoming         Outgoing\n",
    "   Conns  Packets  Packets            Bytes            Bytes\n",
    line([conns, inPkts, outPkts, inBytes, outBytes]),
    "\n",
    " Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s\n",
    line([cps, inPps, outPps, inBps, outBps]),
  ].join("");
}
