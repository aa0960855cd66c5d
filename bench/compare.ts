/** Two results side by side: what got better, what got worse, and what is only noise. */
import { GOALS, isMissing, type Ratio, type Results } from "./results.ts";

export interface Change {
  readonly name: string;
  readonly before: Ratio | undefined;
  readonly after: Ratio | undefined;
  /**
   * "better" and "worse" only where the two spreads do not touch: within them it may be the machine's mood. "same"
   * otherwise; "unknown" where one of them is missing.
   */
  readonly verdict: "better" | "worse" | "same" | "unknown";
}

/** Whether more is better, by the name's goal. */
function moreIsBetter(name: string): boolean {
  return GOALS[name]?.below === undefined;
}

function judge(name: string, before: Ratio | undefined, after: Ratio | undefined): Change["verdict"] {
  if (before === undefined || after === undefined || isMissing(before) || isMissing(after)) return "unknown";
  if (after.min > before.max) return moreIsBetter(name) ? "better" : "worse";
  if (after.max < before.min) return moreIsBetter(name) ? "worse" : "better";
  return "same";
}

export function compareResults(before: Results, after: Results): Change[] {
  const names = new Set([...Object.keys(before.ratios), ...Object.keys(after.ratios)]);
  return [...names].map((name) => {
    const [one, other] = [before.ratios[name], after.ratios[name]];
    return { name, before: one, after: other, verdict: judge(name, one, other) };
  });
}

function show(ratio: Ratio | undefined): string {
  if (ratio === undefined) return "–";
  if (isMissing(ratio)) return "missing";
  return `${ratio.median.toFixed(3)} (${ratio.min.toFixed(3)}–${ratio.max.toFixed(3)})`;
}

/** The changes as lines of text; the ones that matter first. */
export function showChanges(changes: readonly Change[]): string {
  const order = { worse: 0, better: 1, same: 2, unknown: 3 };
  const sorted = [...changes].sort((a, b) => order[a.verdict] - order[b.verdict]);
  const width = Math.max(...sorted.map(({ name }) => name.length));
  return sorted
    .map(
      ({ name, before, after, verdict }) =>
        `${verdict.padEnd(8)}${name.padEnd(width + 2)}${show(before)} → ${show(after)}`,
    )
    .join("\n");
}
