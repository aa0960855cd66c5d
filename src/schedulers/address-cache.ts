/**
 * Virtual addresses and what a scheduler remembers about each: the table of lblc and lblcr. One per thread and
 * service; lost when the process ends (the connections are not).
 *
 * Old entries go as in the kernel: each minute, when there are more than 16384, those unused for six minutes, and
 * every half hour those unused for `lifetime`. The kernel's table has no upper bound; ours has one, and when it is
 * full entries are taken away in turn.
 */
import { NONE } from "../table/services.ts";

const MINUTE = 60_000;
/** Minutes between two looks at every entry (COUNT_FOR_FULL_EXPIRATION). */
const FULL_CHECK = 30;
/** Unused for so long, an entry may go when there are too many (ENTRY_TIMEOUT). */
const IDLE = 6 * MINUTE;
/** Too many: 16 a bucket of the kernel's 1024. */
const MANY = 16_384;
const MOST = 65_536;

export class AddressCache {
  #value: Int32Array;
  #changed: Float64Array;
  #words: Int32Array;
  #used: Float64Array;
  /** Next row of the bucket's chain or of the free list, + 1. */
  #next: Int32Array;
  #heads: Int32Array;
  #live: Uint8Array;
  #free = 0;
  #high = 0;
  #length = 0;
  #victim = 0;
  /** When old entries are looked for next, ms: a column, because a property's number lies on the heap. */
  readonly #check = Float64Array.of(Number.NaN);
  #minutes = 0;
  readonly #release: (row: number) => void;

  /** @param release told of a row that goes, before it is gone */
  constructor(release: (row: number) => void) {
    const capacity = 64;
    this.#value = new Int32Array(capacity);
    this.#changed = new Float64Array(capacity);
    this.#words = new Int32Array(capacity * 4);
    this.#used = new Float64Array(capacity);
    this.#next = new Int32Array(capacity);
    this.#heads = new Int32Array(capacity);
    this.#live = new Uint8Array(capacity);
    this.#release = release;
  }

  get length(): number {
    return this.#length;
  }

  /** What is remembered in a row: a number that means what its owner wants, 0 at first. */
  value(row: number): number {
    return this.#value[row]!;
  }

  /** When it was set last, in ms. */
  changed(row: number): number {
    return this.#changed[row]!;
  }

  set(row: number, value: number, now: number): void {
    this.#value[row] = value;
    this.#changed[row] = now;
  }

  /** The row of the four words at `at`, marked as used now; NONE when there is none. */
  find(words: Int32Array, at: number, now: number): number {
    for (let link = this.#heads[this.#bucket(words, at)]!; link !== 0; link = this.#next[link - 1]!) {
      if (!this.#same(link - 1, words, at)) continue;
      this.#used[link - 1] = now;
      return link - 1;
    }
    return NONE;
  }

  /** Enters four words that are not there yet; its value is 0. */
  insert(words: Int32Array, at: number, now: number): number {
    if (this.#length === MOST) this.#evict();
    const row = this.#take();
    for (let w = 0; w < 4; w++) this.#words[row * 4 + w] = words[at + w]!;
    this.set(row, 0, now);
    this.#used[row] = now;
    this.#live[row] = 1;
    this.#length++;
    this.#chain(row);
    return row;
  }

  /** Lets old entries go, as often as the kernel's timer would have by now. `lifetime` in ms. */
  expire(now: number, lifetime: number): void {
    if (Number.isNaN(this.#check[0]!)) this.#check[0] = now + MINUTE;
    while (now >= this.#check[0]!) {
      if (++this.#minutes % FULL_CHECK === 0) this.#sweep(this.#check[0]! - lifetime, MOST);
      else if (this.#length > MANY) {
        this.#minutes--;
        this.#sweep(this.#check[0]! - IDLE, Math.min(Math.ceil(((this.#length - MANY) * 4) / 3), MANY / 2));
      }
      this.#check[0]! += MINUTE;
      if (this.#length === 0 && now >= this.#check[0]!) this.#skipTo(now);
    }
  }

  /** With nothing to let go only the minutes are counted. */
  #skipTo(now: number): void {
    const minutes = Math.floor((now - this.#check[0]!) / MINUTE) + 1;
    this.#minutes += minutes;
    this.#check[0]! += minutes * MINUTE;
  }

  #sweep(before: number, most: number): void {
    for (let row = 0; row < this.#high && most > 0; row++) {
      if (this.#live[row] === 0 || this.#used[row]! > before) continue;
      this.#remove(row);
      most--;
    }
  }

  #evict(): void {
    this.#remove(this.#victim);
    this.#victim = (this.#victim + 1) % MOST;
  }

  #remove(row: number): void {
    this.#release(row);
    const bucket = this.#bucket(this.#words, row * 4);
    let link = this.#heads[bucket]!;
    if (link === row + 1) this.#heads[bucket] = this.#next[row]!;
    else {
      while (this.#next[link - 1] !== row + 1) link = this.#next[link - 1]!;
      this.#next[link - 1] = this.#next[row]!;
    }
    this.#live[row] = 0;
    this.#next[row] = this.#free;
    this.#free = row + 1;
    this.#length--;
  }

  #take(): number {
    if (this.#free !== 0) {
      const row = this.#free - 1;
      this.#free = this.#next[row]!;
      return row;
    }
    if (this.#high === this.#value.length) this.#grow();
    return this.#high++;
  }

  /** Twice the rows and buckets: so rarely that it may allocate. */
  #grow(): void {
    const capacity = this.#value.length * 2;
    const longer = <T extends Int32Array | Float64Array | Uint8Array>(column: T, to: T): T => {
      to.set(column);
      return to;
    };
    this.#value = longer(this.#value, new Int32Array(capacity));
    this.#changed = longer(this.#changed, new Float64Array(capacity));
    this.#words = longer(this.#words, new Int32Array(capacity * 4));
    this.#used = longer(this.#used, new Float64Array(capacity));
    this.#next = longer(this.#next, new Int32Array(capacity));
    this.#live = longer(this.#live, new Uint8Array(capacity));
    this.#heads = new Int32Array(capacity);
    for (let row = 0; row < this.#high; row++) this.#chain(row);
  }

  #chain(row: number): void {
    const bucket = this.#bucket(this.#words, row * 4);
    this.#next[row] = this.#heads[bucket]!;
    this.#heads[bucket] = row + 1;
  }

  #bucket(words: Int32Array, at: number): number {
    const fold = words[at]! ^ words[at + 1]! ^ words[at + 2]! ^ words[at + 3]!;
    return (Math.imul(fold, 0x61c88647) >>> 16) & (this.#heads.length - 1);
  }

  #same(row: number, words: Int32Array, at: number): boolean {
    for (let w = 0; w < 4; w++) if (this.#words[row * 4 + w] !== words[at + w]) return false;
    return true;
  }
}
