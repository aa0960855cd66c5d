/**
 * Timers end connections on time and without scanning. What is counted is work, not time: every word of the table
 * that a tick or a frame reads or writes. It must be the same with ten thousand connections and with a million.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Columns } from "../../src/table/columns.ts";
import {
  C_CLIENT4,
  C_EXPIRES,
  C_KIND,
  C_PORTS,
  C_STATUS,
  C_VIRTUAL4,
  ConnectionFlag,
  Connections,
  HZ,
  ROW_SHIFT,
} from "../../src/table/connections.ts";
import { flowHash } from "../../src/table/hash.ts";

const SIZES = [10_000, 100_000, 1_000_000];
const TCP = 6;
const VIRTUAL = 0x0a000064;
const BEGIN = 123_456;
/** As ESTABLISHED: longer than the wheel goes round, which is 655 s. */
const LONG = 900 * HZ;

const client = (n: number): number => (0x0a070000 + n) | 0;
const portsOf = (n: number): number => ((1024 + (n % 60_000)) << 16) | 80 | 0;
const hashOf = (n: number): number => flowHash(1, client(n), VIRTUAL, portsOf(n));

function columnsBytes(capacity: number): number {
  const measure = new Columns(undefined);
  new Connections(measure, capacity);
  return measure.bytes;
}

/** A table with `count` connections; `expiresOf` says how many ticks each has left. */
function filled(count: number, expiresOf: (n: number) => number): Connections {
  const table = new Connections(new Columns(new ArrayBuffer(columnsBytes(count))), count);
  table.startClock(BEGIN);
  for (let n = 0; n < count; n++) {
    const row = table.take();
    const at = row << ROW_SHIFT;
    table.rows[at + C_CLIENT4] = client(n);
    table.rows[at + C_VIRTUAL4] = VIRTUAL;
    table.rows[at + C_PORTS] = portsOf(n);
    table.rows[at + C_KIND] = TCP;
    table.rows[at + C_STATUS] = ConnectionFlag.Live;
    table.rows[at + C_EXPIRES] = BEGIN + expiresOf(n);
    table.hash(row, hashOf(n));
    table.arm(row);
  }
  return table;
}

interface Touches {
  wheel: number;
  rows: number;
  other: number;
}

/** Counts every access to the table's words while `work` runs. */
function touches(table: Connections, work: () => void): Touches {
  const count: Touches = { wheel: 0, rows: 0, other: 0 };
  const watched = table as unknown as Record<string, Int32Array>;
  const plain: Record<string, Int32Array> = {};
  const kept = new Set(["cells"]); // the table's own few numbers
  for (const [name, column] of Object.entries(watched)) {
    if (!ArrayBuffer.isView(column) || kept.has(name)) continue;
    const what = name === "wheel" || name === "rows" ? name : "other";
    plain[name] = column;
    watched[name] = new Proxy(column, {
      get(target, key) {
        if (typeof key === "string" && /^\d+$/.test(key)) count[what]++;
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
      set(target, key, value) {
        count[what]++;
        return Reflect.set(target, key, value, target);
      },
    });
  }
  try {
    work();
  } finally {
    Object.assign(watched, plain);
  }
  return count;
}

const nobody = {
  due: (row: number): never => {
    throw new Error(`row ${row} was due`);
  },
};

describe.each(SIZES)("with %i connections", (count) => {
  // Nobody's time is up for a hundred seconds, and then the same number's each second.
  const table = filled(count, (n) => 100 * HZ + (n % 1000));

  it("a tick in which nobody's time is up looks at one slot of the wheel and at no connection", () => {
    const ticks = 50 * HZ;
    const seen = touches(table, () => table.advance(table.clock + ticks, nobody));
    expect(seen).toEqual({ wheel: ticks, rows: 0, other: 0 });
  });

  it("a frame writes its connection's new expiry, and nothing else", () => {
    const seen = touches(table, () => {
      for (let n = 0; n < 100; n++) table.expireAt(n, table.clock + 200 * HZ);
    });
    expect(seen).toEqual({ wheel: 0, rows: 200, other: 0 });
  });

  it("a frame finds its connection as quickly", () => {
    const seen = touches(table, () => {
      for (let n = 0; n < 1000; n++) {
        const found = table.find4(hashOf(n * 10), TCP, client(n * 10), VIRTUAL, portsOf(n * 10));
        expect(found).toBe(n * 10);
      }
    });
    // Four words tell a flow; a bucket holds a quarter of a connection on average.
    expect(seen.other).toBe(1000);
    expect(seen.rows).toBeLessThan(1000 * 4 * 1.5);
  });

  it("a connection that ends costs what it costs in a small table, its slot and its neighbours there", () => {
    const rows: number[] = [];
    const seen = touches(table, () => {
      const handler = { due: (row: number) => rows.push(row) };
      while (rows.length < 50) table.advance(table.clock + 1, handler);
    });
    expect(seen.rows).toBeLessThan(rows.length * 12);
    expect(seen.other).toBe(0);
  });
});

describe.each(SIZES)("all of the life of %i connections", (count) => {
  it("is two events at most, a turn of the wheel and the end, and each ends at its tick", () => {
    // A tenth is short, as half-open ones; the others outlive a turn of the wheel.
    const lifeOf = (n: number): number => (n % 10 === 0 ? 60 * HZ : LONG) - (n % 997);
    const table = filled(count, lifeOf);
    let events = 0;
    let wrong = 0;
    let ended = 0;
    const { arm } = table;
    table.arm = (row: number) => {
      events++;
      arm.call(table, row);
    };
    const handler = {
      due(row: number) {
        events++;
        if (table.clock - BEGIN !== lifeOf(row)) wrong++;
        ended++;
        table.unhash(row, hashOf(row));
        table.free(row);
      },
    };
    table.advance(BEGIN + LONG + HZ, handler);
    expect({ ended, wrong, live: table.live }).toEqual({ ended: count, wrong: 0, live: 0 });
    // Armed when it came (before we count), perhaps once more after a turn of the wheel, and due once.
    expect(events / count).toBeLessThanOrEqual(2);
  });
});

describe("a connection", () => {
  it("ends at its expiry and never before, however often and wherever to that was moved", () => {
    const later = fc.oneof(fc.constant("a tick later" as const), fc.integer({ min: 1, max: 2 * LONG }));
    const move = fc.record({ wait: fc.nat(30_000), to: later });
    fc.assert(
      fc.property(fc.array(move, { minLength: 1, maxLength: 20 }), (moves) => {
        const table = filled(1, () => 70_000);
        let ends = BEGIN + 70_000;
        let ended = -1;
        const handler = {
          due(row: number) {
            ended = table.clock;
            table.unhash(row, hashOf(0));
            table.free(row);
          },
        };
        for (const { wait, to } of moves) {
          table.advance(table.clock + wait, handler);
          if (ended >= 0) break;
          ends = to === "a tick later" ? ends + 1 : table.clock + to;
          table.expireAt(0, ends);
        }
        if (ended < 0) table.advance(ends + 1, handler);
        expect(ended).toBe(ends);
      }),
    );
  });
});
