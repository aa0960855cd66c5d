/**
 * Places for frames of our own and for super-frames, behind a ring's slots in the same memory: many small ones and a
 * few big ones, each list a stack of free places. A frame begins 14 bytes into its place: room for the metadata and
 * for a VLAN tag put back, and IP lands on a multiple of 4.
 */

/** A full Ethernet frame of the usual MTU and what stands before it. */
export const SMALL_SLOT = 2048;
/** A super-frame is up to 64 KiB of IP and what stands before it; untouched pages cost nothing. */
export const BIG_SLOT = 131_072;
/** Where in its place a frame begins. */
export const FRAME_START = 14;

const SMALL_SHIFT = 11;
const BIG_SHIFT = 17;

export interface ArenaSize {
  readonly small: number;
  readonly big: number;
}

export function arenaBytes(size: ArenaSize): number {
  return size.small * SMALL_SLOT + size.big * BIG_SLOT;
}

export class Arena {
  /** Where the arena begins in the ring's memory: a frame at or beyond it is no frame in a slot. */
  readonly start: number;
  readonly #bigStart: number;
  readonly #small: Int32Array;
  readonly #big: Int32Array;
  /** Own frames leave this many big places to super-frames, which would otherwise hold up the ring. */
  readonly #kept: number;
  #smallFree: number;
  #bigFree: number;

  /** @param start a multiple of 4 */
  constructor(start: number, size: ArenaSize) {
    this.start = start;
    this.#bigStart = start + size.small * SMALL_SLOT;
    this.#small = Int32Array.from({ length: size.small }, (_, i) => start + i * SMALL_SLOT + FRAME_START);
    this.#big = Int32Array.from({ length: size.big }, (_, i) => this.#bigStart + i * BIG_SLOT + FRAME_START);
    this.#kept = size.big >>> 1;
    this.#smallFree = size.small;
    this.#bigFree = size.big;
  }

  /** A place for a frame of our own of `length` bytes, or -1. */
  take(length: number): number {
    if (length <= SMALL_SLOT - FRAME_START && this.#smallFree > 0) return this.#small[--this.#smallFree]!;
    return length <= BIG_SLOT - FRAME_START && this.#bigFree > this.#kept ? this.takeBig() : -1;
  }

  /** A place for a super-frame, or -1. */
  takeBig(): number {
    return this.#bigFree > 0 ? this.#big[--this.#bigFree]! : -1;
  }

  /** Gives back the place that `at` lies in. Giving one back twice would hand it out twice: callers own that. */
  give(at: number): void {
    if (at >= this.#bigStart) {
      const place = this.#bigStart + (((at - this.#bigStart) >>> BIG_SHIFT) << BIG_SHIFT);
      this.#big[this.#bigFree++] = place + FRAME_START;
    } else {
      const place = this.start + (((at - this.start) >>> SMALL_SHIFT) << SMALL_SHIFT);
      this.#small[this.#smallFree++] = place + FRAME_START;
    }
  }
}
