/**
 * A connection table: one row of 16 words, one cache line, for each flow; found by hash, ended by a timer wheel.
 * One thread writes a shard's table; persistence templates lie in one more table that all shards share under a lock.
 *
 * Everything lies in mapped memory and links hold "row + 1", so zeroed memory is an empty table and an unused table
 * costs no pages. A row becomes valid by its last store (`Live` in the status word), so after a crash `rebuild`
 * finds only whole rows.
 *
 * Timers: a wheel of one slot a tick (10 ms, as a kernel with HZ=100). A frame only stores its connection's new
 * expiry; the wheel is told when the expiry moved *nearer*. A timer that fires early looks at the expiry and arms
 * itself again, so a busy connection costs one timer event a timeout, not one a frame, and no slot is ever cascaded.
 */
import type { Columns } from "./columns.ts";

/** Milliseconds a tick. */
export const TICK = 10;
/** Ticks a second. */
export const HZ = 1000 / TICK;

/** Words of a row. Links hold row + 1; 0 is the end. */
export const ROW_WORDS = 16;
export const ROW_SHIFT = 4;
export const C_CLIENT = 0; //      four words; IPv4 as 0, 0, 0xffff, address
export const C_CLIENT4 = 3; //     the word that holds an IPv4 address
export const C_VIRTUAL = 4; //     four words
export const C_VIRTUAL4 = 7;
export const C_PORTS = 8; //       client port << 16 | virtual port
export const C_KIND = 9; //        IP protocol | Family6 when IPv6
export const C_DESTINATION = 10; // destination's row
export const C_STATUS = 11; //     state (low byte) | flags
export const C_NEXT = 12; //       next of the bucket's chain, or of the free list
export const C_EXPIRES = 13; //    tick, compare by signed difference
export const C_TIMER_NEXT = 14;
export const C_TIMER_PREV = 15; // row + 1, or -(slot + 1) for the first of a slot

export const FAMILY6 = 0x100;

/** The low byte of C_STATUS is the TCP or template state. */
export const STATE_MASK = 0xff;
/** Flags in C_STATUS. */
export const ConnectionFlag = {
  Live: 0x100,
  Inactive: 0x200, //  counted in the destination's inactive, else in its active count
  Template: 0x400, //  a persistence template: counted in `persistent`
  HalfOpen: 0x800, //  stands in the half-open queue
  Hashed: 0x1000,
  NoOutput: 0x2000, // no answer is ever seen: always so in direct routing
} as const;

/** Frames of the connection so far, up to 15, in C_STATUS: drop_entry spares connections that carry more than a few. */
export const FRAMES_ONE = 0x10000;
export const FRAMES_MASK = 0xf0000;
export const FRAMES_SHIFT = 16;

const WHEEL_BITS = 16;
const WHEEL_SLOTS = 1 << WHEEL_BITS;
const WHEEL_MASK = WHEEL_SLOTS - 1;

const CELL_HIGH = 0; //   rows ever used
const CELL_FREE = 1; //   head of the free list, row + 1
const CELL_LIVE = 2; //   rows in use
const CELL_CLOCK = 3; //  last tick the wheel has worked off
const CELL_OLDEST = 4; // half-open queue, row + 1
const CELL_NEWEST = 5;

/** Told of every row whose time is up; must remove the row or arm it again. */
export interface DueHandler {
  due(row: number): void;
}

export class Connections {
  readonly capacity: number;
  readonly rows: Int32Array;
  readonly heads: Int32Array;
  readonly shift: number;
  /** Ticks the connection lives after its next packet: only templates keep it here. */
  readonly timeout: Int32Array;
  /** Persistence template that made this connection, row + 1 in the templates' table. */
  readonly parent: Int32Array;
  /** How many connections a template has (changed by several shards: Atomics). */
  readonly controlled: Int32Array;
  /** Firewall mark of the service, u32. */
  readonly mark: Uint32Array;
  /** Real server's port as listed; 65535 in an invalidated template. */
  readonly serverPort: Int32Array;
  // Private in TypeScript only: V8 takes a property that was assigned once for a constant, a # field never.
  private readonly wheel: Int32Array;
  private readonly older: Int32Array;
  private readonly newer: Int32Array;
  private readonly cells: Int32Array;

