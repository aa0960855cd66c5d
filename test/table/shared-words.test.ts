/** Words of shared memory: locks, the change counter, names, columns that never share a cache line. */
import { describe, expect, it } from "vitest";
import { Columns } from "../../src/table/columns.ts";
import { beginChange, endChange, generation, isChanging } from "../../src/table/generation.ts";
import { breakLocks, lock, unlock } from "../../src/table/lock.ts";
import { NeighbourState, usable } from "../../src/table/neighbours.ts";
import { layServices, schedulerName, setSchedulerName } from "../../src/table/services.ts";

describe("a lock", () => {
  const words = (): Int32Array => new Int32Array(new SharedArrayBuffer(64));
  const never = (): never => {
    throw new Error("nobody holds it");
  };

  it("is taken at once when it is free, and says by whom", () => {
    const locks = words();
    lock(locks, 3, 7, never);
    expect([...locks.subarray(2, 5)]).toEqual([0, 8, 0]);
    unlock(locks, 3);
    expect(locks[3]).toBe(0);
    lock(locks, 3, 0, never);
    expect(locks[3]).toBe(1);
  });

  it("lets its holder run after much spinning, again and again, until it is free", () => {
    const locks = words();
    lock(locks, 3, 7, never);
    let relaxed = 0;
    lock(locks, 3, 2, () => {
      if (++relaxed === 3) unlock(locks, 3);
    });
    expect(relaxed).toBe(3);
    expect(locks[3]).toBe(3);
  });

  it("of a thread that is gone is opened, another's is not", () => {
    const locks = words();
    for (const [at, owner] of [0, 4, 5, 4, 15].entries()) lock(locks, at, owner, never);
    lock(locks, 15, 4, never);
    expect(breakLocks(locks, 4)).toBe(3);
    expect([...locks]).toEqual([1, 0, 6, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    expect(breakLocks(locks, 4)).toBe(0);
  });
});

describe("the change counter", () => {
  it("is odd while something is written", () => {
    const words = new Int32Array(new SharedArrayBuffer(16));
    const seen = (): [number, boolean] => [generation(words, 2), isChanging(generation(words, 2))];
    expect(seen()).toEqual([0, false]);
    beginChange(words, 2);
    expect(seen()).toEqual([1, true]);
    endChange(words, 2);
    expect(seen()).toEqual([2, false]);
    expect([...words]).toEqual([0, 0, 2, 0]);
  });
});

describe("columns", () => {
  function lay(columns: Columns): (Int32Array | Uint32Array | Float64Array | Uint8Array)[] {
    return [
      columns.int32(3),
      columns.uint8(65),
      columns.float64(9),
      columns.uint32(17),
      columns.uint8(1),
      columns.int32(17),
    ];
  }

  it("begin on a cache line, of which none has two, and are as long as they were measured", () => {
    const measure = new Columns(undefined);
    expect(lay(measure).map((column) => column.length)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(measure.bytes).toBe(64 + 128 + 128 + 128 + 64 + 128);
    const laid = new Columns(new ArrayBuffer(measure.bytes));
    const columns = lay(laid);
    expect(laid.bytes).toBe(measure.bytes);
    expect(columns.map((column) => column.byteOffset)).toEqual([0, 64, 192, 320, 448, 512]);
    expect(columns.map((column) => column.length)).toEqual([3, 65, 9, 17, 1, 17]);
  });
});

describe("a scheduler's name in its service's row", () => {
  it("is read as it was written, up to 15 letters, whatever stood there and stands beside it", () => {
    const measure = new Columns(undefined);
    layServices(measure, 3);
    const services = layServices(new Columns(new ArrayBuffer(measure.bytes)), 3);
    const names = ["wrr", "fifteen-letters", "x", "wlc"];
    for (const name of names) {
      setSchedulerName(services, 0, "neighbour-above");
      setSchedulerName(services, 2, "below");
      setSchedulerName(services, 1, name);
      expect([0, 1, 2].map((s) => schedulerName(services, s))).toEqual(["neighbour-above", name, "below"]);
    }
    setSchedulerName(services, 1, "");
    expect(schedulerName(services, 1)).toBe("");
    setSchedulerName(services, 1, "sixteen-letters!");
    expect(schedulerName(services, 1)).toBe("sixteen-letters!");
  });
});

describe("a neighbour", () => {
  it("can be sent to from its first answer until it failed", () => {
    const states = Object.entries(NeighbourState);
    expect(states.filter(([, state]) => usable(state)).map(([name]) => name)).toEqual([
      "Reachable",
      "Stale",
      "Delay",
      "Probe",
      "Permanent",
    ]);
  });
});
