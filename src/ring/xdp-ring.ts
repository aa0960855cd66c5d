/**
 * The AF_XDP ring as a shard maps it (Linux: Documentation/networking/af_xdp.rst): frames lie in chunks of one memory;
 * a received chunk is rewritten in place, its descriptor goes from the receiving to the sending ring, comes back by the
 * completion ring, and goes to the fill ring for the next frame. Nothing is copied here.
 *
 * The memory is a memfd, so that it outlives the thread. Who has a chunk is written beside it: a thread that maps the
 * ring anew must not send, nor hand to the kernel, a chunk that is on its way already.
 */
import type { Burst } from "./burst.ts";
import { completeChecksum, type Memory } from "./half-done.ts";
import { native } from "./native.ts";
import type { RingState } from "./packet-ring.ts";
import type { Ring } from "./ring.ts";
import { FILL_OFFSET, FRAME_OFFSET, type XdpRingOffsets, type XdpSockets } from "./xdp-sockets.ts";

const RECEIVE_OFFSET = 0;
const SEND_OFFSET = 0x8000_0000;
const COMPLETION_OFFSET = 0x1_8000_0000;

/** Bytes of a descriptor: u64 address, u32 length, u32 options; the fill and completion rings hold addresses only. */
const DESCRIPTOR = 16;
const ADDRESS = 8;

/** Who has a chunk: 0 the kernel, the receiving ring, or nobody; else the sending side. */
const SENDING = 1;
/** Address of a descriptor in the receiving ring whose chunk is not ours any more. */
const GONE = 0xffff_ffff;

const EAGAIN = 11;
/** Calls that one flush spends on a sending ring that the kernel does not empty. */
const KICKS = 64;

const SOL_XDP = 283;
const XDP_STATISTICS = 7;

/** One of the four rings: single producer, single consumer, indices that wrap at 2^32. */
class Lane {
  readonly words: Uint32Array;
  /** Words of the first descriptor and of the two indices. */
  readonly first: number;
  readonly producer: number;
  readonly consumer: number;
  readonly mask: number;

  constructor(fd: number, at: number, offsets: XdpRingOffsets, size: number, entry: number) {
    this.words = new Uint32Array(native().mapShared(fd, offsets.descriptors + size * entry, at));
    this.first = offsets.descriptors >>> 2;
    this.producer = offsets.producer >>> 2;
    this.consumer = offsets.consumer >>> 2;
    this.mask = size - 1;
  }

  produced(): number {
    return Atomics.load(this.words, this.producer);
  }

  consumed(): number {
    return Atomics.load(this.words, this.consumer);
  }
}

export class XdpRing implements Ring {
  readonly name: string;
  readonly headroom = 0;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  // Private in TypeScript only: V8 takes a property that was assigned once for a constant, a # field never.
  private readonly sockets: XdpSockets;
  private readonly memory: Memory;
  private readonly shift: number;
  private readonly owner: Uint8Array;
  private readonly receive: Lane;
  private readonly send: Lane;
  private readonly fill: Lane;
  private readonly completion: Lane;
  /** Chunks for frames of our own that are free. */
  private readonly own: Int32Array;
  private ownFree = 0;
  readonly #statistics = new BigUint64Array(6);
  readonly #cells: Int32Array;
  readonly #countedCell: number;
  readonly #dropsCell: number;
  /** Frames received this turn, from the receiving ring's consumer on. */
  private peeked = 0;
  /** Where the sending and fill rings end, published or not, and how many more the former takes for sure. */
  private sendEnd: number;
  private sendRoom = 0;
  private fillEnd: number;
  private refused = 0;
  #closed = false;

  /** `state.position` is the cell of what the sockets had counted of `state.drops` so far; 0 with new sockets. */
  constructor(sockets: XdpSockets, state?: Required<RingState>) {
    const { fd, ringSize, chunks, own, chunkBytes } = sockets;
    const all = chunks + own;
    const memory = native().mapShared(sockets.memory, all * chunkBytes + all, 0);
    this.name = `af_xdp ${sockets.mode}`;
    this.bytes = new Uint8Array(memory);
    this.view = new DataView(memory);
    this.sockets = sockets;
    this.#cells = state?.cells ?? new Int32Array(2);
    this.#countedCell = state?.position ?? 0;
    this.#dropsCell = state?.drops ?? 1;
    this.memory = {
      bytes: this.bytes,
      view: this.view,
      words: new Uint32Array(memory, 0, (all * chunkBytes) >>> 2),
    };
    this.shift = 31 - Math.clz32(chunkBytes);
    this.owner = new Uint8Array(memory, all * chunkBytes, all);
    this.receive = new Lane(fd, RECEIVE_OFFSET, sockets.receive, ringSize, DESCRIPTOR);
    this.send = new Lane(fd, SEND_OFFSET, sockets.send, ringSize, DESCRIPTOR);
    this.fill = new Lane(fd, FILL_OFFSET, sockets.fill, ringSize, ADDRESS);
    this.completion = new Lane(fd, COMPLETION_OFFSET, sockets.completion, ringSize, ADDRESS);
    this.sendEnd = this.send.produced();
    this.fillEnd = this.fill.produced();
    this.own = new Int32Array(own);
    for (let chunk = chunks; chunk < all; chunk++) if (this.owner[chunk] !== SENDING) this.#freeOwn(chunk);
    this.#disown();
  }

