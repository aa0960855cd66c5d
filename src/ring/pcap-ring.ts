/**
 * A ring over a parsed capture, for `replay`: hands out its frames in file order, and gives what the data path
 * sends to a sink. The same data path runs on it as on a NIC, with the capture's own time.
 */
import {
  type CapturedPacket,
  type CaptureInterface,
  LINKTYPE_ETHERNET,
  RECORD_MAXIMUM,
} from "../wire/capture.ts";
import type { Burst } from "./burst.ts";
import type { Ring } from "./ring.ts";

/** Time as captures write it. */
export interface Timestamp {
  /** Since 1970. */
  readonly seconds: number;
  /** 0…999,999,999. */
  readonly nanoseconds: number;
}

/**
 * A frame that was sent. `received` is the captured frame it lies on, undefined for a frame of our own. `bytes` is
 * a view of the ring's memory: copy it to keep it. Of a frame that the capture had cut it holds what the capture
 * had; `originalLength` is the whole. `time` is that of the burst.
 */
export interface Sent {
  readonly bytes: Uint8Array;
  readonly originalLength: number;
  readonly time: Timestamp;
  readonly received: CapturedPacket | undefined;
}

export interface PcapRing extends Ring {
  /**
   * Time of the last peeked burst in milliseconds since the first frame of the capture, fraction kept. Never goes
   * back, even where the capture does.
   */
  now(): number;
  /** What `now` will be after the next peek; the same as now() when there is nothing left. */
  nextNow(): number;
  /** The captured frame at this offset of the last peek, undefined for any other offset. */
  packetAt(at: number): CapturedPacket | undefined;
  /** True when every frame has been handed out. */
  isOver(): boolean;
  /** Frames that were left out because their interface is not Ethernet. */
  readonly skipped: number;
}

/** Room for the peeked frames; a burst ends early when its frames are long. */
const MEMORY = 4 * 1024 * 1024;
const OWN_FRAMES = 64;
const OWN_SIZE = 2048;
/** Frames begin at 2 mod 4, as in the real rings, so that the IP header is aligned. */
const GAP = 2;

/** No Ethernet link carries frames above this (9000 bytes of payload and headers): they were super-frames. */
const JUMBO = 9216;

/** Milliseconds from `from` to `to`. */
export function millisecondsBetween(from: Timestamp, to: Timestamp): number {
  return (to.seconds - from.seconds) * 1000 + (to.nanoseconds - from.nanoseconds) / 1_000_000;
}

/** Bytes on the wire; a cut or contradictory capture never makes it less than what it holds or absurdly much. */
function wholeLength(packet: CapturedPacket): number {
  return Math.max(packet.bytes.length, Math.min(packet.originalLength, RECORD_MAXIMUM));
}

/**
 * `packets` may be any iterable, e.g. a generator over a CaptureReader fed from a stream. Frames
 * with different times never share a burst: the data path reads the clock once per burst. A frame that the capture
 * cut is handed out in its whole length, zeros in place of what is missing: its headers decide, not its data.
 */
export function createPcapRing(
  packets: Iterable<CapturedPacket>,
  interfaces: readonly CaptureInterface[],
  sink: (sent: Sent) => void,
): PcapRing {
  return new CaptureRing(packets, interfaces, sink);
}

class CaptureRing implements PcapRing {
  readonly name = "pcap";
  readonly bytes = new Uint8Array(OWN_FRAMES * OWN_SIZE + MEMORY);
  readonly view = new DataView(this.bytes.buffer);
  /** A capture knows nothing of a frame beyond its bytes. */
  readonly headroom = 0;
  skipped = 0;
  private readonly source: Iterator<CapturedPacket>;
  private readonly interfaces: readonly CaptureInterface[];
  private readonly sink: (sent: Sent) => void;
  private ahead: CapturedPacket | undefined;
  private first: Timestamp | undefined;
  private time: Timestamp = { seconds: 0, nanoseconds: 0 };
  private elapsed = 0;
  private readonly peeked = new Map<number, CapturedPacket>();
  private readonly submitted: { at: number; length: number }[] = [];
  private readonly free: number[] = [];

  constructor(
    packets: Iterable<CapturedPacket>,
    interfaces: readonly CaptureInterface[],
    sink: (sent: Sent) => void,
  ) {
    this.source = packets[Symbol.iterator]();
    this.interfaces = interfaces;
    this.sink = sink;
    for (let i = 0; i < OWN_FRAMES; i++) this.free.push(i * OWN_SIZE + GAP);
    this.ahead = this.fetch();
  }

  /** The next frame that the data path can take. */
  private fetch(): CapturedPacket | undefined {
    for (let next = this.source.next(); next.done !== true; next = this.source.next()) {
      if (this.interfaces[next.value.interface]?.linkType === LINKTYPE_ETHERNET) return next.value;
      this.skipped++;
    }
    return undefined;
  }

  peek(burst: Burst): number {
    burst.count = 0;
    if (this.ahead === undefined) return 0;
    this.time = { seconds: this.ahead.seconds, nanoseconds: this.ahead.nanoseconds };
    this.first ??= this.time;
    this.elapsed = Math.max(this.elapsed, millisecondsBetween(this.first, this.time));
    let at = OWN_FRAMES * OWN_SIZE + GAP;
    while (this.ahead !== undefined && burst.count < burst.capacity) {
      const packet: CapturedPacket = this.ahead;
      if (millisecondsBetween(this.time, packet) !== 0) break;
      const length = wholeLength(packet);
      if (at + length > this.bytes.length) break;
      this.bytes.set(packet.bytes, at);
      this.bytes.fill(0, at + packet.bytes.length, at + length);
      this.peeked.set(at, packet);
      burst.at[burst.count] = at;
      burst.length[burst.count++] = length;
      at = ((at + length + 3) & ~3) + GAP;
      this.ahead = this.fetch();
    }
    return burst.count;
  }

  submit(at: number, length: number): void {
    this.submitted.push({ at, length });
  }

  reserve(length: number): number {
    return length > OWN_SIZE - GAP ? -1 : (this.free.pop() ?? -1);
  }

  cancel(at: number): void {
    this.free.push(at);
  }

  flush(): number {
    for (const { at, length } of this.submitted) {
      const received = this.packetAt(at);
      const kept = received === undefined ? length : Math.min(length, received.bytes.length);
      const bytes = this.bytes.subarray(at, at + kept);
      this.sink({ bytes, originalLength: length, time: this.time, received });
      if (at < OWN_FRAMES * OWN_SIZE) this.free.push(at);
    }
    this.submitted.length = 0;
    return 0;
  }

  release(): void {
    this.peeked.clear();
  }

  /** Captures do not mark super-frames; only their length gives them away. */
  isSuperFrame(at: number): boolean {
    const packet = this.packetAt(at);
    return packet !== undefined && wholeLength(packet) > JUMBO;
  }

  /** Nothing will wake a file: returns at once. */
  wait(): void {}

  drops(): number {
    return 0;
  }

  close(): void {
    this.ahead = undefined;
  }

  now(): number {
    return this.elapsed;
  }

  nextNow(): number {
    if (this.ahead === undefined) return this.elapsed;
    return Math.max(this.elapsed, millisecondsBetween(this.first ?? this.ahead, this.ahead));
  }

  packetAt(at: number): CapturedPacket | undefined {
    return this.peeked.get(at);
  }

  isOver(): boolean {
    return this.ahead === undefined;
  }
}
