/**
 * The rules that give frames their firewall marks, in place of iptables' MARK target, which no tap ever hears of.
 * `setMarks` replaces them all at once; between two of them the data path sees either the old rules or the new ones.
 */
import { beginChange, endChange } from "../table/generation.ts";
import { MAX_MARK_RULES } from "../table/marks.ts";
import { Header, type Region } from "../table/region.ts";
import { isMapped, type Words } from "../wire/address.ts";
import { Protocol } from "../wire/ipv4.ts";
import { formatCidr, maskOfPrefix, parseCidr } from "../wire/network.ts";
import { checkPort, wordsAt } from "./keys.ts";
import { refuse } from "./refusal.ts";

export interface MarkRule {
  /** 1 … 4294967295. */
  mark: number;
  protocol: "tcp" | "udp" | "sctp" | "any";
  /** Destination network, "10.0.0.100/32", or one address. */
  destination: string;
  /** First and last destination port; [0, 65535] for every port. */
  ports: readonly [number, number];
}

const NUMBERS = { tcp: Protocol.Tcp, udp: Protocol.Udp, sctp: Protocol.Sctp, any: 0 } as const;

interface Numbers {
  readonly family: 4 | 6;
  readonly protocol: number;
  readonly network: Words;
  readonly mask: Words;
  readonly first: number;
  readonly last: number;
  readonly mark: number;
}

/** What stands before an IPv4 address in its four words. */
const MAPPED_BITS = 96;

/** The mask of a prefix counted over all four words. */
function maskOf(prefix: number): Words {
  const word = (i: number): number => maskOfPrefix(Math.min(32, Math.max(0, prefix - 32 * i)));
  return [word(0), word(1), word(2), word(3)];
}

function numbersOf(rule: MarkRule): Numbers {
  const [first, last] = rule.ports;
  const network = parseCidr(rule.destination) ?? refuse("EINVAL", `"${rule.destination}" is not a network`);
  const family = isMapped(network.address) ? 4 : 6;
  if (!Number.isInteger(rule.mark) || rule.mark < 1 || rule.mark > 0xffff_ffff) {
    refuse("EINVAL", `${rule.mark} is not a firewall mark (1 … 4294967295)`);
  }
  if (checkPort(first) > checkPort(last))
    refuse("EINVAL", `the port range ${first}-${last} ends before it begins`);
  const protocol = NUMBERS[rule.protocol] ?? refuse("EINVAL", `there is no protocol "${rule.protocol}"`);
  const mask = maskOf(family === 4 ? network.prefix + MAPPED_BITS : network.prefix);
  return { family, protocol, network: network.address, mask, first, last, mark: rule.mark };
}

/** Replaces all rules; of several that match a frame the last one counts. Throws Refusal and changes nothing. */
export function setMarks(region: Region, rules: readonly MarkRule[]): void {
  if (rules.length > MAX_MARK_RULES) refuse("ENOMEM", `no room for more than ${MAX_MARK_RULES} mark rules`);
  const numbers = rules.map(numbersOf);
  const { marks, header } = region;
  beginChange(header, Header.Generation);
  marks.count[0] = 0;
  for (const [r, rule] of numbers.entries()) {
    marks.protocol[r] = rule.protocol;
    marks.family[r] = rule.family;
    marks.network.set(rule.network, r * 4);
    marks.mask.set(rule.mask, r * 4);
    marks.firstPort[r] = rule.first;
    marks.lastPort[r] = rule.last;
    marks.mark[r] = rule.mark;
  }
  marks.count[0] = numbers.length;
  endChange(header, Header.Generation);
}

export function listMarks(region: Region): MarkRule[] {
  const { marks } = region;
  const names = Object.keys(NUMBERS) as (keyof typeof NUMBERS)[];
  return Array.from({ length: marks.count[0]! }, (_, r) => ({
    mark: marks.mark[r]!,
    protocol: names.find((name) => NUMBERS[name] === marks.protocol[r]) ?? "any",
    destination: formatCidr({
      address: wordsAt(marks.network, r),
      prefix: prefixOf(wordsAt(marks.mask, r)) - (marks.family[r] === 4 ? MAPPED_BITS : 0),
    }),
    ports: [marks.firstPort[r]!, marks.lastPort[r]!],
  }));
}

function prefixOf(mask: Words): number {
  return mask.reduce((sum, word) => sum + Math.clz32(~word), 0);
}
