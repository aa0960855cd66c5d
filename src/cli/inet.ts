/** Addresses as libc reads and writes them, because that is what ipvsadm does: inet_aton(3), inet_pton(3), inet_ntop(3). */

import { formatIpv4, parseIpv6 } from "../wire/address.ts";

/**
 * inet_aton(3): "1.2.3.4", but also "1.2.4", "0x7f000001" and "010.1.1.1" (= 8.1.1.1), and anything after white
 * space is ignored. Dotted text in canonical form, or null.
 */
export function readIPv4(text: string): string | null {
  const head = /^[^ \t\n\v\f\r]*/.exec(text)![0];
  const parts = head.split(".");
  if (parts.length > 4) return null;
  let value = 0;
  for (let i = 0; i < parts.length; i++) {
    const number = readPart(parts[i]!);
    const last = i === parts.length - 1;
    const room = last ? 256 ** (4 - i) : 256;
    if (number === null || number >= room) return null;
    value += last ? number : number * 256 ** (3 - i);
  }
  return formatIpv4(value);
}

function readPart(text: string): number | null {
  if (/^0[xX][0-9a-fA-F]+$/.test(text)) return Number.parseInt(text.slice(2), 16);
  if (/^0[0-7]*$/.test(text)) return Number.parseInt(text, 8);
  return /^[1-9][0-9]*$/.test(text) ? Number(text) : null;
}

/** inet_pton(AF_INET6): eight 16-bit groups, or null. */
export function readIPv6Groups(text: string): number[] | null {
  return parseIpv6(text)?.flatMap((word) => [word >>> 16, word & 0xffff]) ?? null;
}

/** inet_ntop(AF_INET6) of eight groups: the longest run of zeros shortened, mapped IPv4 dotted. */
export function writeIPv6Groups(groups: readonly number[]): string {
  let best = -1;
  let length = 1;
  for (let i = 0; i < 8; i++) {
    let n = 0;
    while (i + n < 8 && groups[i + n] === 0) n++;
    if (n > length) {
      best = i;
      length = n;
    }
  }
  // glibc writes ::1.2.3.4 and ::ffff:1.2.3.4 dotted
  if (best === 0 && (length === 6 || (length === 5 && groups[5] === 0xffff))) {
    const v4 = formatIpv4(groups[6]! * 65536 + groups[7]!);
    return length === 6 ? `::${v4}` : `::ffff:${v4}`;
  }
  const text = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(":");
  return best < 0 ? text(groups) : `${text(groups.slice(0, best))}::${text(groups.slice(best + length))}`;
}

/** IPv6 text in canonical form, or null. */
export function readIPv6(text: string): string | null {
  const groups = readIPv6Groups(text);
  return groups === null ? null : writeIPv6Groups(groups);
}

/** An IPv4 address in canonical text as an unsigned number, for sorting. */
export function ipv4Number(address: string): number {
  return address.split(".").reduce((sum, byte) => sum * 256 + Number(byte), 0);
}
