/** keepalived's ways to name several addresses at once (keepalived.conf(5), virtual_server_group). */
import { formatAddress, isMapped, parseAddress, type Words } from "../../wire/address.ts";

/** More than this is a slip of the pen, not a group of services. */
const MOST = 65_536;

const toBig = (words: Words): bigint => words.reduce((sum, word) => (sum << 32n) | BigInt(word >>> 0), 0n);

function fromBig(value: bigint): Words {
  const word = (shift: bigint): number => Number((value >> shift) & 0xffff_ffffn);
  return [word(96n), word(64n), word(32n), word(0n)];
}

/**
 * "10.0.0.1", "10.0.0.1-9", "10.0.0.250-10.0.1.9", "10.0.0.8/29", or the like in IPv6, as addresses in inet_ntop(3)
 * form; a sentence when it is none of these.
 */
export function addressesOf(text: string): string[] | string {
  const { first, last } = ends(text) ?? {};
  if (first === undefined || last === undefined) return `${text} is no address and no range of addresses`;
  const [from, to] = [toBig(first), toBig(last)];
  if (to < from) return `${text} ends before it begins`;
  const count = Number(to - from) + 1;
  if (count > MOST) return `${text} is more than ${MOST} addresses`;
  return Array.from({ length: count }, (_, i) => formatAddress(fromBig(from + BigInt(i))));
}

function ends(text: string): { first: Words; last: Words } | undefined {
  const [low = "", high] = text.split("-");
  const [network = "", bits] = low.split("/");
  const first = parseAddress(network);
  if (first === undefined) return undefined;
  if (bits !== undefined) return networkEnds(first, bits, high);
  if (high === undefined) return { first, last: first };
  // "-9" is the last number of the address, decimal in IPv4, hexadecimal in IPv6.
  const separator = isMapped(first) ? "." : ":";
  const whole = /[.:]/.test(high) ? high : network.slice(0, network.lastIndexOf(separator) + 1) + high;
  const last = parseAddress(whole);
  return last === undefined || isMapped(last) !== isMapped(first) ? undefined : { first, last };
}

function networkEnds(
  first: Words,
  bits: string,
  high: string | undefined,
): { first: Words; last: Words } | undefined {
  const width = isMapped(first) ? 32 : 128;
  if (high !== undefined || !/^\d{1,3}$/.test(bits) || Number(bits) > width) return undefined;
  const rest = (1n << BigInt(width - Number(bits))) - 1n;
  return { first, last: fromBig(toBig(first) | rest) };
}
