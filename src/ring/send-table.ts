/**
 * Frames queued for one sendmmsg, as the array of iovecs the kernel reads: JavaScript writes the low half of each
 * address and the length, nothing else (native/message.c made the rest).
 */
import { native } from "./native.ts";
import { VIRTIO_HEADER } from "./virtio-header.ts";

const EINTR = 4;
const EAGAIN = 11;
/** How often a full socket buffer is waited for in one flush, and how long each time: 10 ms, then frames are lost. */
const PATIENCE = 10;
const PATIENCE_MS = 1;

/** Words of a mmsghdr, and of an iovec: address low, address high, length low, length high. */
const HEADER_WORDS = 16;
const PIECE_WORDS = 4;

export class SendTable {
  readonly #fd: number;
  readonly #capacity: number;
  readonly #table: ArrayBuffer;
  readonly #words: Uint32Array;
  readonly #first: number;
  readonly #low: number;
  queued = 0;

  /** @param region the memory that frames lie in: the halves of its address */
  constructor(fd: number, capacity: number, region: { readonly low: number; readonly high: number }) {
    this.#fd = fd;
    this.#capacity = capacity;
    this.#table = native().createMessages(capacity, region.high);
    this.#words = new Uint32Array(this.#table);
    this.#first = capacity * HEADER_WORDS;
    this.#low = region.low - VIRTIO_HEADER;
  }

  get full(): boolean {
    return this.queued === this.#capacity;
  }

  /** The frame at `at` of the region, which has its metadata before it. */
  add(at: number, length: number): void {
    const word = this.#first + this.queued * PIECE_WORDS;
    this.#words[word] = this.#low + at;
    this.#words[word + 2] = length + VIRTIO_HEADER;
    this.queued++;
  }

  /** Sends what is queued; returns how many the kernel refused. A refused frame never holds up those behind it. */
  flush(): number {
    const count = this.queued;
    let from = 0;
    let refused = 0;
    let patience = PATIENCE;
    while (from < count) {
      const sent = native().sendMessages(this.#fd, this.#table, from, count - from);
      if (sent > 0) from += sent;
      else if (sent === -EAGAIN && patience-- > 0) native().waitWritable(this.#fd, PATIENCE_MS);
      else if (sent !== -EINTR) {
        refused++;
        from++;
      }
    }
    this.queued = 0;
    return refused;
  }
}
