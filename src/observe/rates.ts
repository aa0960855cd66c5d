/**
 * Rates as the kernel's estimator gives them (ip_vs_est.c): every two seconds the average moves a quarter of the way
 * to what the last two seconds brought. Numbers are kept as the kernel keeps them, scaled (by 2^10 connections and
 * packets, by 2^5 bytes) and cut to whole numbers, so that the same traffic shows the same digits.
 */
import { destinationCount, destinationTotal, type RateSource } from "../control/counters-view.ts";
import type { Rates } from "../control/model.ts";
import { STAT_BYTES, STAT_CONNECTIONS, STAT_PACKETS } from "../table/counters.ts";
import { Life } from "../table/destinations.ts";
import type { Region } from "../table/region.ts";

/** Milliseconds between two looks at the counters. */
export const ESTIMATE_MS = 2_000;

const COLUMNS = [STAT_CONNECTIONS, STAT_PACKETS, STAT_BYTES] as const;
/** A difference over two seconds, times this, is a rate a second in the column's scale: 2^10 / 2, 2^5 / 2. */
const FROM_DIFFERENCE = [512, 512, 16] as const;
/** Added before the scale is taken off: what the kernel rounds with. */
const ROUND = [0x1ff, 0x1ff, 0xf] as const;
const SCALE = [1024, 1024, 32] as const;

/** One estimator for each row of a table: last count and scaled average of three columns. */
class Estimators {
  readonly #last: Float64Array;
  readonly #average: Float64Array;

  constructor(rows: number) {
    this.#last = new Float64Array(rows * 3);
    this.#average = new Float64Array(rows * 3);
  }

  look(row: number, column: 0 | 1 | 2, count: number): void {
    const at = row * 3 + column;
    const rate = (count - this.#last[at]!) * FROM_DIFFERENCE[column];
    this.#last[at] = count;
    this.#average[at]! += Math.floor((rate - this.#average[at]!) / 4);
  }

  begin(row: number, column: 0 | 1 | 2, count: number): void {
    this.#last[row * 3 + column] = count;
    this.#average[row * 3 + column] = 0;
  }

  rates(row: number): Rates {
    const rate = (column: 0 | 1 | 2) =>
      Math.floor((this.#average[row * 3 + column]! + ROUND[column]) / SCALE[column]);
    return { cps: rate(0), inPps: rate(1), outPps: 0, inBps: rate(2), outBps: 0 };
  }
}

export class KernelRates implements RateSource {
  readonly #region: Region;
  readonly #services: Estimators;
  readonly #destinations: Estimators;
  readonly #total = new Estimators(1);
  /** What a row's estimator belongs to: a row that was freed and taken again begins anew. */
  readonly #known: Int32Array;
  readonly #sums: Float64Array;
  #next: number | undefined;

  constructor(region: Region) {
    this.#region = region;
    this.#services = new Estimators(region.sizes.services);
    this.#destinations = new Estimators(region.sizes.destinations);
    this.#known = new Int32Array(region.sizes.destinations);
    this.#sums = new Float64Array(region.sizes.services * 3);
    this.#beginWithWhatIsThere();
  }

  service(s: number): Rates {
    return this.#services.rates(s);
  }

  destination(d: number): Rates {
    return this.#destinations.rates(d);
  }

  total(): Rates {
    return this.#total.rates(0);
  }

  /** --zero: the averages begin at nothing. */
  zeroed(s: number): void {
    const { destinations } = this.#region;
    for (let d = 0; d < destinations.capacity; d++) {
      if (destinations.life[d] === Life.Free || destinations.service[d] !== s) continue;
      for (const column of COLUMNS)
        this.#destinations.begin(d, column, destinationCount(this.#region, d, column));
    }
    for (const column of COLUMNS) this.#services.begin(s, column, this.#serviceTotal(s, column));
  }

  /** Call often; looks at the counters when two seconds have gone since the last look. */
  tick(now: number): void {
    if (this.#next !== undefined && now < this.#next) return;
    // A late call does not shorten the next two seconds' measure by more than it was late.
    this.#next =
      this.#next === undefined || now - this.#next > ESTIMATE_MS
        ? now + ESTIMATE_MS
        : this.#next + ESTIMATE_MS;
    this.#look();
  }

  /** A director that starts again goes on from the counts that it finds; they are no traffic of the last two seconds. */
  #beginWithWhatIsThere(): void {
    const { destinations, services } = this.#region;
    const total = [0, 0, 0];
    for (let d = 0; d < destinations.capacity; d++) {
      for (const column of COLUMNS) {
        total[column]! += destinationTotal(this.#region, d, column);
        this.#destinations.begin(d, column, destinationCount(this.#region, d, column));
      }
      this.#known[d] = destinations.life[d] === Life.Free ? 0 : 1;
    }
    for (let s = 0; s < services.capacity; s++) {
      if (services.live[s] !== 1) continue;
      for (const column of COLUMNS) this.#services.begin(s, column, this.#serviceTotal(s, column));
    }
    for (const column of COLUMNS) this.#total.begin(0, column, total[column]!);
  }

  #look(): void {
    const { destinations, services } = this.#region;
    const sums = this.#sums;
    const total = [0, 0, 0];
    for (let i = 0; i < sums.length; i++) sums[i] = services.departed[i]!;
    for (let d = 0; d < destinations.capacity; d++) {
      // A row's total never falls, whoever has the row: summed over all rows it is the director's.
      for (const column of COLUMNS) total[column]! += destinationTotal(this.#region, d, column);
      if (destinations.life[d] === Life.Free) this.#known[d] = 0;
      else this.#lookAt(d);
    }
    for (let s = 0; s < services.capacity; s++) {
      for (const column of COLUMNS) {
        if (services.live[s] === 1) this.#services.look(s, column, sums[s * 3 + column]!);
        else this.#services.begin(s, column, 0);
      }
    }
    for (const column of COLUMNS) this.#total.look(0, column, total[column]!);
  }

  #lookAt(d: number): void {
    const s = this.#region.destinations.service[d]!;
    for (const column of COLUMNS) {
      const count = destinationCount(this.#region, d, column);
      if (this.#known[d] === 0) this.#destinations.begin(d, column, 0);
      this.#destinations.look(d, column, count);
      if (s >= 0) this.#sums[s * 3 + column]! += count;
    }
    this.#known[d] = 1;
  }

  #serviceTotal(s: number, column: 0 | 1 | 2): number {
    const { destinations, services } = this.#region;
    let sum = services.departed[s * 3 + column]!;
    for (let d = 0; d < destinations.capacity; d++) {
      if (destinations.life[d] !== Life.Free && destinations.service[d] === s) {
        sum += destinationCount(this.#region, d, column);
      }
    }
    return sum;
  }
}
