/**
 * How long a shard's turns take, from the clock reads that its loop makes anyhow: a turn that handled frames ends when
 * the next one begins.
 */
import { ShardCount } from "../table/counters.ts";

/** The longest turn is told for this long at least, ms, and at most for twice as long. */
const WINDOW = 10_000;

export class LoopTime {
  readonly #counts: Float64Array;
  #begun = -1;
  #window = 0;
  #longest = 0;
  #before = 0;

  constructor(counts: Float64Array) {
    this.#counts = counts;
  }

  /** The loop has read the clock: the turn before has ended, if it was one. */
  at(now: number): void {
    if (now - this.#window >= WINDOW) this.#turnOver(now);
    if (this.#begun < 0) return;
    const took = now - this.#begun;
    this.#begun = -1;
    this.#counts[ShardCount.Busy]! += took;
    if (took <= this.#longest) return;
    this.#longest = took;
    this.#counts[ShardCount.Longest] = Math.max(took, this.#before);
  }

  /** The turn that began at `now` handled so many frames. */
  handled(frames: number, now: number): void {
    if (frames > 0) this.#begun = now;
  }

  #turnOver(now: number): void {
    this.#before = this.#longest;
    this.#longest = 0;
    this.#window = now;
    this.#counts[ShardCount.Longest] = this.#before;
  }
}
