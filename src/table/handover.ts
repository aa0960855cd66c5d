/**
 * A queue of frames from one shard to another, for the few that arrive at the wrong one: fragments, which carry no
 * ports, and ICMP errors about a flow. One writer, one reader, shared memory, no locks (Lamport's ring). Full means
 * the frame is dropped and counted.
 */
import type { Columns } from "./columns.ts";

export const HANDOVER_SLOTS = 128;
/** Bytes a slot: a frame with its ring's headroom. Super-frames are neither fragments nor ICMP errors. */
export const HANDOVER_SLOT = 2048;

// On different cache lines, because different threads write them.
const WRITTEN = 0;
const READ = 16;

export class Handover {
  readonly #cells: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #lengths: Int32Array;

  constructor(columns: Columns) {
    this.#cells = columns.int32(32);
    this.#lengths = columns.int32(HANDOVER_SLOTS);
    this.#bytes = columns.uint8(HANDOVER_SLOTS * HANDOVER_SLOT);
  }

  /** Copies a frame into the queue; false when it is full or the frame is too long. */
  push(frames: Uint8Array, at: number, length: number): boolean {
    const written = this.#cells[WRITTEN]!;
    if (length > HANDOVER_SLOT || ((written - Atomics.load(this.#cells, READ)) | 0) >= HANDOVER_SLOTS)
      return false;
    const slot = written & (HANDOVER_SLOTS - 1);
    this.#bytes.set(frames.subarray(at, at + length), slot * HANDOVER_SLOT);
    this.#lengths[slot] = length;
    Atomics.store(this.#cells, WRITTEN, (written + 1) | 0);
    return true;
  }

  /** Length of the oldest frame, or 0 when the queue is empty. */
  peek(): number {
    const read = this.#cells[READ]!;
    return Atomics.load(this.#cells, WRITTEN) === read ? 0 : this.#lengths[read & (HANDOVER_SLOTS - 1)]!;
  }

  /** Copies the oldest frame to `into` at `at` and removes it. Call after peek() said there is one. */
  pop(into: Uint8Array, at: number): void {
    const read = this.#cells[READ]!;
    const slot = read & (HANDOVER_SLOTS - 1);
    into.set(this.#bytes.subarray(slot * HANDOVER_SLOT, slot * HANDOVER_SLOT + this.#lengths[slot]!), at);
    Atomics.store(this.#cells, READ, (read + 1) | 0);
  }

  /** Removes the oldest frame unread. */
  skip(): void {
    Atomics.store(this.#cells, READ, (this.#cells[READ]! + 1) | 0);
  }

  /** Empties a queue that cannot be, before anybody works with it; whether all was right. */
  mend(): boolean {
    const waiting = (this.#cells[WRITTEN]! - this.#cells[READ]!) | 0;
    const right =
      waiting >= 0 && waiting <= HANDOVER_SLOTS && this.#lengths.every((n) => n >= 0 && n <= HANDOVER_SLOT);
    if (right) return true;
    this.#lengths.fill(0);
    this.#cells[READ] = this.#cells[WRITTEN]!;
    return false;
  }
}