  constructor(columns: Columns, capacity: number) {
    // Four times as many buckets as rows: in a full table nine look-ups of ten end at the first row. Every further one
    // is a cache miss that nothing overlaps.
    const bits = Math.max(4, Math.ceil(Math.log2(capacity)) + 2);
    this.capacity = capacity;
    this.shift = 32 - bits;
    this.rows = columns.int32(capacity * ROW_WORDS);
    this.heads = columns.int32(2 ** bits);
    this.timeout = columns.int32(capacity);
    this.parent = columns.int32(capacity);
    this.controlled = columns.int32(capacity);
    this.mark = columns.uint32(capacity);
    this.serverPort = columns.int32(capacity);
    this.wheel = columns.int32(WHEEL_SLOTS);
    this.older = columns.int32(capacity);
    this.newer = columns.int32(capacity);
    this.cells = columns.int32(16);
  }

  get live(): number {
    return this.cells[CELL_LIVE]!;
  }

  /** Rows that were ever used: whoever scans the table needs to look no further. */
  get high(): number {
    return this.cells[CELL_HIGH]!;
  }

  get clock(): number {
    return this.cells[CELL_CLOCK]!;
  }

  isLive(row: number): boolean {
    return (this.rows[(row << ROW_SHIFT) + C_STATUS]! & ConnectionFlag.Live) !== 0;
  }

  /** The row of an IPv4 flow, or -1. Addresses and ports may be given as u32 or int32. */
  find4(hash: number, kind: number, client: number, virtual: number, ports: number): number {
    return this.follow4(this.heads[hash >>> this.shift]!, kind, client | 0, virtual | 0, ports | 0);
  }

  /** The same from `link` on, the first of its bucket's chain. Addresses and ports are int32. */
  follow4(link: number, kind: number, client: number, virtual: number, ports: number): number {
    const rows = this.rows;
    while (link !== 0) {
      const at = (link - 1) << ROW_SHIFT;
      if (
        rows[at + C_CLIENT4] === client &&
        rows[at + C_PORTS] === ports &&
        rows[at + C_VIRTUAL4] === virtual &&
        rows[at + C_KIND] === kind
      ) {
        return link - 1;
      }
      link = rows[at + C_NEXT]!;
    }
    return -1;
  }

  /** The row of an IPv6 flow, or -1; `words` holds client and virtual address from `at` on, four words each. */
  find6(hash: number, kind: number, words: Int32Array, at: number, ports: number): number {
    const rows = this.rows;
    ports |= 0;
    let link = this.heads[hash >>> this.shift]!;
    next: while (link !== 0) {
      const row = (link - 1) << ROW_SHIFT;
      link = rows[row + C_NEXT]!;
      if (rows[row + C_PORTS] !== ports || rows[row + C_KIND] !== kind) continue;
      for (let w = 0; w < 8; w++) {
        if (rows[row + w] !== words[at + w]) continue next;
      }
      return row >> ROW_SHIFT;
    }
    return -1;
  }

  /** Takes a free row; -1 when the table is full. The caller fills it, then calls `hash` and `arm`. */
  take(): number {
    const cells = this.cells;
    let row = cells[CELL_FREE]! - 1;
    if (row >= 0) {
      cells[CELL_FREE] = this.rows[(row << ROW_SHIFT) + C_NEXT]!;
    } else {
      row = cells[CELL_HIGH]!;
      if (row >= this.capacity) return -1;
      cells[CELL_HIGH] = row + 1;
    }
    cells[CELL_LIVE]!++;
    return row;
  }

