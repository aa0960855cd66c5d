/**
 * A ring without a kernel: frames are injected by hand and what is sent is collected. Pure, for tests, benches and the
 * browser; it keeps the AF_PACKET ring's habits (a virtio header before each frame, in place until release()).
 */
import { Arena, type ArenaSize, arenaBytes, FRAME_START } from "./arena.ts";
import type { Burst } from "./burst.ts";
import type { Ring } from "./ring.ts";
import { VIRTIO_GSO_TYPE, VIRTIO_HEADER } from "./virtio-header.ts";

export interface MemoryRingOptions {
  /** Frames that wait at most; a multiple of nothing in particular. Default 256. */
  readonly slots?: number;
  /** Bytes a slot, a multiple of 4; a frame may be 14 shorter. Default 2048. */
  readonly slotBytes?: number;
  readonly arena?: ArenaSize;
  /** False counts what is sent and keeps nothing. Default true. */
  readonly record?: boolean;
  /** Asked for every frame sent, in order from 0: true plays a kernel that refuses it. */
  readonly refuse?: (frame: number) => boolean;
}

const SLOTS = 256;
const SLOT_BYTES = 2048;
const ARENA: ArenaSize = { small: 256, big: 4 };
const QUEUE = 1024;
/** VIRTIO_NET_HDR_GSO_TCPV4: any type but 0 says super-frame. */
const GSO_TCPV4 = 1;

export class MemoryRing implements Ring {
  readonly name = "memory";
  readonly headroom = VIRTIO_HEADER;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Frames and bytes sent since the ring was made, refused ones not counted. */
  sentFrames = 0;
  sentBytes = 0;
  readonly #slots: number;
  readonly #slotBytes: number;
  readonly #lengths: Int32Array;
  readonly #arena: Arena;
  readonly #record: boolean;
  readonly #refuse: ((frame: number) => boolean) | undefined;
  readonly #queueAt = new Int32Array(QUEUE);
  readonly #queueLength = new Int32Array(QUEUE);
  #queued = 0;
  #refused = 0;
  #asked = 0;
  #drops = 0;
  /** Slots by count since the beginning: released ≤ peeked ≤ injected. */
  #released = 0;
  #peeked = 0;
  #injected = 0;
  #sent: Uint8Array[] = [];

  constructor(options: MemoryRingOptions = {}) {
    this.#slots = options.slots ?? SLOTS;
    this.#slotBytes = options.slotBytes ?? SLOT_BYTES;
    const arena = options.arena ?? ARENA;
    const ringBytes = this.#slots * this.#slotBytes;
    const memory = new ArrayBuffer(ringBytes + arenaBytes(arena));
    this.bytes = new Uint8Array(memory);
    this.view = new DataView(memory);
    this.#lengths = new Int32Array(this.#slots);
    this.#arena = new Arena(ringBytes, arena);
    this.#record = options.record ?? true;
    this.#refuse = options.refuse;
  }

  /** Lets a frame arrive, as a super-frame if told so. False, and one more drop, when the ring is full. */
  inject(frame: Uint8Array, superFrame = false): boolean {
    if (frame.length > this.#slotBytes - FRAME_START)
      throw new RangeError(`a slot of ${this.#slotBytes} bytes does not hold a frame of ${frame.length}`);
    if (this.#injected - this.#released >= this.#slots) {
      this.#drops++;
      return false;
    }
    const slot = this.#injected++ % this.#slots;
    const at = slot * this.#slotBytes + FRAME_START;
    this.bytes.fill(0, at - VIRTIO_HEADER, at);
    if (superFrame) this.bytes[at - VIRTIO_HEADER + VIRTIO_GSO_TYPE] = GSO_TCPV4;
    this.bytes.set(frame, at);
    this.#lengths[slot] = frame.length;
    return true;
  }

  /** Lets what the next `count` slots held before arrive again, as it stands there now: benches fill a ring once. */
  injectAgain(count: number): void {
    this.#injected += Math.min(count, this.#slots - (this.#injected - this.#released));
  }

  /** Copies of the frames sent since the last call, in order. */
  takeSent(): Uint8Array[] {
    const sent = this.#sent;
    this.#sent = [];
    return sent;
  }

  peek(burst: Burst): number {
    let count = 0;
    while (count < burst.capacity && this.#peeked < this.#injected) {
      const slot = this.#peeked++ % this.#slots;
      burst.at[count] = slot * this.#slotBytes + FRAME_START;
      burst.length[count++] = this.#lengths[slot]!;
    }
    burst.count = count;
    return count;
  }

  submit(at: number, length: number): void {
    if (this.#queued === QUEUE) this.#refused += this.#send();
    this.#queueAt[this.#queued] = at;
    this.#queueLength[this.#queued++] = length;
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
    const refused = this.#refused + this.#send();
    this.#refused = 0;
    return refused;
  }

  #send(): number {
    let refused = 0;
    for (let i = 0; i < this.#queued; i++) {
      const at = this.#queueAt[i]!;
      const length = this.#queueLength[i]!;
      if (this.#refuse?.(this.#asked++)) {
        refused++;
      } else {
        this.sentFrames++;
        this.sentBytes += length;
        if (this.#record) this.#sent.push(this.bytes.slice(at, at + length));
      }
      if (at >= this.#arena.start) this.#arena.give(at);
    }
    this.#queued = 0;
    return refused;
  }

  release(): void {
    this.#released = this.#peeked;
  }

  isSuperFrame(at: number): boolean {
    return this.bytes[at - VIRTIO_HEADER + VIRTIO_GSO_TYPE] !== 0;
  }

  /** Nothing comes while nobody injects: returns at once. */
  wait(_milliseconds: number): void {}

  drops(): number {
    return this.#drops;
  }

  close(): void {}
}
