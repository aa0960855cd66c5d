/**
 * A ring whose wire is bad: received frames are lost, doubled, damaged, swapped and late, as a seeded generator says,
 * so that a failure can be had again.
 */
import { type Burst, createBurst } from "./burst.ts";
import { RingMiddleware } from "./middleware.ts";
import type { Ring } from "./ring.ts";

/** Probabilities from 0 to 1 a frame; what is not named does not happen. */
export interface Faults {
  readonly drop?: number;
  readonly duplicate?: number;
  /** One bit of the frame is turned over. */
  readonly corrupt?: number;
  /** Swapped with the frame before it in the burst. */
  readonly reorder?: number;
  readonly delay?: number;
  /** How many turns (release() calls) a delayed frame is late. Default 3. */
  readonly delayTurns?: number;
}

/** What was done so far, in frames. */
export interface FaultCounts {
  dropped: number;
  duplicated: number;
  corrupted: number;
  reordered: number;
  delayed: number;
}

/** Numbers from 0 up to 1 that the seed decides (xorshift32: Marsaglia 2003, "Xorshift RNGs"). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
}

interface Late {
  readonly at: number;
  readonly length: number;
  readonly turn: number;
}

export class FaultRing extends RingMiddleware {
  readonly counts: FaultCounts = { dropped: 0, duplicated: 0, corrupted: 0, reordered: 0, delayed: 0 };
  readonly #faults: Faults;
  readonly #random: () => number;
  #arrived: Burst = createBurst();
  /** Frames in places of our own that were handed out this turn, and are nobody's yet. */
  readonly #copies = new Set<number>();
  #late: Late[] = [];
  #turn = 0;

  /** @param random numbers from 0 up to 1: seededRandom(seed) */
  constructor(inner: Ring, faults: Faults, random: () => number) {
    super(inner);
    this.#faults = faults;
    this.#random = random;
  }

  override peek(burst: Burst): number {
    // At most half as many as the burst holds: each may become two.
    const half = Math.max(1, burst.capacity >>> 1);
    if (this.#arrived.capacity !== half) this.#arrived = createBurst(half);
    this.inner.peek(this.#arrived);
    burst.count = 0;
    for (let i = 0; i < this.#arrived.count; i++)
      this.#receive(burst, this.#arrived.at[i]!, this.#arrived.length[i]!);
    this.#handOutLate(burst);
    return burst.count;
  }

  #receive(burst: Burst, at: number, length: number): void {
    const faults = this.#faults;
    if (this.#happens(faults.drop)) {
      this.counts.dropped++;
      return;
    }
    if (this.#happens(faults.corrupt)) this.#corrupt(at, length);
    if (this.#happens(faults.delay) && this.#keepLate(at, length)) return;
    this.#handOut(burst, at, length);
    if (this.#happens(faults.reorder)) this.#swapLast(burst);
    if (this.#happens(faults.duplicate)) this.#duplicate(burst, at, length);
  }

  #happens(probability: number | undefined): boolean {
    return probability !== undefined && this.#random() < probability;
  }

  #handOut(burst: Burst, at: number, length: number): void {
    burst.at[burst.count] = at;
    burst.length[burst.count++] = length;
  }

  #corrupt(at: number, length: number): void {
    const bit = Math.floor(this.#random() * length * 8);
    this.bytes[at + (bit >>> 3)]! ^= 1 << (bit & 7);
    this.counts.corrupted++;
  }

  #swapLast(burst: Burst): void {
    const last = burst.count - 1;
    if (last < 1) return;
    const at = burst.at[last]!;
    const length = burst.length[last]!;
    burst.at[last] = burst.at[last - 1]!;
    burst.length[last] = burst.length[last - 1]!;
    burst.at[last - 1] = at;
    burst.length[last - 1] = length;
    this.counts.reordered++;
  }

  /** With its headroom, to a place of its own; -1 when none is free, and then the fault does not happen. */
  #copy(at: number, length: number): number {
    const to = this.inner.reserve(length);
    if (to >= 0) this.bytes.copyWithin(to - this.headroom, at - this.headroom, at + length);
    return to;
  }

  #duplicate(burst: Burst, at: number, length: number): void {
    const copy = burst.count < burst.capacity ? this.#copy(at, length) : -1;
    if (copy < 0) return;
    this.#copies.add(copy);
    this.#handOut(burst, copy, length);
    this.counts.duplicated++;
  }

  #keepLate(at: number, length: number): boolean {
    const copy = this.#copy(at, length);
    if (copy < 0) return false;
    this.#late.push({ at: copy, length, turn: this.#turn + (this.#faults.delayTurns ?? 3) });
    this.counts.delayed++;
    return true;
  }

  #handOutLate(burst: Burst): void {
    this.#late = this.#late.filter(({ at, length, turn }) => {
      if (turn > this.#turn || burst.count === burst.capacity) return true;
      this.#copies.add(at);
      this.#handOut(burst, at, length);
      return false;
    });
  }

  override submit(at: number, length: number): void {
    this.#copies.delete(at); // from now on its place is the ring's, like any frame of our own
    this.inner.submit(at, length);
  }

  override release(): void {
    for (const at of this.#copies) this.inner.cancel(at);
    this.#copies.clear();
    this.#turn++;
    this.inner.release();
  }
}
