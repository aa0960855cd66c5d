/**
 * The AF_PACKET ring as a shard maps it: frames are read in the slots the kernel filled (TPACKET_V2), rewritten there,
 * and sent from there by sendmmsg, the virtio header that stands before each going back to the kernel as it came. One
 * memory holds the slots and, behind them, places for super-frames and frames of our own (arena.ts).
 *
 * Layouts (packet_mmap, tpacket2_hdr): u32 status, u32 length, u32 snapshot length, u16 MAC offset, u16 network
 * offset, u32 seconds, u32 nanoseconds, u16 VLAN tag, u16 VLAN protocol; in the byte order of the machine.
 */
import { Arena, type ArenaSize, arenaBytes } from "./arena.ts";
import type { Burst } from "./burst.ts";
import { native } from "./native.ts";
import type { PacketSockets } from "./packet-sockets.ts";
import type { Ring } from "./ring.ts";
import { SendTable } from "./send-table.ts";
import { SuperFrames } from "./super-frames.ts";
import { VIRTIO_GSO_TYPE, VIRTIO_HEADER } from "./virtio-header.ts";
import { putTagBack, TAG_BYTES } from "./vlan-tag.ts";

/** Where the ring keeps what must outlive the thread that maps it. */
export interface RingState {
  /** In shared memory, so that the next thread goes on where this one ended. */
  readonly cells: Int32Array;
  /** The cell of the first slot not given back; 0 in a new ring. */
  readonly position: number;
  /** The cell of the kernel's drops so far (u32, wraps); without it they are counted from this mapping on. */
  readonly drops?: number;
}

export interface PacketRingOptions {
  readonly arena?: ArenaSize;
  /** Frames that may wait for one flush(); more flush early. */
  readonly queue?: number;
}

const ARENA: ArenaSize = { small: 512, big: 32 };
const QUEUE = 256;

const STATUS_KERNEL = 0;
const STATUS_USER = 1;
const STATUS_COPY = 2;
const STATUS_VLAN = 0x10;
const STATUS_VLAN_PROTOCOL = 0x40;

const WORD_SNAPSHOT = 2;
const WORD_OFFSETS = 3;
const WORD_VLAN = 6;
const TAG_8021Q = 0x8100;

const SOL_PACKET = 263;
const PACKET_STATISTICS = 6;

/**
 * x86 keeps loads in order and stores in order, so a plain status load orders what follows. Elsewhere it takes an
 * atomic load and store a frame (the kernel's side is a barrier before the status word in each slot).
 */
const IN_ORDER = process.arch === "x64";

export class PacketRing implements Ring {
  readonly name = "af_packet";
  readonly headroom = VIRTIO_HEADER;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly #words: Int32Array;
  readonly #sockets: PacketSockets;
  readonly #shift: number;
  readonly #slots: number;
  readonly #cells: Int32Array;
  readonly #positionCell: number;
  readonly #dropsCells: Int32Array;
  readonly #dropsCell: number;
  readonly #arena: Arena;
  readonly #send: SendTable;
  readonly #superFrames: SuperFrames;
  /** Rows of the burst that wait for their super-frame, in the order of their slots. */
  readonly #rows: Int32Array;
  /** Own frames in the send table: their places are free after flush(). */
  readonly #own: Int32Array;
  readonly #statistics = new Uint32Array(2);
  #ownCount = 0;
  #refused = 0;
  #next: number;
  #peeked = 0;
  #closed = false;

  constructor(sockets: PacketSockets, state: RingState, options: PacketRingOptions = {}) {
    const arena = options.arena ?? ARENA;
    const ringBytes = sockets.slots * sockets.slotBytes;
    const region = native().mapRegion(sockets.rx, ringBytes, arenaBytes(arena));
    this.bytes = new Uint8Array(region.memory);
    this.view = new DataView(region.memory);
    this.#words = new Int32Array(region.memory, 0, ringBytes >>> 2);
    this.#sockets = sockets;
    this.#shift = 31 - Math.clz32(sockets.slotBytes);
    this.#slots = sockets.slots;
    this.#cells = state.cells;
    this.#positionCell = state.position;
    this.#dropsCells = state.drops === undefined ? new Int32Array(1) : state.cells;
    this.#dropsCell = state.drops ?? 0;
    this.#arena = new Arena(ringBytes, arena);
    this.#superFrames = new SuperFrames(sockets.rx, this.#arena, Math.max(1, arena.big), region);
    this.#rows = new Int32Array(Math.max(1, arena.big));
    const queue = options.queue ?? QUEUE;
    this.#send = new SendTable(sockets.tx, queue, region);
    this.#own = new Int32Array(queue);
    this.#next = this.#resume();
  }

