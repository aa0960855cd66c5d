/** So many rows lie free before the first of them is taken again. */
const REST = 256;

/**
 * Which rows of a table are free. A row given back rests a while before it is taken again (first in, first out), so
 * that whoever still remembers its number is unlikely to meet a stranger there.
 */
export class FreeRows {
  readonly #capacity: number;
  #high: number;
  #freed: number[] = [];
  #at = 0;

  /** `used(row)` says which rows are taken already. */
  constructor(capacity: number, used: (row: number) => boolean) {
    this.#capacity = capacity;
    let high = capacity;
    while (high > 0 && !used(high - 1)) high--;
    this.#high = high;
    for (let row = 0; row < high; row++) {
      if (!used(row)) this.#freed.push(row);
    }
  }

  get count(): number {
    return this.#capacity - this.#high + this.#freed.length - this.#at;
  }

  /** A free row, or -1. */
  take(): number {
    const resting = this.#freed.length - this.#at;
    if (resting < REST && this.#high < this.#capacity) return this.#high++;
    if (resting === 0) return -1;
    const row = this.#freed[this.#at++]!;
    if (this.#at > 1024 && this.#at * 2 > this.#freed.length) {
      this.#freed = this.#freed.slice(this.#at);
      this.#at = 0;
    }
    return row;
  }

  give(row: number): void {
    this.#freed.push(row);
  }
}
