import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NO_DESTINATION } from "../../src/schedulers/scheduler.ts";
import { Bench, flow, v4 } from "./bench.ts";

const ANY = flow(v4(0x0a010001), v4(0x0a000064));

function server(n: number): readonly [number, number, number, number] {
  return v4(0x0a00000a + n);
}

/** A service whose members are rs1, rs2 … added in that order; gives their rows. */
function build(bench: Bench, weights: readonly number[]): number[] {
  return weights.map((weight, i) => bench.add(server(i + 1), weight));
}

function take(bench: Bench, n: number): number[] {
  return Array.from({ length: n }, () => bench.schedule(ANY));
}

describe("rr", () => {
  it("begins with the server that was added last and goes round", () => {
    const bench = new Bench("rr");
    const [rs1, rs2, rs3] = build(bench, [5, 1, 9]);
    expect(take(bench, 7)).toEqual([rs3, rs2, rs1, rs3, rs2, rs1, rs3]);
  });

  it("gives everybody the same number of turns, whatever the weights", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 65_535 }), { minLength: 1, maxLength: 30 }),
        (weights) => {
          const bench = new Bench("rr");
          const rows = build(bench, weights);
          const taken = take(bench, rows.length * 3);
          for (const d of rows) expect(taken.filter((t) => t === d)).toHaveLength(3);
          expect(taken.slice(0, rows.length)).toEqual(bench.members);
        },
      ),
    );
  });

  it("goes on with the one that would have been next when the last used server is deleted", () => {
    const bench = new Bench("rr");
    const [rs1, rs2, rs3, rs4] = build(bench, [1, 1, 1, 1]) as [number, number, number, number];
    expect(take(bench, 3)).toEqual([rs4, rs3, rs2]);
    bench.remove(rs2);
    expect(take(bench, 4)).toEqual([rs1, rs4, rs3, rs1]);
  });

  it("begins at the head again when the last used server was the head and is deleted", () => {
    const bench = new Bench("rr");
    const [rs1, rs2, rs3] = build(bench, [1, 1, 1]) as [number, number, number];
    expect(take(bench, 1)).toEqual([rs3]);
    bench.remove(rs3);
    expect(take(bench, 3)).toEqual([rs2, rs1, rs2]);
  });

  it("is not disturbed by the deletion, addition or edit of another server", () => {
    const bench = new Bench("rr");
    const [rs1, rs2, rs3, rs4] = build(bench, [1, 1, 1, 1]) as [number, number, number, number];
    expect(take(bench, 2)).toEqual([rs4, rs3]);
    bench.remove(rs4);
    bench.edit(rs3, 9);
    const rs5 = bench.add(server(5), 1);
    expect(take(bench, 5)).toEqual([rs2, rs1, rs5, rs3, rs2]);
  });

  it("comes back to the last used server when it is the only one left", () => {
    const bench = new Bench("rr");
    const [rs1, rs2] = build(bench, [1, 1]) as [number, number];
    expect(take(bench, 1)).toEqual([rs2]);
    bench.edit(rs1, 0);
    expect(take(bench, 2)).toEqual([rs2, rs2]);
    bench.edit(rs2, 0);
    expect(take(bench, 2)).toEqual([NO_DESTINATION, NO_DESTINATION]);
    bench.edit(rs1, 1);
    expect(take(bench, 1)).toEqual([rs1]);
  });

  it("takes strict turns over shards", () => {
    const bench = new Bench("rr", { shards: 4 });
    build(bench, [1, 1, 1]);
    const taken = Array.from({ length: 12 }, (_, i) => bench.schedule(ANY, i % 4));
    expect(taken).toEqual([...bench.members, ...bench.members, ...bench.members, ...bench.members]);
  });
});

/**
 * wrr by the book (IPVS-FACTS 11), one threshold after the other, over a plain list: nothing is skipped. `null` is
 * the list's head.
 */
class WrrByTheBook {
  list: { name: number; weight: number; full: boolean }[] = [];
  last: number | null = null;
  cw = 0;
  mw = 0;
  di = 1;

  changed(): void {
    const weights = this.list.map((d) => d.weight).filter((w) => w > 0);
    const divides = (g: number): boolean => weights.every((w) => w % g === 0);
    this.di = weights.length === 0 ? 1 : Math.min(...weights);
    while (!divides(this.di)) this.di--;
    this.mw = Math.max(0, ...weights) - (this.di - 1);
    this.last = null;
    if (this.cw > this.mw || this.cw === 0) this.cw = this.mw;
    else if (this.di > 1) this.cw = Math.trunc(this.cw / this.di) * this.di + 1;
  }

