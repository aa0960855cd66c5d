import {
  type ConnectionListing,
  type DirectorInfo,
  type ListFormat,
  type Protocol,
  SchedulerFlag,
  type ServerListing,
  type ServiceKey,
  type ServiceListing,
  type Timeouts,
} from "../control/model.ts";
import { readIPv6 } from "./inet.ts";

/**
 * Listings as ipvsadm(8) prints them: pure text from plain data, a piece at a time, so that a listing of any
 * length needs no more memory than one row. Widths and rounding are the recorded program's.
 */

/** Names for addresses and ports, without which everything is printed as numbers (-n). */
export interface NameWriter {
  /** The name of an address, or null to print the address. */
  host(address: string): string | null;
  /** The name of a port, or null to print the number. */
  port(port: number, protocol: "tcp" | "udp" | "sctp"): string | null;
}

export const NUMERIC: NameWriter = { host: () => null, port: () => null };

const HEADERS: Readonly<Record<ListFormat["columns"], string>> = {
  plain:
    "Prot LocalAddress:Port Scheduler Flags\n" +
    "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n",
  stats:
    "Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes\n" +
    "  -> RemoteAddress:Port\n",
  rate:
    "Prot LocalAddress:Port                 CPS    InPPS   OutPPS    InBPS   OutBPS\n" +
    "  -> RemoteAddress:Port\n",
  thresholds:
    "Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn \n" +
    "  -> RemoteAddress:Port\n",
  persistent:
    "Prot LocalAddress:Port            Weight    PersistConn ActiveConn InActConn \n" +
    "  -> RemoteAddress:Port\n",
  tunnel:
    "Prot LocalAddress:Port Scheduler Flags\n" +
    "  -> RemoteAddress:Port           Forward TunnelInfo    Weight ActiveConn InActConn\n",
};

/** The lines above a listing of services; a listing of one service (`info` null) has no version line. */
export function servicesHeader(columns: ListFormat["columns"], info: DirectorInfo | null): string {
  const version = info === null ? "" : `IP Virtual Server version ${info.version} (size=${info.size})\n`;
  return version + HEADERS[columns];
}

/** One service and its servers, in the columns asked for. */
export function serviceLines(service: ServiceListing, format: ListFormat, names: NameWriter): string {
  const columns = format.columns;
  const name = serviceName(service.key, names);
  let text: string;
  if (columns === "stats" || columns === "rate") {
    text = `${name.padEnd(33)}${numberColumns(service, columns, format.exact, false)}\n`;
  } else {
    text = `${name} ${service.scheduler}${serviceFlags(service)}\n`;
  }
  for (const server of service.servers) text += serverLine(service, server, format, names);
  return text;
}

const LONGEST_IPV4 = 28;
const LONGEST_IPV6 = 59;

const METHODS = { route: "Route", tunnel: "Tunnel", masq: "Masq" } as const;

function serverLine(
  service: ServiceListing,
  server: ServerListing,
  format: ListFormat,
  names: NameWriter,
): string {
  const where = cut(server.address, endpoint(server.address, server.port, service.key.protocol, names));
  const name = `  -> ${where.padEnd(28)}`;
  const method = METHODS[server.method].padEnd(7);
  const counts = `${left(server.activeConns, 10)} ${left(server.inactiveConns, 10)}`;
  switch (format.columns) {
    case "stats":
    case "rate":
      return `${name}${numberColumns(server, format.columns, format.exact, true)}\n`;
    case "thresholds":
      return `${name} ${left(server.upper, 10)} ${left(server.lower, 10)} ${counts}\n`;
    case "persistent":
      return `${name} ${left(server.weight, 9)} ${left(server.persistentConns, 11)} ${counts}\n`;
    case "tunnel": {
      const info = (server.method === "tunnel" ? "ipip" : "n/a").padEnd(13);
      return `${name} ${method} ${info} ${left(server.weight, 6)} ${counts}\n`;
    }
    default:
      return `${name} ${method} ${left(server.weight, 6)} ${counts}\n`;
  }
}

function left(value: number, width: number): string {
  return String(value).padEnd(width);
}

function numberColumns(
  { stats, rates }: Pick<ServiceListing, "stats" | "rates">,
  columns: "stats" | "rate",
  exact: boolean,
  isServer: boolean,
): string {
  const values =
    columns === "stats"
      ? [stats.conns, stats.inPkts, stats.outPkts, stats.inBytes, stats.outBytes]
      : [rates.cps, rates.inPps, rates.outPps, rates.inBps, rates.outBps];
  // ipvsadm never shortens a server's connections and packets per second
  const plain = exact ? 5 : isServer && columns === "rate" ? 3 : 0;
  return values.map((n, i) => ` ${i < plain ? String(n).padStart(8) : largeNumber(n)}`).join("");
}

/** Eight places: plain below a hundred million, then whole thousands, millions, … (rounded down). */
export function largeNumber(value: number): string {
  if (value < 1e8) return String(value).padStart(8);
  const [unit, letter] =
    value < 1e9 ? [1e3, "K"] : value < 1e11 ? [1e6, "M"] : value < 1e14 ? [1e9, "G"] : [1e12, "T"];
  return `${Math.floor(value / unit)}${letter}`.padStart(8);
}

