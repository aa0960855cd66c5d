/** What is to happen later on this page's own clock; equal times in the order they were written down. */
import { Heap } from "../../../src/dataplane/simulation/heap.ts";

export class Agenda {
  readonly #heap = new Heap();
  readonly #what = new Map<number, () => void>();
  #number = 0;

  /** When the next thing happens; Infinity when there is nothing. */
  get next(): number {
    return this.#heap.next;
  }

  at(time: number, what: () => void): void {
    this.#what.set(this.#number, what);
    this.#heap.push(time, this.#number++);
  }

  /** Does the next thing. */
  run(): void {
    const number = this.#heap.pop();
    const what = this.#what.get(number);
    this.#what.delete(number);
    what?.();
  }
}

/** Numbers in [0, 1) from a seed (mulberry32): the same page shows the same traffic each time. */
export function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
