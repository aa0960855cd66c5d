/**
 * A search for an address among prefixes, as classic BPF: per 32-bit word a binary search over disjoint ranges, each of
 * which ends the search or leads to the next word. An IPv4 address has one word, an IPv6 address four.
 */
import { type CbpfAssembler, Op, Test } from "./cbpf.ts";

/** The first `bits` bits of an address of one or four words. */
export interface Prefix {
  readonly words: readonly number[];
  readonly bits: number;
}

interface Range {
  readonly low: number;
  readonly high: number;
  /** Prefixes that go on in the next word; none when the range is a whole hit. */
  readonly deeper: readonly Prefix[];
}

const WORD = 32;

/** First and last value of word `w` that the prefix allows. */
function span({ words, bits }: Prefix, w: number): { low: number; high: number } {
  const kept = Math.max(0, Math.min(WORD, bits - w * WORD));
  const host = kept === 0 ? 0xffff_ffff : (2 ** (WORD - kept) - 1) >>> 0;
  const low = (words[w]! & ~host) >>> 0;
  return { low, high: (low | host) >>> 0 };
}

/** Disjoint sorted ranges of word `w`; what lies within a whole hit needs no deeper look. */
function rangesAt(prefixes: readonly Prefix[], w: number): Range[] {
  const hits: { low: number; high: number }[] = [];
  const deeper = new Map<number, Prefix[]>();
  for (const prefix of prefixes) {
    const range = span(prefix, w);
    if (prefix.bits <= (w + 1) * WORD) hits.push(range);
    else deeper.set(range.low, [...(deeper.get(range.low) ?? []), prefix]);
  }
  hits.sort((a, b) => a.low - b.low);
  const ranges: Range[] = [];
  for (const { low, high } of hits) {
    const last = ranges.at(-1);
    if (last && low <= last.high + 1)
      ranges[ranges.length - 1] = { ...last, high: Math.max(last.high, high) };
    else ranges.push({ low, high, deeper: [] });
  }
  const covered = (value: number) => ranges.some(({ low, high }) => value >= low && value <= high);
  const onward = [...deeper].filter(([value]) => !covered(value));
  return [...ranges, ...onward.map(([value, list]) => ({ low: value, high: value, deeper: list }))].sort(
    (a, b) => a.low - b.low,
  );
}

/** Joins hits over the smallest gaps until no more than `limit` ranges are left. */
function coarsen(ranges: readonly Range[], limit: number): readonly Range[] {
  if (ranges.length <= limit) return ranges;
  const gaps = ranges.slice(1).map((range, i) => ({ i: i + 1, gap: range.low - ranges[i]!.high }));
  gaps.sort((a, b) => b.gap - a.gap);
  const starts = [0, ...gaps.slice(0, limit - 1).map(({ i }) => i)].sort((a, b) => a - b);
  return starts.map((start, n) => {
    const end = starts[n + 1] ?? ranges.length;
    const { low, high, deeper } = ranges[start]!;
    return end === start + 1 ? { low, high, deeper } : { low, high: ranges[end - 1]!.high, deeper: [] };
  });
}

/** Shorter prefixes, word by word, until there are at most `limit` of them: they take more than was asked for. */
function shorten(prefixes: readonly Prefix[], limit: number, words: number): readonly Prefix[] {
  let some = prefixes;
  for (let bits = (words - 1) * WORD; some.length > limit && bits >= WORD; bits -= WORD) {
    const seen = new Map<string, Prefix>();
    for (const prefix of some) {
      const shorter = { words: prefix.words, bits: Math.min(bits, prefix.bits) };
      seen.set(`${shorter.words.slice(0, Math.ceil(shorter.bits / WORD))}/${shorter.bits}`, shorter);
    }
    some = [...seen.values()];
  }
  return some;
}

/**
 * Emits the search for the address whose first word is at `offset`; jumps to `hit` or `miss`, labels that follow.
 * More than `limit` prefixes are joined with their neighbours: then other addresses hit too, and none is missed.
 */
export function searchPrefixes(
  code: CbpfAssembler,
  prefixes: readonly Prefix[],
  at: { readonly offset: number; readonly words: number; readonly limit: number },
  labels: { readonly hit: string; readonly miss: string },
): void {
  const step = (some: readonly Prefix[], w: number, name: string): void => {
    const ranges = coarsen(rangesAt(some, w), at.limit);
    const target = (i: number) => (ranges[i]!.deeper.length > 0 ? `${name}.${i}` : labels.hit);
    code.emit(Op.ld, at.offset + w * 4);
    halve(code, ranges, 0, ranges.length - 1, { target, miss: labels.miss, name });
    ranges.forEach(({ deeper }, i) => {
      if (deeper.length === 0) return;
      code.label(`${name}.${i}`);
      step(deeper, w + 1, `${name}.${i}`);
    });
  };
  const some = shorten(prefixes, at.limit, at.words);
  if (some.length === 0) code.goTo(labels.miss);
  else step(some, 0, `find${at.offset}`);
}

interface Leaves {
  readonly target: (i: number) => string;
  readonly miss: string;
  readonly name: string;
}

/** Compares A with the ranges from..to. */
function halve(
  code: CbpfAssembler,
  ranges: readonly Range[],
  from: number,
  to: number,
  leaves: Leaves,
): void {
  if (from === to) {
    const { low, high } = ranges[from]!;
    if (low === high) code.jump(Test.equal, low, leaves.target(from), leaves.miss);
    else
      code.jump(Test.atLeast, low, "", leaves.miss).jump(Test.above, high, leaves.miss, leaves.target(from));
    return;
  }
  const middle = (from + to + 1) >>> 1;
  const upper = `${leaves.name}:${middle}-${to}`;
  code.jump(Test.atLeast, ranges[middle]!.low, upper, "");
  halve(code, ranges, from, middle - 1, leaves);
  code.label(upper);
  halve(code, ranges, middle, to, leaves);
}
