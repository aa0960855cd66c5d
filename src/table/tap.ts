/**
 * The tap's queue: frames that a shard shows to the control thread, for captures and live events. One writer, one
 * reader, shared memory, no locks. It is bounded, and the writer never waits: what finds no room is counted as missed.
 *
 * The reader says in the same memory what it wants to see; the writer looks at that with each frame.
 */
import { Columns } from "./columns.ts";

/** What a record shows. */
export const TapKind = {
  Received: 0, // a frame as it came
  Sent: 1, //     a frame as it went to its real server
  Answer: 2, //   a frame of our own
  Late: 3, //     a frame that had waited for its neighbour, as it went; or that was given up
} as const;
export type TapKind = (typeof TapKind)[keyof typeof TapKind];

/** What the reader wants to see. */
export interface TapFilter {
  /** Bytes of each frame at the most. */
  readonly snap: number;
  /** 1 shows every frame, n one in n. */
  readonly every: number;
  /** Bit v set: frames with verdict v. */
  readonly verdicts: number;
  /** The service's row, or -1 for all. */
  readonly service: number;
  /** Client's network as four words and their mask; a mask of zeros for all. */
  readonly client: readonly number[];
  readonly clientMask: readonly number[];
}

export const EVERYTHING: TapFilter = {
  snap: 65_535,
  every: 1,
  verdicts: -1,
  service: -1,
  client: [0, 0, 0, 0],
  clientMask: [0, 0, 0, 0],
};

/** A frame that was shown. `bytes` is a view of the queue, good until the visit is over. */
export interface TapRecord {
  kind: TapKind;
  /** ms of the shard's clock. */
  time: number;
  verdict: number;
  /** Rows, -1 for none. */
  service: number;
  destination: number;
  /** ConnectionPart of dataplane/outcome.ts, and the connection's status word. */
  connection: number;
  status: number;
  /** IP protocol of the flow, 0 for none. */
  protocol: number;
  /** The frame's length on the wire. */
  length: number;
  bytes: Uint8Array;
}

// On different cache lines, because different threads write them.
const WRITTEN = 0;
const MISSED = 1;
const READ = 16;
const SNAP = 32;
const EVERY = 33;
const VERDICTS = 34;
const SERVICE = 35;
const CLIENT = 36;
const CLIENT_MASK = 40;
const CELLS = 64;

/** Words of a record's head, the bytes follow; every record begins at a multiple of 8. */
const R_SIZE = 0; //       of the whole record; WRAP: the next one begins at the buffer's begin
const R_KEPT = 1;
const R_LENGTH = 2;
const R_SERVICE = 3;
const R_DESTINATION = 4;
const R_STATUS = 5;
const R_MARKS = 6; //      kind | verdict << 8 | connection part << 16 | protocol << 24
const R_TIME = 8; //       two words: a double
const HEAD = 40;
const WRAP = -1;

/** Room for records: a power of two. */
export const TAP_BYTES = 4 * 1024 * 1024;

export class TapQueue {
  readonly #cells: Int32Array;
  readonly #words: Int32Array;
  readonly #times: Float64Array;
  readonly #bytes: Uint8Array;
  readonly #mask: number;
  /** The writer's cursor; published by `publish`. */
  #written: number;
  #missed = 0;
  readonly #record: TapRecord;