  /** Enters a row at the head of its bucket: a newer entry hides an older one of the same flow, as in the kernel. */
  hash(row: number, hash: number): void {
    const bucket = hash >>> this.shift;
    const at = row << ROW_SHIFT;
    this.rows[at + C_NEXT] = this.heads[bucket]!;
    this.rows[at + C_STATUS]! |= ConnectionFlag.Hashed;
    this.heads[bucket] = row + 1;
  }

  unhash(row: number, hash: number): void {
    const rows = this.rows;
    const at = row << ROW_SHIFT;
    if ((rows[at + C_STATUS]! & ConnectionFlag.Hashed) === 0) return;
    rows[at + C_STATUS]! &= ~ConnectionFlag.Hashed;
    const bucket = hash >>> this.shift;
    let link = this.heads[bucket]!;
    if (link === row + 1) {
      this.heads[bucket] = rows[at + C_NEXT]!;
      return;
    }
    while (link !== 0) {
      const before = (link - 1) << ROW_SHIFT;
      link = rows[before + C_NEXT]!;
      if (link === row + 1) {
        rows[before + C_NEXT] = rows[at + C_NEXT]!;
        return;
      }
    }
  }

  /** Gives a row back. It must be unhashed; its timer is disarmed here. */
  free(row: number): void {
    const at = row << ROW_SHIFT;
    this.disarm(row);
    this.leaveHalfOpen(row);
    this.rows[at + C_STATUS] = 0;
    this.rows[at + C_NEXT] = this.cells[CELL_FREE]!;
    this.cells[CELL_FREE] = row + 1;
    this.cells[CELL_LIVE]!--;
  }

  /** Sets a row's expiry. Cheap when it moves away from now, as it does with nearly every frame. */
  expireAt(row: number, tick: number): void {
    const at = row << ROW_SHIFT;
    const nearer = (tick - this.rows[at + C_EXPIRES]!) | 0;
    this.rows[at + C_EXPIRES] = tick;
    if (nearer < 0) this.arm(row);
  }

  /** Puts the row's timer where its expiry says. */
  arm(row: number): void {
    this.disarm(row);
    const rows = this.rows;
    const at = row << ROW_SHIFT;
    const clock = this.cells[CELL_CLOCK]!;
    const ahead = (rows[at + C_EXPIRES]! - clock) | 0;
    const slot = (clock + (ahead < 1 ? 1 : ahead > WHEEL_MASK ? WHEEL_MASK : ahead)) & WHEEL_MASK;
    const first = this.wheel[slot]!;
    rows[at + C_TIMER_NEXT] = first;
    rows[at + C_TIMER_PREV] = -(slot + 1);
    if (first !== 0) rows[((first - 1) << ROW_SHIFT) + C_TIMER_PREV] = row + 1;
    this.wheel[slot] = row + 1;
  }

  disarm(row: number): void {
    const rows = this.rows;
    const at = row << ROW_SHIFT;
    const next = rows[at + C_TIMER_NEXT]!;
    const previous = rows[at + C_TIMER_PREV]!;
    if (previous === 0) return;
    if (previous < 0) this.wheel[-previous - 1] = next;
    else rows[((previous - 1) << ROW_SHIFT) + C_TIMER_NEXT] = next;
    if (next !== 0) rows[((next - 1) << ROW_SHIFT) + C_TIMER_PREV] = previous;
    rows[at + C_TIMER_NEXT] = 0;
    rows[at + C_TIMER_PREV] = 0;
  }

  /** Starts the wheel at this tick: once for a new table, and by `rebuild`. */
  startClock(tick: number): void {
    this.cells[CELL_CLOCK] = tick;
  }

  /** Works the wheel off up to and including `tick`; hands every row whose time is up to `handler`. */
  advance(tick: number, handler: DueHandler): void {
    const cells = this.cells;
    if (cells[CELL_LIVE] === 0) {
      cells[CELL_CLOCK] = tick;
      return;
    }
    while (((tick - cells[CELL_CLOCK]!) | 0) > 0) {
      const now = (cells[CELL_CLOCK]! + 1) | 0;
      cells[CELL_CLOCK] = now;
      const slot = now & WHEEL_MASK;
      if (this.wheel[slot] !== 0) this.#workOff(slot, now, handler);
    }
  }

