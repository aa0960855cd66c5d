/**
 * The numbers behind the model's texts: protocol numbers, address words, masks. One place parses what names a
 * service or a server, so that "2001:DB8::1" and "2001:db8:0::1" are one address everywhere.
 */
import { formatIpv4, formatIpv6, mapped, parseIpv4, parseIpv6, type Words } from "../wire/address.ts";
import { Protocol as ProtocolNumber } from "../wire/ipv4.ts";
import type { Family, Protocol, ServerKey, ServiceKey } from "./model.ts";
import { refuse } from "./refusal.ts";

/** What names a service, as the region holds it; a fwmark service has protocol 0, the any-address and port 0. */
export interface ServiceNumbers {
  readonly family: Family;
  readonly protocol: number;
  readonly address: Words;
  readonly port: number;
  readonly mark: number;
}

export interface ServerNumbers {
  readonly address: Words;
  readonly port: number;
}

const PROTOCOL_NUMBERS: Record<Protocol, number> = {
  tcp: ProtocolNumber.Tcp,
  udp: ProtocolNumber.Udp,
  sctp: ProtocolNumber.Sctp,
  fwm: 0,
};

const ANY: Record<Family, Words> = { 4: mapped(0), 6: [0, 0, 0, 0] };

export function protocolName(protocol: number): Protocol {
  for (const [name, number] of Object.entries(PROTOCOL_NUMBERS)) {
    if (number === protocol) return name as Protocol;
  }
  return "fwm";
}

function isWhole(value: number, most: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= most;
}

export function parseWords(family: Family, text: string): Words {
  const words = family === 6 ? parseIpv6(text) : parseV4(text);
  return words ?? refuse("EINVAL", `"${text}" is not an IPv${family} address`);
}

function parseV4(text: string): Words | undefined {
  const address = parseIpv4(text);
  return address === undefined ? undefined : mapped(address);
}

export function formatWords(family: number, words: Words): string {
  return family === 6 ? formatIpv6(words) : formatIpv4(words[3]);
}

export function checkPort(port: number): number {
  return isWhole(port, 0xffff) ? port : refuse("EINVAL", `${port} is not a port number`);
}

export function serviceNumbers(key: ServiceKey): ServiceNumbers {
  const { family } = key;
  if (family !== 4 && family !== 6) refuse("EAFNOSUPPORT", `there is no address family ${family}`);
  if (key.protocol === "fwm") {
    if (!isWhole(key.mark, 0xffff_ffff) || key.mark === 0) {
      refuse("EINVAL", `${key.mark} is not a firewall mark (1 … 4294967295)`);
    }
    return { family, protocol: 0, address: ANY[family], port: 0, mark: key.mark };
  }
  const protocol =
    PROTOCOL_NUMBERS[key.protocol] ?? refuse("EINVAL", `there is no protocol "${key.protocol}"`);
  return { family, protocol, address: parseWords(family, key.address), port: checkPort(key.port), mark: 0 };
}

export function serverNumbers(family: Family, key: ServerKey): ServerNumbers {
  return { address: parseWords(family, key.address), port: checkPort(key.port) };
}

/** The four words at row `row` of an address column. */
export function wordsAt(column: Uint32Array, row: number): Words {
  const at = row * 4;
  return [column[at]!, column[at + 1]!, column[at + 2]!, column[at + 3]!];
}

export function setWords(column: Uint32Array, row: number, words: Words): void {
  column.set(words, row * 4);
}

/** One text per service for the executor's maps. */
export function serviceText(key: ServiceNumbers): string {
  const { family, protocol, port, mark, address: a } = key;
  return `${family}/${protocol}/${mark}/${port}/${a[0]}/${a[1]}/${a[2]}/${a[3]}`;
}

export function serverText(key: ServerNumbers): string {
  const a = key.address;
  return `${key.port}/${a[0]}/${a[1]}/${a[2]}/${a[3]}`;
}

/**
 * Persistence granularity as four words to AND a client's address with: "255.255.255.0" for IPv4, a prefix length
 * in text for IPv6. The words before an IPv4 address are kept by the mask.
 */
export function parseNetmask(family: Family, text: string): Words {
  if (family === 4) {
    const mask = parseIpv4(text) ?? refuse("EINVAL", `"${text}" is not a network mask`);
    return [0xffff_ffff, 0xffff_ffff, 0xffff_ffff, mask];
  }
  const prefix = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (prefix < 1 || prefix > 128) refuse("EINVAL", `"${text}" is not a prefix length (1 … 128)`);
  const word = (i: number): number => {
    const bits = Math.min(32, Math.max(0, prefix - 32 * i));
    return bits === 0 ? 0 : (0xffff_ffff << (32 - bits)) >>> 0;
  };
  return [word(0), word(1), word(2), word(3)];
}

export function formatNetmask(family: number, mask: Words): string {
  if (family === 4) return formatIpv4(mask[3]);
  let prefix = 0;
  for (const word of mask) prefix += Math.clz32(~word);
  return String(prefix);
}