  schedule(): number {
    if (this.mw === 0) return NO_DESTINATION;
    const start = this.last;
    let at = start === null ? 0 : this.list.findIndex((d) => d.name === start) + 1;
    let lowestPass = false;
    let restarted = false;
    let stop: number | null = null;
    for (;;) {
      for (; at < this.list.length; at++) {
        const d = this.list[at]!;
        if (!d.full && d.weight >= this.cw) {
          this.last = d.name;
          return d.name;
        }
        if (d.name === stop) {
          this.last = d.name;
          return NO_DESTINATION;
        }
      }
      this.cw -= this.di;
      if (this.cw <= 0) {
        this.cw = this.mw;
        if (lowestPass || start === null) {
          this.last = null;
          return NO_DESTINATION;
        }
        restarted = true;
      }
      lowestPass = this.cw <= this.di;
      if (lowestPass && restarted && start !== null) stop = start;
      at = 0;
    }
  }
}

type Action =
  | { kind: "schedule"; times: number }
  | { kind: "add" | "edit" | "remove" | "fill" | "fillAll" | "freeAll"; which: number; weight: number };

const weight = fc.oneof(fc.constantFrom(0, 1, 2, 3, 4, 6, 8, 9, 12, 100), fc.integer({ min: 0, max: 300 }));
const change = fc.record({
  kind: fc.constantFrom("add" as const, "edit" as const, "remove" as const),
  which: fc.nat(7),
  weight,
});
const overload = fc.record({
  kind: fc.constantFrom("fill" as const, "fill" as const, "fillAll" as const, "freeAll" as const),
  which: fc.nat(4),
  weight: fc.constant(0),
});
const schedule = fc.record({
  kind: fc.constant("schedule" as const),
  times: fc.integer({ min: 1, max: 12 }),
});
const few = fc.record({ kind: fc.constant("schedule" as const), times: fc.integer({ min: 1, max: 2 }) });
/** Servers first; then turns and overloads; then everything. */
const actions = fc
  .tuple(
    fc.array(fc.record({ kind: fc.constant("add" as const), which: fc.nat(7), weight }), {
      minLength: 1,
      maxLength: 5,
    }),
    fc.array(fc.oneof(schedule, few, overload), { maxLength: 20 }),
    fc.array(fc.oneof(schedule, few, overload, change), { maxLength: 40 }),
  )
  .map((parts): Action[] => parts.flat());

/** Runs the same on our wrr and on the book's; gives the first difference. */
function compareWithTheBook(actions: readonly Action[]): void {
  const bench = new Bench("wrr");
  const book = new WrrByTheBook();
  for (const step of actions) {
    if (step.kind === "schedule") {
      for (let i = 0; i < step.times; i++) expect(bench.schedule(ANY)).toBe(book.schedule());
      continue;
    }
    if (step.kind === "fillAll" || step.kind === "freeAll") {
      for (const d of book.list) {
        d.full = step.kind === "fillAll";
        bench.region.destinations.overload[d.name] = d.full ? 1 : 0;
      }
      continue;
    }
    const known = book.list[step.which];
    if (step.kind === "add" && book.list.length < 8) {
      const name = bench.add(server(100 + bench.members.length + actions.indexOf(step) * 10), step.weight);
      book.list.unshift({ name, weight: step.weight, full: false });
    } else if (known === undefined || step.kind === "add") continue;
    else if (step.kind === "edit") {
      bench.edit(known.name, step.weight);
      known.weight = step.weight;
      known.full = false;
    } else if (step.kind === "remove") {
      bench.remove(known.name);
      book.list.splice(step.which, 1);
    } else {
      known.full = !known.full;
      bench.region.destinations.overload[known.name] = known.full ? 1 : 0;
      continue;
    }
    book.changed();
  }
}

