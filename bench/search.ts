/**
 * The highest rate without loss, as RFC 2544 §26.1 looks for it: by halving, each trial anew. A trial with loss is tried
 * once more before it counts, because on a machine that does other things too a single hiccup says nothing.
 */
export interface SearchOptions {
  readonly low: number;
  readonly high: number;
  /** It ends when the answer is known this closely, as a share of it. */
  readonly precision: number;
  /** Trials of a rate before it counts as lossy. */
  readonly tries?: number;
}

export interface Trial {
  readonly rate: number;
  readonly lost: number;
}

export interface Found {
  /** The highest rate that was seen to pass without loss; 0 when even `low` lost frames. */
  readonly rate: number;
  readonly trials: readonly Trial[];
}

/** @param lossAt runs one trial at a rate and tells how many frames were lost */
export async function highestWithoutLoss(
  lossAt: (rate: number) => Promise<number>,
  { low, high, precision, tries = 2 }: SearchOptions,
): Promise<Found> {
  const trials: Trial[] = [];
  const passes = async (rate: number): Promise<boolean> => {
    for (let again = 0; again < tries; again++) {
      const lost = await lossAt(rate);
      trials.push({ rate, lost });
      if (lost === 0) return true;
    }
    return false;
  };
  if (!(await passes(low))) return { rate: 0, trials };
  let best = low;
  let above = high;
  while (above - best > precision * best) {
    const rate = Math.round((best + above) / 2);
    if (await passes(rate)) best = rate;
    else above = rate;
  }
  return { rate: best, trials };
}
