/** Networks (address and prefix) and endpoints (address and port), as numbers; their text goes through address.ts. */
import { formatAddress, isMapped, parseAddress, type Words } from "./address.ts";

export interface Network {
  /** As written, host bits included. */
  readonly address: Words;
  /** In bits of the written family: 0…32 for IPv4, 0…128 for IPv6. */
  readonly prefix: number;
}

export interface Endpoint {
  readonly address: Words;
  readonly port: number;
}

const DECIMAL = /^(?:0|[1-9][0-9]{0,4})$/;

function parseNumber(text: string, highest: number): number | undefined {
  if (!DECIMAL.test(text)) return undefined;
  const value = Number(text);
  return value <= highest ? value : undefined;
}

/** "10.0.0.0/8", "2001:db8::/32"; an address without prefix is a network of one. */
export function parseCidr(text: string): Network | undefined {
  const slash = text.indexOf("/");
  const addressText = slash < 0 ? text : text.slice(0, slash);
  const address = parseAddress(addressText);
  if (address === undefined) return undefined;
  const bits = addressText.includes(":") ? 128 : 32;
  const prefix = slash < 0 ? bits : parseNumber(text.slice(slash + 1), bits);
  if (prefix === undefined) return undefined;
  // A prefix written on the mapped form counts all 128 bits; a mapped network is an IPv4 one from /96 on.
  if (bits === 128 && isMapped(address)) return prefix < 96 ? undefined : { address, prefix: prefix - 96 };
  return { address, prefix };
}

export function formatCidr(network: Network): string {
  return `${formatAddress(network.address)}/${network.prefix}`;
}

/** The IPv4 netmask of a prefix, u32. */
export function maskOfPrefix(prefix: number): number {
  return prefix === 0 ? 0 : (0xffffffff << (32 - prefix)) >>> 0; // a shift by 32 would be a shift by 0
}

/** The prefix of an IPv4 netmask; undefined when its ones are not all on the left. */
export function prefixOfMask(mask: number): number | undefined {
  const prefix = Math.clz32(~mask >>> 0);
  return maskOfPrefix(prefix) === mask >>> 0 ? prefix : undefined;
}

/** True when the key lies in the network; families never match each other. */
export function contains(network: Network, address: Words): boolean {
  const v4 = isMapped(network.address);
  if (v4 !== isMapped(address)) return false;
  let bits = v4 ? network.prefix + 96 : network.prefix;
  for (let i = 0; i < 4; i++) {
    const mask = maskOfPrefix(Math.min(32, Math.max(0, bits)));
    if ((network.address[i]! & mask) !== (address[i]! & mask)) return false;
    bits -= 32;
  }
  return true;
}

/** "10.0.0.1:80" or "[2001:db8::1]:80". The port is required. */
export function parseEndpoint(text: string): Endpoint | undefined {
  const colon = text.lastIndexOf(":");
  if (colon < 0) return undefined;
  const host = text.slice(0, colon);
  const bracketed = host.startsWith("[") && host.endsWith("]");
  // Without brackets nobody can tell an IPv6 address's last group from a port.
  if (!bracketed && host.includes(":")) return undefined;
  const inner = bracketed ? host.slice(1, -1) : host;
  if (bracketed && !inner.includes(":")) return undefined;
  const address = parseAddress(inner);
  const port = parseNumber(text.slice(colon + 1), 65535);
  return address === undefined || port === undefined ? undefined : { address, port };
}

export function formatEndpoint(endpoint: Endpoint): string {
  const host = formatAddress(endpoint.address);
  return host.includes(":") ? `[${host}]:${endpoint.port}` : `${host}:${endpoint.port}`;
}