describe("wrr", () => {
  it("gives 4, 3, 2 as A A B A B C A B C once the threshold is at its top", () => {
    const bench = new Bench("wrr");
    const [c, b, a] = build(bench, [2, 3, 4]);
    take(bench, 9 * 4);
    bench.bind();
    expect(take(bench, 9)).toEqual([a, a, b, a, b, c, a, b, c]);
  });

  it("goes on as the service was built: weights 3, 2, 1 begin with one round at the lowest threshold", () => {
    const bench = new Bench("wrr");
    const [rs1, rs2, rs3] = build(bench, [3, 2, 1]);
    expect(take(bench, 9)).toEqual([rs3, rs2, rs1, rs1, rs2, rs1, rs3, rs2, rs1]);
  });

  it("gives everybody its weight in a full cycle", () => {
    const weights = fc.array(fc.integer({ min: 0, max: 60 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(weights, fc.integer({ min: 1, max: 9 }), (list, common) => {
        const bench = new Bench("wrr");
        const rows = build(
          bench,
          list.map((w) => w * common),
        );
        const divisor = list.reduce((g, w) => gcd(g, w), 0);
        const cycle = divisor === 0 ? 0 : list.reduce((sum, w) => sum + w, 0) / divisor;
        take(bench, cycle + 3); // from anywhere in the cycle
        const taken = take(bench, cycle);
        for (const [i, d] of rows.entries()) {
          expect(taken.filter((t) => t === d)).toHaveLength(cycle === 0 ? 0 : list[i]! / divisor);
        }
      }),
    );
  });

  it("decides as the book says through any additions, edits, deletions and overloads", () => {
    fc.assert(fc.property(actions, compareWithTheBook), {
      numRuns: 1500,
    });
  });

  it("never wakes a quiesced server when all were quiesced and one comes back", () => {
    const bench = new Bench("wrr");
    const [rs1, rs2] = build(bench, [0, 0]) as [number, number];
    expect(take(bench, 2)).toEqual([NO_DESTINATION, NO_DESTINATION]);
    bench.edit(rs1, 1);
    expect(take(bench, 4)).toEqual([rs1, rs1, rs1, rs1]);
    expect(rs2).toBeGreaterThanOrEqual(0);
  });

  it("finds a light server behind an overloaded heavy one without walking 65535 thresholds", () => {
    const bench = new Bench("wrr");
    const light = bench.add(server(1), 1);
    const heavy = bench.add(server(2), 65_535);
    bench.bind();
    bench.region.destinations.overload[heavy] = 1;
    let reads = 0;
    const view = bench.views[0]!;
    view.overloaded = (d) => {
      reads++;
      return bench.region.destinations.overload[d] !== 0;
    };
    expect(bench.schedule(ANY)).toBe(light);
    expect(reads).toBeLessThan(20);
  });

  it("takes its steps from the servers that are there, not from a deleted one", () => {
    const bench = new Bench("wrr");
    const [odd, light, heavy] = build(bench, [3, 4, 8]) as [number, number, number];
    bench.remove(odd);
    // Steps of 4: the heavy one never comes more than twice in a row.
    const taken = take(bench, 30).join("");
    expect(taken).toContain(`${heavy}${heavy}${light}`);
    expect(taken).not.toContain(`${heavy}${heavy}${heavy}`);
  });

  it("looks behind the last one too when the threshold sinks to the lowest", () => {
    const bench = new Bench("wrr");
    const [light, heavy] = build(bench, [1, 2]) as [number, number];
    // One whole cycle brings the threshold to its top.
    while (!take(bench, 3).join("").endsWith(`${heavy}${light}`)) take(bench, 1);
    expect(take(bench, 1)).toEqual([heavy]);
    bench.region.destinations.overload[heavy] = 1;
    expect(take(bench, 2)).toEqual([light, light]);
  });

  it("begins at the head after nobody was found", () => {
    const bench = new Bench("wrr");
    const [rs1, rs2, rs3] = build(bench, [1, 2, 2]) as [number, number, number];
    while (take(bench, 1)[0] !== rs1);
    expect(take(bench, 1)).toEqual([rs3]);
    bench.region.destinations.overload.fill(1);
    expect(take(bench, 1)).toEqual([NO_DESTINATION]);
    bench.region.destinations.overload.fill(0);
    expect(take(bench, 2)).toEqual([rs3, rs2]);
  });

  it("takes strict turns over shards", () => {
    const alone = new Bench("wrr");
    const shared = new Bench("wrr", { shards: 3 });
    build(alone, [3, 2, 7]);
    build(shared, [3, 2, 7]);
    const taken = Array.from({ length: 48 }, (_, i) => shared.schedule(ANY, (i * 5) % 3));
    expect(taken).toEqual(take(alone, 48));
  });
});

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
