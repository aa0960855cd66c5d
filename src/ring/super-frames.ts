/**
 * The super-frames of one turn, which do not fit a slot: the kernel keeps a whole copy of each in the socket, in the
 * order of their slots (packet_mmap: TP_STATUS_COPY), and one recvmmsg fetches a burst's worth into the arena.
 */
import { type Arena, BIG_SLOT, FRAME_START } from "./arena.ts";
import { native } from "./native.ts";
import { VIRTIO_HEADER } from "./virtio-header.ts";

/** mmsghdr on 64-bit machines: 64 bytes, the message's flags at 48, its length at 56. An iovec: 16 bytes. */
const MESSAGE_WORDS = 16;
const MESSAGE_FLAGS = 12;
const MESSAGE_LENGTH = 14;
const PIECE_WORDS = 4;
const MSG_TRUNC = 0x20;

export class SuperFrames {
  readonly #fd: number;
  readonly #arena: Arena;
  readonly #low: number;
  readonly #table: ArrayBuffer;
  readonly #words: Uint32Array;
  readonly #pieces: number;
  /** Places of this turn; the first `#fetched` of them hold frames that were handed out. */
  readonly #at: Int32Array;
  #fetched = 0;
  #asked = 0;

  constructor(
    fd: number,
    arena: Arena,
    capacity: number,
    region: { readonly low: number; readonly high: number },
  ) {
    this.#fd = fd;
    this.#arena = arena;
    this.#low = region.low - VIRTIO_HEADER;
    this.#table = native().createMessages(capacity, region.high);
    this.#words = new Uint32Array(this.#table);
    this.#pieces = capacity * MESSAGE_WORDS;
    this.#at = new Int32Array(capacity);
    for (let i = 0; i < capacity; i++)
      this.#words[this.#pieces + i * PIECE_WORDS + 2] = BIG_SLOT - FRAME_START + VIRTIO_HEADER;
  }

  /** Asks for one more; false when no place is free before release(). */
  ask(): boolean {
    const row = this.#asked;
    const at = this.#fetched + row < this.#at.length ? this.#arena.takeBig() : -1;
    if (at < 0) return false;
    this.#at[this.#fetched + row] = at;
    this.#words[this.#pieces + row * PIECE_WORDS] = this.#low + at;
    this.#asked++;
    return true;
  }

  /** Fetches what was asked for. Afterwards `at(i)` and `length(i)` tell of the i-th of `asked`, until the next ask(). */
  fetch(): void {
    const got = native().receiveMessages(this.#fd, this.#table, 0, this.#asked);
    for (let i = Math.max(0, got); i < this.#asked; i++) this.#words[i * MESSAGE_WORDS + MESSAGE_LENGTH] = 0;
  }

  at(i: number): number {
    return this.#at[this.#fetched + i]!;
  }

  /** Bytes of the frame; 0 when there was no copy (a thread that died had fetched it) or it was cut. */
  length(i: number): number {
    const message = i * MESSAGE_WORDS;
    const cut = (this.#words[message + MESSAGE_FLAGS]! & MSG_TRUNC) !== 0;
    const length = this.#words[message + MESSAGE_LENGTH]!;
    return cut || length <= VIRTIO_HEADER ? 0 : length - VIRTIO_HEADER;
  }

  /** The frames asked for are handed out: they stay until release(). */
  settle(): void {
    this.#fetched += this.#asked;
    this.#asked = 0;
  }

  /** Whether the frame at `at` (or four bytes into it, its tag put back) is one of this turn's. */
  has(at: number): boolean {
    for (let i = 0; i < this.#fetched; i++) if (at === this.#at[i] || at + 4 === this.#at[i]) return true;
    return false;
  }

  release(): void {
    for (let i = 0; i < this.#fetched; i++) this.#arena.give(this.#at[i]!);
    this.#fetched = 0;
  }
}