  #workOff(slot: number, now: number, handler: DueHandler): void {
    // The slot is taken off first: rows armed meanwhile go to later slots, so this ends.
    for (let link = this.wheel[slot]!; link !== 0; link = this.wheel[slot]!) {
      const row = link - 1;
      if (((this.rows[(row << ROW_SHIFT) + C_EXPIRES]! - now) | 0) > 0) {
        this.arm(row);
        continue;
      }
      this.disarm(row);
      handler.due(row);
    }
  }

  /** Puts a connection at the young end of the half-open queue. */
  joinHalfOpen(row: number): void {
    const cells = this.cells;
    const at = (row << ROW_SHIFT) + C_STATUS;
    if ((this.rows[at]! & ConnectionFlag.HalfOpen) !== 0) return;
    this.rows[at]! |= ConnectionFlag.HalfOpen;
    const newest = cells[CELL_NEWEST]!;
    this.older[row] = newest;
    this.newer[row] = 0;
    if (newest !== 0) this.newer[newest - 1] = row + 1;
    else cells[CELL_OLDEST] = row + 1;
    cells[CELL_NEWEST] = row + 1;
  }

  leaveHalfOpen(row: number): void {
    const at = (row << ROW_SHIFT) + C_STATUS;
    if ((this.rows[at]! & ConnectionFlag.HalfOpen) === 0) return;
    this.rows[at]! &= ~ConnectionFlag.HalfOpen;
    const older = this.older[row]!;
    const newer = this.newer[row]!;
    if (older !== 0) this.newer[older - 1] = newer;
    else this.cells[CELL_OLDEST] = newer;
    if (newer !== 0) this.older[newer - 1] = older;
    else this.cells[CELL_NEWEST] = older;
  }

  /** The connection that has been half-open longest, or -1: it goes first when the table is full. */
  oldestHalfOpen(): number {
    return this.cells[CELL_OLDEST]! - 1;
  }

  /** Rows in use beyond what is said to be the last one are found again; whether all was right. */
  mendEnd(): boolean {
    const { cells, capacity } = this;
    let end = capacity;
    while (end > 0 && !this.isLive(end - 1)) end--;
    const said = cells[CELL_HIGH]!;
    if (said >= end && said <= capacity) return true;
    cells[CELL_HIGH] = end;
    return false;
  }

  /**
   * After a crash or restart: buckets, free list, wheel and half-open queue are built anew from the rows that are
   * whole. `hashOf` gives a row's flow hash; `halfOpen` says whether it belongs in that queue.
   */
  rebuild(tick: number, hashOf: (row: number) => number, halfOpen: (row: number) => boolean): void {
    const rows = this.rows;
    this.heads.fill(0);
    this.wheel.fill(0);
    const high = Math.min(this.cells[CELL_HIGH]!, this.capacity);
    this.cells.fill(0);
    this.cells[CELL_HIGH] = high;
    this.cells[CELL_CLOCK] = tick;
    for (let row = high - 1; row >= 0; row--) {
      const at = row << ROW_SHIFT;
      rows[at + C_TIMER_NEXT] = 0;
      rows[at + C_TIMER_PREV] = 0;
      if ((rows[at + C_STATUS]! & ConnectionFlag.Live) === 0) {
        rows[at + C_STATUS] = 0;
        rows[at + C_NEXT] = this.cells[CELL_FREE]!;
        this.cells[CELL_FREE] = row + 1;
        continue;
      }
      rows[at + C_STATUS]! &= ~(ConnectionFlag.HalfOpen | ConnectionFlag.Hashed);
      this.cells[CELL_LIVE]!++;
      this.hash(row, hashOf(row));
      this.arm(row);
      if (halfOpen(row)) this.joinHalfOpen(row);
    }
  }
}