  /** What a thread that died had sent, but not yet taken out of the receiving ring, is not to be sent again. */
  #disown(): void {
    const { words, first, mask } = this.receive;
    const end = this.receive.produced();
    for (let i = this.receive.consumed(); i !== end; i = (i + 1) >>> 0) {
      const word = first + (i & mask) * (DESCRIPTOR / 4);
      if (words[word] !== GONE && this.owner[words[word]! >>> this.shift] === SENDING) words[word] = GONE;
    }
  }

  peek(burst: Burst): number {
    if (this.peeked === 0) this.#reap();
    const { words, first, mask } = this.receive;
    const start = this.receive.consumed() + this.peeked;
    const waiting = (this.receive.produced() - start) >>> 0;
    let count = 0;
    let taken = 0;
    while (taken < waiting && count < burst.capacity) {
      const word = first + ((start + taken++) & mask) * (DESCRIPTOR / 4);
      const at = words[word]!;
      if (at === GONE) continue;
      const length = words[word + 2]!;
      completeChecksum(this.memory, at, length);
      burst.at[count] = at;
      burst.length[count++] = length;
    }
    this.peeked += taken;
    burst.count = count;
    return count;
  }

  submit(at: number, length: number): void {
    if (this.sendRoom === 0 && !this.#makeRoom()) {
      this.refused++;
      if (at >>> this.shift >= this.sockets.chunks) this.#freeOwn(at >>> this.shift);
      return;
    }
    const { words, first, mask } = this.send;
    const word = first + (this.sendEnd & mask) * (DESCRIPTOR / 4);
    words[word] = at;
    words[word + 1] = 0;
    words[word + 2] = length;
    words[word + 3] = 0;
    this.owner[at >>> this.shift] = SENDING;
    this.sendEnd = (this.sendEnd + 1) >>> 0;
    this.sendRoom--;
  }

  #makeRoom(): boolean {
    this.#push();
    this.sendRoom = this.send.mask + 1 - ((this.sendEnd - this.send.consumed()) >>> 0);
    return this.sendRoom > 0;
  }

  flush(): number {
    this.#push();
    const refused = this.refused;
    this.refused = 0;
    return refused;
  }

  /** Publishes what was submitted and has the kernel send it; what it does not take now goes with the next call. */
  #push(): void {
    Atomics.store(this.send.words, this.send.producer, this.sendEnd);
    for (let i = 0; i < KICKS && this.send.consumed() !== this.sendEnd; i++)
      if (native().kick(this.sockets.fd) !== -EAGAIN) break;
  }

  /** Frames that have left: their chunks are for the next ones, or free again. Only between turns, see release(). */
  #reap(): void {
    const { words, first, mask, consumer } = this.completion;
    const start = this.completion.consumed();
    const done = (this.completion.produced() - start) >>> 0;
    if (done === 0) return;
    for (let i = 0; i < done; i++) {
      const chunk = words[first + ((start + i) & mask) * (ADDRESS / 4)]! >>> this.shift;
      this.owner[chunk] = 0;
      if (chunk >= this.sockets.chunks) this.#freeOwn(chunk);
      else this.#refill(chunk);
    }
    // Together, without a call of our own between them: see packet-ring.ts, release().
    Atomics.store(this.fill.words, this.fill.producer, this.fillEnd);
    Atomics.store(words, consumer, (start + done) >>> 0);
  }

  #refill(chunk: number): void {
    const { words, first, mask } = this.fill;
    const word = first + (this.fillEnd & mask) * (ADDRESS / 4);
    words[word] = chunk << this.shift;
    words[word + 1] = 0;
    this.fillEnd = (this.fillEnd + 1) >>> 0;
  }

  #freeOwn(chunk: number): void {
    this.own[this.ownFree++] = chunk;
  }

  /** Gives back what was not sent. A chunk that was is told by its owner, so none may come back before this. */
  release(): void {
    if (this.peeked === 0) return;
    const { words, first, mask, consumer } = this.receive;
    const start = this.receive.consumed();
    for (let i = 0; i < this.peeked; i++) {
      const at = words[first + ((start + i) & mask) * (DESCRIPTOR / 4)]!;
      if (at !== GONE && this.owner[at >>> this.shift] === 0) this.#refill(at >>> this.shift);
    }
    Atomics.store(this.fill.words, this.fill.producer, this.fillEnd);
    Atomics.store(words, consumer, (start + this.peeked) >>> 0);
    this.peeked = 0;
  }

  reserve(length: number): number {
    if (this.ownFree === 0 && this.peeked === 0) this.#reap();
    if (length > this.sockets.chunkBytes - FRAME_OFFSET || this.ownFree === 0) return -1;
    return (this.own[--this.ownFree]! << this.shift) + FRAME_OFFSET;
  }

  cancel(at: number): void {
    this.#freeOwn(at >>> this.shift);
  }

  /** Super-frames do not come this way: in native mode the kernel cuts them before, in generic mode it drops them. */
  isSuperFrame(): boolean {
    return false;
  }

  wait(milliseconds: number): void {
    if (!this.#closed) native().wait(this.sockets.fd, this.sockets.wake, milliseconds);
  }

  /** Those that found no free chunk, and those that found the receiving ring full (struct xdp_statistics). */
  drops(): number {
    const cells = this.#cells;
    if (!this.#closed) {
      native().getOption(this.sockets.fd, SOL_XDP, XDP_STATISTICS, this.#statistics);
      const counted = Number(this.#statistics[0]! + this.#statistics[3]!) | 0;
      cells[this.#dropsCell] = (cells[this.#dropsCell]! + counted - cells[this.#countedCell]!) | 0;
      cells[this.#countedCell] = counted;
    }
    return cells[this.#dropsCell]! >>> 0;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const { words } of [this.receive, this.send, this.fill, this.completion])
      native().retire(words.buffer as ArrayBuffer);
    native().retire(this.bytes.buffer as ArrayBuffer);
  }
}
