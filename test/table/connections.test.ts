/** The connection table against a plain list: what was put in is found, ends on time, and nothing else is touched. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Columns } from "../../src/table/columns.ts";
import {
  C_CLIENT,
  C_EXPIRES,
  C_KIND,
  C_PORTS,
  C_STATUS,
  ConnectionFlag,
  Connections,
  FAMILY6,
  HZ,
  ROW_SHIFT,
  TICK,
} from "../../src/table/connections.ts";
import { flowHash, foldAddress } from "../../src/table/hash.ts";

const CAPACITY = 12;
const BEGIN = 0x7fff_ff00; // the ticks' sign turns soon after
const TCP = 6;

/** Few addresses and ports, so that flows share buckets and differ in one word only. */
interface Flow {
  readonly words: readonly number[];
  readonly ports: number;
  readonly kind: number;
  /** All of it as text. */
  readonly name: string;
}

const address4 = fc.constantFrom(0x0a000001, 0x0a000002, 0xc0a80001).map((a) => [0, 0, 0xffff, a]);
const address6 = fc.tuple(fc.constantFrom(0x20010db8, 0xfd000000), fc.nat(1), fc.nat(1), fc.nat(1));
const kinds = fc.constantFrom(TCP, 17);
const ports = fc.constantFrom(0x1000_0050, 0x1000_0051, 0xffff_0050);
const flows: fc.Arbitrary<Flow> = fc
  .oneof(
    fc.record({ a: address4, b: address4, ports, kind: kinds, six: fc.constant(0) }),
    fc.record({ a: address6, b: address6, ports, kind: kinds, six: fc.constant(FAMILY6) }),
  )
  .map(({ a, b, ports, kind, six }) => ({
    words: [...a, ...b],
    ports,
    kind: kind | six,
    name: `${a} ${b} ${ports} ${kind}`,
  }));

/** Two buckets get everything. */
const crowd = (hash: number): number => (hash & 0x8000_0000) >>> 0;

function hashOf({ words, ports, kind }: Flow): number {
  if ((kind & FAMILY6) === 0) return crowd(flowHash(7, words[3]!, words[7]!, ports));
  const [a, b, c, d, e, f, g, h] = words as [number, number, number, number, number, number, number, number];
  return crowd(flowHash(7, foldAddress(a, b, c, d), foldAddress(e, f, g, h), ports));
}

function find(table: Connections, flow: Flow): number {
  const { words, ports, kind } = flow;
  if ((kind & FAMILY6) === 0) return table.find4(hashOf(flow), kind, words[3]!, words[7]!, ports);
  return table.find6(hashOf(flow), kind, Int32Array.from([9, ...words]), 1, ports);
}

/** Often the same slot of the wheel as another's, or one behind it. */
const life = fc.oneof(
  fc.constantFrom(-5, 0, 1, 2, 100, 101, 65_534, 65_535, 65_536, 65_537, 131_172),
  fc.integer({ min: -5, max: 140_000 }),
);
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ open: flows, life }) },
  { weight: 2, arbitrary: fc.record({ close: fc.nat(30) }) },
  { weight: 2, arbitrary: fc.record({ move: fc.nat(30), to: life }) },
  { weight: 2, arbitrary: fc.record({ pass: fc.oneof(fc.nat(3), fc.nat(200), fc.nat(90_000)) }) },
  { weight: 4, arbitrary: fc.record({ wait: fc.nat(30) }) },
  { weight: 1, arbitrary: fc.record({ settle: fc.nat(30) }) },
  { weight: 1, arbitrary: fc.record({ crash: fc.boolean() }) },
);
type Step = typeof step extends fc.Arbitrary<infer One> ? One : never;

interface Known {
  row: number;
  flow: Flow;
  /** Ticks after BEGIN. */
  ends: number;
}

/** What the table should be: connections newest first, the half-open ones in the order in which they joined. */
class Model {
  readonly table: Connections;
  known: Known[] = [];
  halfOpen: Known[] = [];
  now = 0;

  constructor() {
    const measure = new Columns(undefined);
    new Connections(measure, CAPACITY);
    this.table = new Connections(new Columns(new ArrayBuffer(measure.bytes)), CAPACITY);
    this.table.startClock(BEGIN);
  }

  do(step: Step): void {
    if ("open" in step) this.#open(step.open, step.life);
    else if ("pass" in step) this.#pass(step.pass);
    else if ("crash" in step) this.#crash(step.crash);
    else {
      const [index] = Object.values(step);
      const one = this.known[index! % (this.known.length || 1)];
      if (one === undefined) return;
      if ("close" in step) this.#close(one);
      if ("move" in step) this.#move(one, step.to);
      if ("wait" in step) this.#wait(one);
      if ("settle" in step) this.#settle(one);
    }
  }