  /** Over memory of `tapMemory(capacity)` bytes, zeroed when it is new. */
  constructor(buffer: ArrayBufferLike, capacity: number = TAP_BYTES) {
    const columns = new Columns(buffer);
    this.#cells = columns.int32(CELLS);
    this.#bytes = columns.uint8(capacity);
    this.#words = new Int32Array(this.#bytes.buffer, this.#bytes.byteOffset, capacity / 4);
    this.#times = new Float64Array(this.#bytes.buffer, this.#bytes.byteOffset, capacity / 8);
    this.#mask = capacity - 1;
    this.#written = this.#cells[WRITTEN]!;
    this.#record = {
      kind: 0,
      time: 0,
      verdict: 0,
      service: -1,
      destination: -1,
      connection: 0,
      status: 0,
      protocol: 0,
      length: 0,
      bytes: this.#bytes,
    };
  }

  /** The reader's wishes; takes effect with the writer's next frame. */
  setFilter(filter: TapFilter): void {
    const cells = this.#cells;
    cells[SNAP] = filter.snap;
    cells[EVERY] = Math.max(1, filter.every);
    cells[VERDICTS] = filter.verdicts;
    cells[SERVICE] = filter.service;
    for (let w = 0; w < 4; w++) {
      cells[CLIENT + w] = filter.client[w]! & filter.clientMask[w]!;
      cells[CLIENT_MASK + w] = filter.clientMask[w]!;
    }
  }

  get snap(): number {
    return this.#cells[SNAP]!;
  }

  get every(): number {
    return this.#cells[EVERY]!;
  }

  wantsVerdict(verdict: number): boolean {
    return (this.#cells[VERDICTS]! & (1 << verdict)) !== 0;
  }

  wantsService(service: number): boolean {
    const wanted = this.#cells[SERVICE]!;
    return wanted < 0 || wanted === service;
  }

  get wantsAnyClient(): boolean {
    const at = CLIENT_MASK;
    const cells = this.#cells;
    return (cells[at]! | cells[at + 1]! | cells[at + 2]! | cells[at + 3]!) === 0;
  }

  /** The address stands in four words at `at`, IPv4 as 0, 0, 0xffff, address. */
  wantsClient(words: Int32Array, at: number): boolean {
    const cells = this.#cells;
    for (let w = 0; w < 4; w++)
      if ((words[at + w]! & cells[CLIENT_MASK + w]!) !== cells[CLIENT + w]!) return false;
    return true;
  }

  /** Copies a frame in; false, and counted as missed, when there is no room. Seen by the reader after `publish`. */
  push(record: Readonly<Omit<TapRecord, "bytes">>, from: Uint8Array, at: number, kept: number): boolean {
    const size = (HEAD + kept + 7) & ~7;
    const place = this.#claim(size);
    if (place < 0) {
      this.#missed++;
      return false;
    }
    const words = this.#words;
    const w = place >>> 2;
    words[w + R_SIZE] = size;
    words[w + R_KEPT] = kept;
    words[w + R_LENGTH] = record.length;
    words[w + R_SERVICE] = record.service;
    words[w + R_DESTINATION] = record.destination;
    words[w + R_STATUS] = record.status;
    words[w + R_MARKS] =
      record.kind | (record.verdict << 8) | (record.connection << 16) | (record.protocol << 24);
    this.#times[(place >>> 3) + R_TIME / 2] = record.time;
    this.#bytes.set(from.subarray(at, at + kept), place + HEAD);
    this.#written = (this.#written + size) | 0;
    return true;
  }

  /** Where `size` bytes lie in one piece, or -1. */
  #claim(size: number): number {
    const free = this.#mask + 1 - ((this.#written - Atomics.load(this.#cells, READ)) >>> 0);
    const place = this.#written & this.#mask;
    const left = this.#mask + 1 - place;
    if (size <= left) return size <= free ? place : -1;
    if (left + size > free) return -1;
    this.#words[(place >>> 2) + R_SIZE] = WRAP;
    this.#written = (this.#written + left) | 0;
    return 0;
  }

  /** Lets the reader see what was pushed. */
  publish(): void {
    if (this.#missed > 0) {
      Atomics.add(this.#cells, MISSED, this.#missed);
      this.#missed = 0;
    }
    if (this.#cells[WRITTEN] !== this.#written) Atomics.store(this.#cells, WRITTEN, this.#written);
  }

  /** Frames that found no room, in all (wraps). */
  get missed(): number {
    return Atomics.load(this.#cells, MISSED) >>> 0;
  }

  /** Shows the reader what waits, at the most `most` records; returns how many there were. */
  take(visit: (record: Readonly<TapRecord>) => void, most: number = Number.POSITIVE_INFINITY): number {
    const end = Atomics.load(this.#cells, WRITTEN);
    let read = this.#cells[READ]!;
    let count = 0;
    while (read !== end && count < most) {
      const place = read & this.#mask;
      const size = this.#words[(place >>> 2) + R_SIZE]!;
      if (size === WRAP) {
        read = (read + this.#mask + 1 - place) | 0;
        continue;
      }
      visit(this.#read(place));
      read = (read + size) | 0;
      count++;
    }
    Atomics.store(this.#cells, READ, read);
    return count;
  }

  #read(place: number): TapRecord {
    const record = this.#record;
    const words = this.#words;
    const w = place >>> 2;
    const marks = words[w + R_MARKS]!;
    record.kind = (marks & 0xff) as TapKind;
    record.verdict = (marks >>> 8) & 0xff;
    record.connection = (marks >>> 16) & 0xff;
    record.protocol = marks >>> 24;
    record.service = words[w + R_SERVICE]!;
    record.destination = words[w + R_DESTINATION]!;
    record.status = words[w + R_STATUS]!;
    record.length = words[w + R_LENGTH]!;
    record.time = this.#times[(place >>> 3) + R_TIME / 2]!;
    record.bytes = this.#bytes.subarray(place + HEAD, place + HEAD + words[w + R_KEPT]!);
    return record;
  }
}

/** Bytes of memory that a queue with room for `capacity` bytes of records needs. */
export function tapMemory(capacity: number = TAP_BYTES): number {
  return CELLS * 4 + capacity;
}
