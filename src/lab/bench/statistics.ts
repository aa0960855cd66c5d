/** Medians and spreads of a bench's rounds; every published number is one of these. */

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** How many rounds it is the median of. */
  readonly rounds: number;
}

/** The value below which `share` (0 … 1) of the samples lie, interpolated between the two nearest. */
export function quantile(samples: readonly number[], share: number): number {
  if (samples.length === 0) throw new RangeError("no samples, so there is no quantile");
  const sorted = Float64Array.from(samples).sort();
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below]! + (sorted[above]! - sorted[below]!) * (place - below);
}

export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5);
}

export function spread(samples: readonly number[]): Spread {
  return {
    median: median(samples),
    min: Math.min(...samples),
    max: Math.max(...samples),
    rounds: samples.length,
  };
}

/** Round by round, because two sides measured at the same time share the machine's mood; then the rounds' median. */
export function ratio(above: readonly number[], below: readonly number[]): Spread {
  if (above.length !== below.length)
    throw new RangeError("a ratio is taken of the same rounds of both sides");
  return spread(above.map((value, round) => value / below[round]!));
}
