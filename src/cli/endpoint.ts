import type { Family, Protocol } from "../control/model.ts";
import { readIPv4, readIPv6 } from "./inet.ts";

/** Names of hosts and services, for a parser that itself knows neither files nor DNS. */
export interface NameLookup {
  /** A host's first IPv4 address, as gethostbyname(3); null if unknown. */
  host(name: string): string | null;
  /** A service's port, as getservbyname(3) with this protocol; null if unknown. */
  port(name: string, protocol: "tcp" | "udp" | "sctp"): number | null;
}

/** host[:port] as read; the port is null if none was given. */
export interface Endpoint {
  family: Family;
  address: string;
  port: number | null;
}

/**
 * ipvsadm's `address[:port]`: "10.0.0.1", "10.0.0.1:80", "web:http", "2001:db8::1" (all of it the address) or
 * "[2001:db8::1]:80" (the port is then compulsory). A text of digits alone is no address. Null if it is none.
 */
export function readEndpoint(text: string, protocol: Protocol | null, lookup: NameLookup): Endpoint | null {
  if (/^\d*$/.test(text)) return null;
  let host = text;
  let port: string | null = null;
  if (text.startsWith("[")) {
    const end = text.indexOf("]");
    if (end < 0 || text[end + 1] !== ":") return null;
    host = text.slice(1, end);
    port = text.slice(end + 2);
  }
  const v6 = readIPv6(host);
  if (v6 !== null) return withPort(6, v6, port, protocol, lookup);
  // not IPv6: only the part inside the brackets counts, and what follows its own last colon
  const colon = host.lastIndexOf(":");
  const name = colon < 0 ? host : host.slice(0, colon);
  const address = readIPv4(name) ?? lookup.host(name);
  if (address === null) return null;
  return withPort(4, address, colon < 0 ? null : host.slice(colon + 1), protocol, lookup);
}

function withPort(
  family: Family,
  address: string,
  text: string | null,
  protocol: Protocol | null,
  lookup: NameLookup,
): Endpoint | null {
  if (text === null) return { family, address, port: null };
  // a marked service's ports are named as TCP's; before the service is known there are no names
  const named = protocol === "fwm" ? "tcp" : protocol;
  const port = readWhole(text, 0, 65_535) ?? (named === null ? null : lookup.port(text, named));
  return port === null ? null : { family, address, port };
}

/** A whole number as strtol(3) reads one (leading white space and sign allowed), within bounds; else null. */
export function readWhole(text: string, min: number, max: number): number | null {
  if (!/^[ \t\n\v\f\r]*[+-]?\d+$/.test(text)) return null;
  const value = Number(text.trim()) + 0;
  return value >= min && value <= max ? value : null;
}
