/** Addresses as libc reads and writes them, because that is what ipvsadm does: inet_aton(3), inet_pton(3), inet_ntop(3). */

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
  return writeIPv4(value);
}

function readPart(text: string): number | null {
  if (/^0[xX][0-9a-fA-F]+$/.test(text)) return Number.parseInt(text.slice(2), 16);
  if (/^0[0-7]*$/.test(text)) return Number.parseInt(text, 8);
  return /^[1-9][0-9]*$/.test(text) ? Number(text) : null;
}

function writeIPv4(value: number): string {
  return `${Math.floor(value / 2 ** 24)}.${Math.floor(value / 65536) % 256}.${Math.floor(value / 256) % 256}.${value % 256}`;
}

/** inet_pton(AF_INET6): eight 16-bit groups, or null. */
export function readIPv6Groups(text: string): number[] | null {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const head = readGroups(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? readGroups(halves[1]!, true) : [];
  if (head === null || tail === null) return null;
  if (halves.length === 1) return head.length === 8 ? head : null;
  const zeros = 8 - head.length - tail.length;
  return zeros < 1 ? null : [...head, ...new Array<number>(zeros).fill(0), ...tail];
}

/** Groups between colons; the last may be dotted if `mayEnd` (nothing follows). */
function readGroups(text: string, mayEnd: boolean): number[] | null {
  if (text === "") return [];
  const groups: number[] = [];
  const words = text.split(":");
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (/^[0-9a-fA-F]{1,4}$/.test(word)) groups.push(Number.parseInt(word, 16));
    else if (mayEnd && i === words.length - 1) {
      const dotted = readDotted(word);
      if (dotted === null) return null;
      groups.push(...dotted);
    } else return null;
  }
  return groups;
}

function readDotted(text: string): [number, number] | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return null;
  const bytes = match.slice(1).map(Number);
  // inet_pton refuses leading zeros, which inet_aton takes for octal
  if (bytes.some((byte, i) => byte > 255 || String(byte) !== match[i + 1])) return null;
  return [bytes[0]! * 256 + bytes[1]!, bytes[2]! * 256 + bytes[3]!];
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
    const v4 = writeIPv4(groups[6]! * 65536 + groups[7]!);
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
