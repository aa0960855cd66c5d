/**
 * Addresses as people write them. This is the only file where addresses are text: everything else knows numbers.
 *
 * IPv4 address: one u32, most significant byte first. IPv6 address and table key: four u32 words, word 0 first on
 * the wire; an IPv4 address `a` is the key [0, 0, 0xffff, a] (v4-mapped, RFC 4291 §2.5.5.2). MAC: its first 16 and
 * its last 32 bits. Parsers return undefined for anything that is not exactly such an address.
 */
export type Words = readonly [number, number, number, number];

export interface Mac {
  /** The first two bytes on the wire. */
  readonly hi: number;
  /** The last four bytes on the wire, unsigned. */
  readonly lo: number;
}

/** Word 2 of every v4-mapped key. */
export const MAPPED_WORD = 0xffff;

const DECIMAL_BYTE = /^(?:0|[1-9][0-9]{0,2})$/;
const HEX_GROUP = /^[0-9a-fA-F]{1,4}$/;
const MAC = /^[0-9a-fA-F]{2}([:-])[0-9a-fA-F]{2}(?:\1[0-9a-fA-F]{2}){4}$/;

/** Strict dotted quad. "010.1.1.1" is refused: some readers take it as octal, others as decimal. */
export function parseIpv4(text: string): number | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let address = 0;
  for (const part of parts) {
    if (!DECIMAL_BYTE.test(part)) return undefined;
    const byte = Number(part);
    if (byte > 255) return undefined;
    address = address * 256 + byte;
  }
  return address;
}

export function formatIpv4(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}

/** The 16-bit groups of one side of "::"; a dotted quad may stand last and makes two. */
function parseGroups(text: string, mayEndInIpv4: boolean): number[] | undefined {
  if (text === "") return [];
  const parts = text.split(":");
  const groups: number[] = [];
  for (const [index, part] of parts.entries()) {
    if (HEX_GROUP.test(part)) {
      groups.push(Number.parseInt(part, 16));
      continue;
    }
    const embedded = mayEndInIpv4 && index === parts.length - 1 ? parseIpv4(part) : undefined;
    if (embedded === undefined) return undefined;
    groups.push(embedded >>> 16, embedded & 0xffff);
  }
  return groups;
}

/** Any RFC 4291 §2.2 form, v4-mapped ones included; no zone and no prefix. */
export function parseIpv6(text: string): Words | undefined {
  const sides = text.split("::");
  if (sides.length > 2) return undefined;
  const head = parseGroups(sides[0]!, sides.length === 1);
  const tail = sides.length === 2 ? parseGroups(sides[1]!, true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  // "::" stands for at least one group (RFC 4291 allows "one or more").
  if (sides.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail];
  const word = (i: number): number => ((groups[i]! << 16) | groups[i + 1]!) >>> 0;
  return [word(0), word(2), word(4), word(6)];
}

/** Start and length of the longest run of zero groups, the first of equals (RFC 5952 §4.2.3). */
function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: -1, length: 0 };
  let start = 0;
  for (let i = 0; i <= groups.length; i++) {
    if (i < groups.length && groups[i] === 0) continue;
    if (i - start > best.length) best = { start, length: i - start };
    start = i + 1;
  }
  return best;
}

/** RFC 5952 text; v4-mapped addresses in mixed notation (its §5). */
export function formatIpv6(words: Words): string {
  if (isMapped(words)) return `::ffff:${formatIpv4(words[3])}`;
  const groups = words.flatMap((word) => [word >>> 16, word & 0xffff]);
  const hex = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(":");
  const run = longestZeroRun(groups);
  // A single zero group is never shortened (RFC 5952 §4.2.2).
  if (run.length < 2) return hex(0, 8);
  return `${hex(0, run.start)}::${hex(run.start + run.length, 8)}`;
}

/** The table key of an IPv4 address. */
export function mapped(address: number): Words {
  return [0, 0, MAPPED_WORD, address];
}

/** True when the key stands for an IPv4 address. */
export function isMapped(words: Words): boolean {
  return words[0] === 0 && words[1] === 0 && words[2] === MAPPED_WORD;
}

/** Either family as a key. */
export function parseAddress(text: string): Words | undefined {
  if (text.includes(":")) return parseIpv6(text);
  const address = parseIpv4(text);
  return address === undefined ? undefined : mapped(address);
}

/** A key as its family writes it: v4-mapped ones as a plain dotted quad. */
export function formatAddress(words: Words): string {
  return isMapped(words) ? formatIpv4(words[3]) : formatIpv6(words);
}

/** Six two-digit hex bytes, all separated by ":" or all by "-". */
export function parseMac(text: string): Mac | undefined {
  if (!MAC.test(text)) return undefined;
  const digits = text.replace(/[:-]/g, "");
  return { hi: Number.parseInt(digits.slice(0, 4), 16), lo: Number.parseInt(digits.slice(4), 16) };
}

export function formatMac(mac: Mac): string {
  const digits = mac.hi.toString(16).padStart(4, "0") + mac.lo.toString(16).padStart(8, "0");
  return digits.match(/../g)!.join(":");
}
