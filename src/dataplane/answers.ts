/** Frames of our own that go out after the burst's forwarded ones, so that a refused one is not taken for theirs. */
import type { Ring } from "../ring/ring.ts";

const MOST = 128;

export class Answers {
  count = 0;
  readonly #at = new Int32Array(MOST);
  readonly #length = new Int32Array(MOST);
  readonly #ring: Ring;

  constructor(ring: Ring) {
    this.#ring = ring;
  }

  /** Takes a frame that lies ready in the ring's memory; one too many is given up. */
  push(at: number, length: number): void {
    if (this.count === MOST) {
      this.#ring.cancel(at);
      return;
    }
    this.#at[this.count] = at;
    this.#length[this.count++] = length;
  }

  /** Where frame `a` of those that wait lies, and how long it is. */
  at(a: number): number {
    return this.#at[a]!;
  }

  length(a: number): number {
    return this.#length[a]!;
  }

  /** Hands all of them to the wire; returns how many went. */
  send(): number {
    const sent = this.count;
    if (sent === 0) return 0;
    for (let a = 0; a < sent; a++) this.#ring.submit(this.#at[a]!, this.#length[a]!);
    this.count = 0;
    return sent - this.#ring.flush();
  }
}
