/**
 * Lays typed arrays one behind another in one buffer: the mapped region, a SharedArrayBuffer, or plain memory.
 * The same code run with `buffer = undefined` only measures, so a table's size and its layout cannot disagree.
 * Every column begins on a cache line (64 bytes), so two writers' columns never share one.
 */
const CACHE_LINE = 64;

export class Columns {
  readonly #buffer: ArrayBufferLike | undefined;
  #at: number;

  constructor(buffer: ArrayBufferLike | undefined, at = 0) {
    this.#buffer = buffer;
    this.#at = at;
  }

  /** Bytes laid out so far, from the buffer's begin. */
  get bytes(): number {
    return this.#at;
  }

  int32(length: number): Int32Array {
    const at = this.#take(length * 4);
    return this.#buffer === undefined ? new Int32Array(0) : new Int32Array(this.#buffer, at, length);
  }

  uint32(length: number): Uint32Array {
    const at = this.#take(length * 4);
    return this.#buffer === undefined ? new Uint32Array(0) : new Uint32Array(this.#buffer, at, length);
  }

  float64(length: number): Float64Array {
    const at = this.#take(length * 8);
    return this.#buffer === undefined ? new Float64Array(0) : new Float64Array(this.#buffer, at, length);
  }

  uint8(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#buffer === undefined ? new Uint8Array(0) : new Uint8Array(this.#buffer, at, length);
  }

  #take(bytes: number): number {
    const at = this.#at;
    this.#at = Math.ceil((at + bytes) / CACHE_LINE) * CACHE_LINE;
    return at;
  }
}
