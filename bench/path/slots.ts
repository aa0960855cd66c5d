/**
 * The frames of the path bench: a ring of 2 KiB slots, as AF_PACKET's, that is filled with new frames before each
 * stretch (untimed) and then handed out once. So the frames are where a kernel would have left them, in the cache,
 * and neither side pays for making them.
 */
import type { Burst } from "../../src/ring/burst.ts";
import type { Ring } from "../../src/ring/ring.ts";

export const SLOTS = 4096;
const SLOT_BYTES = 2048;
/** The IP header stands on a multiple of four, as with PACKET_RESERVE 2 (IO-FACTS 2). */
const FRAME_START = 66;
const OWN_FRAMES = 256;

export class SlotRing implements Ring {
  readonly name = "bench";
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly headroom = 0;
  /** Where the frame of each slot begins, and how long it is. */
  readonly at = new Int32Array(SLOTS);
  readonly length = new Int32Array(SLOTS);
  /** What was submitted since clear(). */
  readonly sentAt = new Int32Array(SLOTS);
  readonly sentLength = new Int32Array(SLOTS);
  sent = 0;
  #next = 0;
  #end = 0;
  readonly #free: number[] = [];

  constructor() {
    const buffer = new ArrayBuffer((SLOTS + OWN_FRAMES) * SLOT_BYTES);
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    for (let slot = 0; slot < SLOTS; slot++) this.at[slot] = slot * SLOT_BYTES + FRAME_START;
    for (let own = 0; own < OWN_FRAMES; own++) this.#free.push((SLOTS + own) * SLOT_BYTES + FRAME_START);
  }

  /** The frames of slots 0 … count - 1 are handed out next. */
  offer(count: number): void {
    this.#next = 0;
    this.#end = count;
    this.sent = 0;
  }

  peek(burst: Burst): number {
    const from = this.#next;
    const count = Math.min(burst.capacity, this.#end - from);
    for (let i = 0; i < count; i++) {
      burst.at[i] = this.at[from + i]!;
      burst.length[i] = this.length[from + i]!;
    }
    burst.count = count;
    this.#next = from + count;
    return count;
  }

  submit(at: number, length: number): void {
    this.sentAt[this.sent] = at;
    this.sentLength[this.sent++] = length;
  }

  reserve(): number {
    return this.#free.pop() ?? -1;
  }

  cancel(at: number): void {
    this.#free.push(at);
  }

  flush(): number {
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
