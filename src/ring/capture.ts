/**
 * A ring that lets somebody look at every frame another ring receives and sends. Frames are shown where they lie: a
 * sink that keeps one copies it.
 */
import type { Burst } from "./burst.ts";
import { RingMiddleware } from "./middleware.ts";
import type { Ring } from "./ring.ts";

export type Direction = "received" | "sent";

/** The frame is `length` bytes at `at` of `bytes`; both are the ring's and change after the call. */
export type FrameSink = (direction: Direction, bytes: Uint8Array, at: number, length: number) => void;

export class CaptureRing extends RingMiddleware {
  readonly #sink: FrameSink;
  readonly #queueAt: Int32Array;
  readonly #queueLength: Int32Array;
  #queued = 0;
  #refused = 0;

  /** @param queue frames between two flushes; more of them flush early */
  constructor(inner: Ring, sink: FrameSink, queue = 1024) {
    super(inner);
    this.#sink = sink;
    this.#queueAt = new Int32Array(queue);
    this.#queueLength = new Int32Array(queue);
  }

  /** Shows the frames as they came, before anybody has rewritten them. */
  override peek(burst: Burst): number {
    const count = this.inner.peek(burst);
    for (let i = 0; i < count; i++) this.#sink("received", this.bytes, burst.at[i]!, burst.length[i]!);
    return count;
  }

  override submit(at: number, length: number): void {
    if (this.#queued === this.#queueAt.length) this.#refused += this.#send();
    this.#queueAt[this.#queued] = at;
    this.#queueLength[this.#queued++] = length;
    this.inner.submit(at, length);
  }

  /** Shows what goes out as it stands in memory now; a frame that the kernel then refuses was shown all the same. */
  override flush(): number {
    const refused = this.#refused + this.#send();
    this.#refused = 0;
    return refused;
  }

  #send(): number {
    for (let i = 0; i < this.#queued; i++)
      this.#sink("sent", this.bytes, this.#queueAt[i]!, this.#queueLength[i]!);
    this.#queued = 0;
    return this.inner.flush();
  }
}