/** "TCP  10.0.0.100:80", "FWM  2 IPv6". */
function serviceName(key: ServiceKey, names: NameWriter): string {
  // ipvsadm prints the mark signed
  if (key.protocol === "fwm") return `FWM  ${key.mark | 0}${key.family === 6 ? " IPv6" : ""}`;
  const where = cut(key.address, endpoint(key.address, key.port, key.protocol, names));
  return `${key.protocol.toUpperCase().padEnd(4)} ${where}`;
}

/** A listing of services cuts long names, as ipvsadm does; rules and connections are printed in full. */
function cut(address: string, text: string): string {
  return text.slice(0, address.includes(":") ? LONGEST_IPV6 : LONGEST_IPV4);
}

function endpoint(address: string, port: number, protocol: Protocol, names: NameWriter): string {
  // a mark has no protocol, and so its ports have no names
  const named = port !== 0 && (protocol === "tcp" || protocol === "udp" || protocol === "sctp");
  const service = (named ? names.port(port, protocol) : null) ?? String(port);
  if (!address.includes(":")) return `${names.host(address) ?? address}:${service}`;
  return `[${names.host(address) ?? readIPv6(address) ?? address}]:${service}`;
}

function serviceFlags(service: ServiceListing): string {
  // even if none of the flags has a name with this scheduler
  let text = service.flags === 0 ? "" : ` (${schedulerFlagNames(service.scheduler, service.flags)})`;
  if (service.persistence > 0) {
    text += ` persistent ${service.persistence}`;
    if (!isDefaultMask(service)) text += ` mask ${service.netmask}`;
    if (service.pe !== undefined) text += ` pe ${service.pe}`;
  }
  return service.onePacket ? `${text} ops` : text;
}

function isDefaultMask(service: ServiceListing): boolean {
  return service.netmask === (service.key.family === 6 ? "128" : "255.255.255.255");
}

/** The flags' names for a scheduler, comma-separated: sh and mh have their own, others flag-1 to flag-3. */
export function schedulerFlagNames(scheduler: string, flags: number): string {
  const names =
    scheduler === "sh" || scheduler === "mh"
      ? [`${scheduler}-fallback`, `${scheduler}-port`]
      : ["flag-1", "flag-2", "flag-3"];
  const bits = [SchedulerFlag.First, SchedulerFlag.Second, SchedulerFlag.Third];
  return names.filter((_, i) => (flags & bits[i]!) !== 0).join(",");
}

/** What -S prints of a service and its servers: the commands that make them. */
export function saveLines(service: ServiceListing, names: NameWriter): string {
  const key = service.key;
  const name = saveName(key, names);
  let text = `-A ${name} -s ${service.scheduler}`;
  if (service.persistence > 0) {
    text += ` -p ${service.persistence}`;
    if (!isDefaultMask(service)) text += ` -M ${service.netmask}`;
  }
  if (service.pe !== undefined) text += ` --pe ${service.pe}`;
  if (service.onePacket) text += " -o";
  if (service.flags !== 0) text += ` -b ${schedulerFlagNames(service.scheduler, service.flags)}`;
  text += "\n";
  for (const server of service.servers) {
    const method = { route: "-g", tunnel: "-i", masq: "-m" }[server.method];
    const where = endpoint(server.address, server.port, key.protocol, names);
    const tunnel = server.method === "tunnel" ? " --tun-type ipip" : "";
    text += `-a ${name} -r ${where} ${method} -w ${server.weight}${tunnel}\n`;
  }
  return text;
}

function saveName(key: ServiceKey, names: NameWriter): string {
  if (key.protocol === "fwm") return `-f ${key.mark | 0}${key.family === 6 ? " -6" : ""}`;
  const option = { tcp: "-t", udp: "-u", sctp: "--sctp-service" }[key.protocol];
  return `${option} ${endpoint(key.address, key.port, key.protocol, names)}`;
}

/** The lines above a listing of connections. */
export function connectionsHeader(columns: ListFormat["columns"]): string {
  const engine = columns === "persistent" ? "        pe name          pe_data" : "";
  return (
    "IPVS connection entries\n" +
    `pro expire state       source             virtual            destination${engine}\n`
  );
}

/** One connection entry. */
export function connectionLine(
  entry: ConnectionListing,
  columns: ListFormat["columns"],
  names: NameWriter,
): string {
  // "IP", a template of a mark, has no named ports
  const protocol = entry.protocol.toLowerCase() as Protocol;
  const time = `${twoDigits(Math.floor(entry.expiresSeconds / 60))}:${twoDigits(entry.expiresSeconds % 60)}`;
  const ends = [
    endpoint(entry.client, entry.cport, protocol, names).padEnd(18),
    endpoint(entry.virtual, entry.vport, protocol, names).padEnd(18),
  ].join(" ");
  const server = endpoint(entry.server, entry.rport, protocol, names);
  const engine = columns === "persistent" ? entry.pe : undefined;
  const last =
    engine === undefined ? server : `${server.padEnd(16)} ${engine.name.padEnd(18)} ${engine.data}`;
  return `${entry.protocol.padEnd(3)} ${time.padEnd(6)} ${entry.state.padEnd(11)} ${ends} ${last}\n`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, "0");
}

/** -L --timeout. */
export function timeoutsLine(timeouts: Timeouts): string {
  return `Timeout (tcp tcpfin udp): ${timeouts.tcp} ${timeouts.tcpfin} ${timeouts.udp}\n`;
}
