/** What was found wrong with a region, in words and numbers, for the one line that the administrator reads. */
export class Findings {
  readonly #counts = new Map<string, number>();

  /** `what` reads on from a number: "connections that cannot be". */
  add(what: string, count = 1): void {
    if (count > 0) this.#counts.set(what, (this.#counts.get(what) ?? 0) + count);
  }

  get any(): boolean {
    return this.#counts.size > 0;
  }

  get text(): string {
    return [...this.#counts].map(([what, count]) => `${count} ${what}`).join(", ");
  }
}

/** Sets to 0 what no counter can say; returns how many there were. */
export function tame(
  cells: Float64Array,
  from: number,
  to: number,
  most: number,
  { whole = true, least = 0 } = {},
): number {
  let wrong = 0;
  for (let at = from; at < to; at++) {
    const value = cells[at]!;
    if (value >= least && value <= most && (!whole || Number.isInteger(value))) continue;
    cells[at] = 0;
    wrong++;
  }
  return wrong;
}
