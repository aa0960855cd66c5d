import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NO_DESTINATION } from "../../src/schedulers/scheduler.ts";
import { Setting } from "../../src/table/settings.ts";
import { Bench, flow, v4 } from "./bench.ts";

const ANY = flow(v4(0x0a010001), v4(0x0a000064));

interface Server {
  weight: number;
  active: number;
  inactive: number;
  overloaded: boolean;
}

const server: fc.Arbitrary<Server> = fc.record({
  weight: fc.oneof(fc.constant(0), fc.constantFrom(1, 2, 3), fc.integer({ min: 1, max: 65_535 })),
  active: fc.oneof(fc.nat(3), fc.nat(1_000_000)),
  inactive: fc.oneof(fc.nat(600), fc.nat(1_000_000)),
  overloaded: fc.boolean(),
});
const servers = fc.array(server, { minLength: 0, maxLength: 12 });

/** The service with these servers in list order, their connections strewn over three shards. */
function build(name: string, list: readonly Server[]): { bench: Bench; rows: number[] } {
  const bench = new Bench(name, { shards: 3 });
  const rows = [...list].reverse().map((s, i) => bench.add(v4(0x0a00000b + i), s.weight));
  rows.reverse();
  for (const [i, s] of list.entries()) {
    const third = Math.floor(s.active / 3);
    bench.count(rows[i]!, third, s.inactive, 0);
    bench.count(rows[i]!, s.active - third, 0, 2);
    bench.region.destinations.overload[rows[i]!] = s.overloaded ? 1 : 0;
  }
  return { bench, rows };
}

/** Of the servers that may be taken, the index of the first with the smallest cost; fractions as exact BigInts. */
function cheapest(list: readonly Server[], cost: (s: Server) => [bigint, bigint]): number {
  let best = -1;
  for (const [i, s] of list.entries()) {
    if (s.weight === 0 || s.overloaded) continue;
    const [n, d] = cost(s);
    const [bestN, bestD] = best < 0 ? [1n, 0n] : cost(list[best]!);
    if (n * bestD < bestN * d || best < 0) best = i;
  }
  return best;
}

const BOOK: Record<string, (list: readonly Server[], active: bigint) => number> = {
  lc: (list, active) => cheapest(list, (s) => [active * BigInt(s.active) + BigInt(s.inactive), 1n]),
  wlc: (list, active) =>
    cheapest(list, (s) => [active * BigInt(s.active) + BigInt(s.inactive), BigInt(s.weight)]),
  sed: (list) => cheapest(list, (s) => [BigInt(s.active) + 1n, BigInt(s.weight)]),
  nq: (list) => {
    const idle = list.findIndex((s) => s.weight > 0 && !s.overloaded && s.active === 0);
    return idle >= 0 ? idle : cheapest(list, (s) => [BigInt(s.active) + 1n, BigInt(s.weight)]);
  },
  fo: (list) => cheapest(list, (s) => [-BigInt(s.weight), 1n]),
  ovf: (list) => {
    const room = list.map((s) => ({ ...s, overloaded: s.overloaded || s.active > s.weight }));
    return cheapest(room, (s) => [-BigInt(s.weight), 1n]);
  },
};

describe.each(Object.keys(BOOK))("%s", (name) => {
  it("takes the server that brute force finds, of equals the one added last", () => {
    fc.assert(
      fc.property(servers, fc.boolean(), (list, newer) => {
        const { bench, rows } = build(name, list);
        bench.region.settings[Setting.overhead_257] = newer ? 1 : 0;
        const index = BOOK[name]!(list, newer ? 257n : 256n);
        expect(bench.schedule(ANY)).toBe(index < 0 ? NO_DESTINATION : rows[index]!);
      }),
      { numRuns: 300 },
    );
  });
});

describe("ovf", () => {
  it("gives each server one more than its weight, heaviest first, then refuses", () => {
    const bench = new Bench("ovf");
    const light = bench.add(v4(0x0a00000b), 1);
    const heavy = bench.add(v4(0x0a00000c), 2);
    const taken: number[] = [];
    for (let i = 0; i < 6; i++) {
      const d = bench.schedule(ANY);
      taken.push(d);
      if (d !== NO_DESTINATION) bench.count(d, 1, 0);
    }
    expect(taken).toEqual([heavy, heavy, heavy, light, light, NO_DESTINATION]);
  });
});
