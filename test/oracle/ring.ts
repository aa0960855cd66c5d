/** A ring of one frame at a time: what is offered is peeked once, what is submitted is kept to be looked at. */
import type { Burst } from "../../src/ring/burst.ts";
import type { Ring } from "../../src/ring/ring.ts";

const METADATA = 14;
const SLOT = 66_000;
const SLOTS = 160;

export class OneFrameRing implements Ring {
  readonly name = "oracle";
  readonly headroom = 0;
  readonly bytes = new Uint8Array(SLOT * (SLOTS + 1));
  readonly view = new DataView(this.bytes.buffer);
  /** Frames that went to the wire since `take`. */
  #sent: Uint8Array[] = [];
  #queued: Uint8Array[] = [];
  #offered = 0;
  readonly #free = Array.from({ length: SLOTS }, (_, i) => (i + 1) * SLOT + METADATA);

  offer(frame: Uint8Array): void {
    this.bytes.set(frame, METADATA);
    this.#offered = frame.length;
  }

  /** What was sent since this was asked last. */
  take(): Uint8Array[] {
    const sent = this.#sent;
    this.#sent = [];
    return sent;
  }

  peek(burst: Burst): number {
    burst.count = this.#offered > 0 ? 1 : 0;
    burst.at[0] = METADATA;
    burst.length[0] = this.#offered;
    this.#offered = 0;
    return burst.count;
  }

  submit(at: number, length: number): void {
    this.#queued.push(this.bytes.slice(at, at + length));
    if (at >= SLOT) this.#free.push(at);
  }

  reserve(length: number): number {
    return length <= SLOT - METADATA ? (this.#free.pop() ?? -1) : -1;
  }

  cancel(at: number): void {
    this.#free.push(at);
  }

  flush(): number {
    this.#sent.push(...this.#queued);
    this.#queued = [];
    return 0;
  }

  release(): void {}

  isSuperFrame(): boolean {
    return false;
  }

  wait(): void {}

  drops(): number {
    return 0;
  }

  close(): void {}
}