  #open(flow: Flow, life: number): void {
    const { table } = this;
    const row = table.take();
    if (this.known.length === CAPACITY) {
      expect(row).toBe(-1);
      return;
    }
    expect(this.known.map((one) => one.row)).not.toContain(row);
    const at = row << ROW_SHIFT;
    table.rows.set(flow.words, at + C_CLIENT);
    table.rows[at + C_PORTS] = flow.ports;
    table.rows[at + C_KIND] = flow.kind;
    const ends = this.now + life;
    table.rows[at + C_EXPIRES] = BEGIN + ends;
    table.rows[at + C_STATUS] = ConnectionFlag.Live;
    table.hash(row, hashOf(flow));
    table.arm(row);
    this.known.unshift({ row, flow, ends: Math.max(ends, this.now + 1) });
  }

  #forget(one: Known): void {
    this.known = this.known.filter((other) => other !== one);
    this.halfOpen = this.halfOpen.filter((other) => other !== one);
  }

  #close(one: Known): void {
    this.table.unhash(one.row, hashOf(one.flow));
    this.table.unhash(one.row, hashOf(one.flow));
    this.table.free(one.row);
    this.#forget(one);
  }

  #move(one: Known, to: number): void {
    this.table.expireAt(one.row, (BEGIN + this.now + to) | 0);
    one.ends = Math.max(this.now + to, this.now + 1);
  }

  #wait(one: Known): void {
    this.table.joinHalfOpen(one.row);
    if (!this.halfOpen.includes(one)) this.halfOpen.push(one);
  }

  #settle(one: Known): void {
    this.table.leaveHalfOpen(one.row);
    this.halfOpen = this.halfOpen.filter((other) => other !== one);
  }

  #pass(ticks: number): void {
    const { table } = this;
    const until = this.now + ticks;
    const handler = {
      due: (row: number) => {
        const one = this.known.find((each) => each.row === row)!;
        expect(one, `row ${row} is due`).toBeDefined();
        expect((BEGIN + one.ends) | 0).toBe(table.clock);
        this.#close(one);
      },
    };
    table.advance((BEGIN + until) | 0, handler);
    this.now = until;
    expect(this.known.filter(({ ends }) => ends <= until)).toEqual([]);
  }

  /** Everything that the rows do not say is lost; perhaps a row was being made. */
  #crash(torn: boolean): void {
    const { table } = this;
    if (torn && this.known.length < CAPACITY) table.rows[(table.take() << ROW_SHIFT) + C_STATUS] = 0x3;
    table.heads.fill(99);
    for (const { row } of this.known) {
      for (const word of [12, 14, 15]) table.rows[(row << ROW_SHIFT) + word] = 5;
    }
    const flowOf = (row: number): Flow => this.known.find((one) => one.row === row)!.flow;
    const waiting = new Set(this.halfOpen.map(({ row }) => row));
    table.rebuild(
      (BEGIN + this.now) | 0,
      (row) => hashOf(flowOf(row)),
      (row) => waiting.has(row),
    );
    // The rows' numbers are all that tells their order now.
    this.known.sort((a, b) => a.row - b.row);
    this.halfOpen.sort((a, b) => b.row - a.row);
    for (const one of this.known) one.ends = Math.max(one.ends, this.now + 1);
  }

  check(): void {
    const { table } = this;
    expect(table.live).toBe(this.known.length);
    expect(table.clock).toBe((BEGIN + this.now) | 0);
    expect(table.high).toBeLessThanOrEqual(CAPACITY);
    const newest = new Map<string, number>();
    for (const { flow, row } of this.known) if (!newest.has(flow.name)) newest.set(flow.name, row);
    const wrong = this.known.filter(
      ({ flow, row }) => !table.isLive(row) || find(table, flow) !== newest.get(flow.name),
    );
    expect(wrong).toEqual([]);
    const { Live, HalfOpen, Hashed } = ConnectionFlag;
    const flags = this.known.map(({ row }) => table.rows[(row << ROW_SHIFT) + C_STATUS]);
    const waiting = new Set(this.halfOpen);
    expect(flags).toEqual(this.known.map((one) => Live | Hashed | (waiting.has(one) ? HalfOpen : 0)));
    expect(table.oldestHalfOpen()).toBe(this.halfOpen[0]?.row ?? -1);
  }
}