  /**
   * The first slot not given back. The kept cell says it; where the cell is behind (a new region, an old ring), it is
   * the oldest full slot. Read twice, because frames arrive while we look.
   */
  #resume(): number {
    const kept = this.#cells[this.#positionCell]!;
    const position = kept >= 0 && kept < this.#slots ? kept : 0;
    const full = (slot: number) =>
      (Atomics.load(this.#words, (slot << this.#shift) >>> 2) & STATUS_USER) !== 0;
    let oldest = position;
    for (let i = 0; i < this.#slots && !full(oldest); i++) oldest = (oldest + 1) % this.#slots;
    if (full(position)) oldest = position;
    this.#cells[this.#positionCell] = oldest;
    return oldest;
  }

  peek(burst: Burst): number {
    const words = this.#words;
    const shift = this.#shift;
    const capacity = burst.capacity;
    const room = this.#slots - this.#peeked;
    let slot = this.#next;
    let count = 0;
    let copies = 0;
    while (count < capacity && count < room) {
      const base = slot << shift;
      const word = base >>> 2;
      const status = IN_ORDER ? words[word]! : Atomics.load(words, word);
      if ((status & STATUS_USER) === 0) break;
      let at = base + (words[word + WORD_OFFSETS]! & 0xffff);
      if ((status & STATUS_COPY) !== 0) {
        if (!this.#superFrames.ask()) break;
        this.#rows[copies++] = count;
        at = word; // until the copy is here
      } else if ((status & STATUS_VLAN) !== 0) {
        at = this.#tagInSlot(word, at, status);
      }
      burst.at[count] = at;
      burst.length[count++] = words[word + WORD_SNAPSHOT]!;
      slot = slot + 1 === this.#slots ? 0 : slot + 1;
    }
    this.#next = slot;
    this.#peeked += count;
    burst.count = copies === 0 ? count : this.#fetchCopies(burst, count, copies);
    return burst.count;
  }

  /** Puts the tag back and makes the slot say so, so that the next thread does not do it again. */
  #tagInSlot(word: number, at: number, status: number): number {
    const words = this.#words;
    putTagBack(this.bytes, this.view, at, this.#tag(word, status));
    words[word + WORD_OFFSETS] = words[word + WORD_OFFSETS]! - TAG_BYTES;
    words[word + WORD_SNAPSHOT] = words[word + WORD_SNAPSHOT]! + TAG_BYTES;
    words[word] = status & ~STATUS_VLAN;
    return at - TAG_BYTES;
  }

  /** The stripped tag as it stands in a frame: protocol << 16 | tag. */
  #tag(word: number, status: number): number {
    const metadata = this.#words[word + WORD_VLAN]!;
    const protocol = (status & STATUS_VLAN_PROTOCOL) !== 0 ? metadata >>> 16 : TAG_8021Q;
    return (protocol << 16) | (metadata & 0xffff);
  }

  /** One whose copy is missing leaves the burst and counts as a drop. */
  #fetchCopies(burst: Burst, count: number, copies: number): number {
    let lost = 0;
    this.#superFrames.fetch();
    for (let i = 0; i < copies; i++) {
      const row = this.#rows[i]!;
      const word = burst.at[row]!;
      const status = this.#words[word]!;
      let at = this.#superFrames.at(i);
      let length = this.#superFrames.length(i);
      if (length === 0) {
        lost++;
      } else if ((status & STATUS_VLAN) !== 0) {
        putTagBack(this.bytes, this.view, at, this.#tag(word, status));
        at -= TAG_BYTES;
        length += TAG_BYTES;
      }
      burst.at[row] = at;
      burst.length[row] = length;
    }
    this.#superFrames.settle();
    return lost === 0 ? count : this.#withoutLost(burst, count, lost);
  }

  #withoutLost(burst: Burst, count: number, lost: number): number {
    let kept = 0;
    for (let i = 0; i < count; i++) {
      if (burst.length[i] === 0) continue;
      burst.at[kept] = burst.at[i]!;
      burst.length[kept++] = burst.length[i]!;
    }
    this.#dropsCells[this.#dropsCell] = this.#dropsCells[this.#dropsCell]! + lost;
    return kept;
  }

  submit(at: number, length: number): void {
    if (this.#send.full) this.#refused += this.#sendAll();
    if (at >= this.#arena.start && !this.#superFrames.has(at)) this.#own[this.#ownCount++] = at;
    this.#send.add(at, length);
  }

  reserve(length: number): number {
    const at = this.#arena.take(length);
    if (at >= 0) this.bytes.fill(0, at - VIRTIO_HEADER, at);
    return at;
  }

  cancel(at: number): void {
    this.#arena.give(at);
  }

  flush(): number {
    const refused = this.#refused + this.#sendAll();
    this.#refused = 0;
    return refused;
  }

  #sendAll(): number {
    const refused = this.#send.flush();
    for (let i = 0; i < this.#ownCount; i++) this.#arena.give(this.#own[i]!);
    this.#ownCount = 0;
    return refused;
  }

  release(): void {
    const words = this.#words;
    const cells = this.#cells;
    const cell = this.#positionCell;
    let slot = cells[cell]!;
    for (let left = this.#peeked; left > 0; left--) {
      const word = (slot << this.#shift) >>> 2;
      slot = slot + 1 === this.#slots ? 0 : slot + 1;
      // Together, without a call between them: a thread can only be ended at a call or where a loop turns back, and the
      // next one must find the position and the slots telling the same story.
      if (IN_ORDER) words[word] = STATUS_KERNEL;
      else Atomics.store(words, word, STATUS_KERNEL);
      cells[cell] = slot;
    }
    this.#peeked = 0;
    this.#superFrames.release();
  }

  isSuperFrame(at: number): boolean {
    return this.bytes[at - VIRTIO_HEADER + VIRTIO_GSO_TYPE] !== 0;
  }

  wait(milliseconds: number): void {
    if (!this.#closed) native().wait(this.#sockets.rx, this.#sockets.wake, milliseconds);
  }

  drops(): number {
    if (!this.#closed) {
      // The kernel forgets its count when it is read.
      native().getOption(this.#sockets.rx, SOL_PACKET, PACKET_STATISTICS, this.#statistics);
      this.#dropsCells[this.#dropsCell] = (this.#dropsCells[this.#dropsCell]! + this.#statistics[1]!) | 0;
    }
    return this.#dropsCells[this.#dropsCell]! >>> 0;
  }

  /** Unmaps the ring; the sockets belong to who opened them, and a new PacketRing may map it again. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    native().retire(this.bytes.buffer as ArrayBuffer);
  }
}