describe("the connection table", () => {
  it("finds what is in it, newest first, lets it go on time, and keeps the half-open ones in order", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), flows, (steps, stranger) => {
        const model = new Model();
        for (const each of steps) {
          model.do(each);
          model.check();
        }
        if (!model.known.some(({ flow }) => flow.name === stranger.name)) {
          expect(find(model.table, stranger)).toBe(-1);
        }
        while (model.halfOpen.length > 0) {
          model.do({ settle: model.known.indexOf(model.halfOpen[0]!) });
          model.check();
        }
        // Emptied, it has room for as many as ever.
        model.do({ pass: 150_000 });
        expect(model.table.live).toBe(0);
        for (let i = 0; i < CAPACITY; i++) expect(model.table.take()).toBeGreaterThanOrEqual(0);
        expect(model.table.take()).toBe(-1);
      }),
      { numRuns: 200 },
    );
  });

  it("tells flows apart by each word, though they share a bucket, and the first of it from the second", () => {
    const { table } = new Model();
    const put = (words: readonly number[], ports: number, kind: number): number => {
      const row = table.take();
      const at = row << ROW_SHIFT;
      table.rows.set(words, at + C_CLIENT);
      table.rows[at + C_PORTS] = ports;
      table.rows[at + C_KIND] = kind;
      table.hash(row, 0);
      return row;
    };
    const four = put([0, 0, 0xffff, 1, 0, 0, 0xffff, 2], 3, TCP);
    const six = put([1, 2, 3, 4, 5, 6, 7, 8], 9, TCP | FAMILY6);
    // The buckets' other ends: what is asked for stands first, then last.
    for (const round of [0, 1]) {
      expect(table.find4(0, TCP, 1, 2, 3)).toBe(four);
      const others4 = [
        table.find4(0, 17, 1, 2, 3),
        table.find4(0, TCP, 9, 2, 3),
        table.find4(0, TCP, 1, 9, 3),
      ];
      expect([...others4, table.find4(0, TCP, 1, 2, 9)]).toEqual([-1, -1, -1, -1]);
      const words = [1, 2, 3, 4, 5, 6, 7, 8];
      const find6 = (kind: number, ports: number, wanted = words): number =>
        table.find6(0, kind, Int32Array.from([0, 0, ...wanted]), 2, ports);
      expect(find6(TCP | FAMILY6, 9)).toBe(six);
      expect([find6(17 | FAMILY6, 9), find6(TCP | FAMILY6, 8)]).toEqual([-1, -1]);
      for (let w = 0; w < 8; w++) expect(find6(TCP | FAMILY6, 9, words.with(w, 77))).toBe(-1);
      if (round === 0) {
        table.unhash(four, 0);
        table.hash(four, 0);
      }
    }
  });

  it("takes a flow out of the middle of its bucket, and leaves it and the others as they are", () => {
    const { table } = new Model();
    const rows = [1, 2, 3].map((client) => {
      const row = table.take();
      const at = row << ROW_SHIFT;
      table.rows.set([0, 0, 0xffff, client, 0, 0, 0xffff, 9], at + C_CLIENT);
      table.rows[at + C_KIND] = TCP;
      table.rows[at + C_STATUS] = ConnectionFlag.Live | 3;
      table.hash(row, 0);
      return row;
    });
    table.unhash(rows[1]!, 0);
    expect([1, 2, 3].map((client) => table.find4(0, TCP, client, 9, 0))).toEqual([rows[0], -1, rows[2]]);
    expect(table.rows[(rows[1]! << ROW_SHIFT) + C_STATUS]).toBe(ConnectionFlag.Live | 3);
    table.hash(rows[1]!, 0);
    expect([1, 2, 3].map((client) => table.find4(0, TCP, client, 9, 0))).toEqual(rows);
  });

  it("knows which rows are in use", () => {
    const model = new Model();
    const flow = { words: [0, 0, 0xffff, 1, 0, 0, 0xffff, 2], ports: 3, kind: TCP, name: "" };
    model.do({ open: flow, life: 10 });
    const { row } = model.known[0]!;
    expect(model.table.isLive(row)).toBe(true);
    model.do({ close: 0 });
    expect(model.table.isLive(row)).toBe(false);
  });

  it("keeps a hundred ticks a second, as a kernel of HZ=100", () => {
    expect([TICK, HZ]).toEqual([10, 100]);
  });

  it("has four buckets a row, sixteen at least", () => {
    const bucketsOf = (capacity: number): number => new Connections(new Columns(undefined), capacity).shift;
    expect([1, 2, 4, 5, 1024, 1025].map((capacity) => 2 ** (32 - bucketsOf(capacity)))).toEqual([
      16, 16, 16, 32, 4096, 8192,
    ]);
  });

  it("does nothing about time while it is empty, but knows what time it is", () => {
    const { table } = new Model();
    const nobody = {
      due: (): never => {
        throw new Error("nobody is there");
      },
    };
    table.advance(BEGIN + 5, nobody);
    expect(table.clock).toBe(BEGIN + 5);
  });
});
