import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PLACES } from "../../src/schedulers/mh.ts";
import { NO_DESTINATION } from "../../src/schedulers/scheduler.ts";
import { ServiceFlag } from "../../src/table/services.ts";
import { Bench, flow, v4, type Words } from "./bench.ts";

const VIP = v4(0x0a000064);

function build(bench: Bench, weights: readonly number[]): number[] {
  return weights.map((weight, i) => bench.add(v4(0x0a00000b + i), weight));
}

function client(n: number): Words {
  return v4(0x0a010000 + Math.imul(n, 0x9e37));
}

function choices(bench: Bench, clients: number, shard = 0): number[] {
  return Array.from({ length: clients }, (_, i) => bench.schedule(flow(client(i), VIP, 4, 1024 + i), shard));
}

describe.each(["sh", "dh", "mh"])("%s", (name) => {
  it("decides alike in every shard, at any time, whatever the connections are", () => {
    const bench = new Bench(name, { shards: 3 });
    const rows = build(bench, [3, 2, 1]);
    const first = choices(bench, 300);
    for (const d of rows) bench.count(d, 1000 + d, d, 1);
    expect(choices(bench, 300, 1)).toEqual(first);
    expect(choices(bench, 300, 2)).toEqual(first);
  });

  it("has nobody for a service without servers", () => {
    expect(new Bench(name).schedule(flow(client(1), VIP))).toBe(NO_DESTINATION);
  });

  it("refuses the clients of an overloaded or quiesced server, and nobody else's", () => {
    const bench = new Bench(name);
    const [, rs2] = build(bench, [2, 2, 2]) as [number, number, number];
    const target = name === "dh" ? bench.schedule(flow(client(1), VIP)) : rs2;
    const before = choices(bench, 500);
    bench.region.destinations.overload[target] = 1;
    expect(choices(bench, 500)).toEqual(before.map((d) => (d === target ? NO_DESTINATION : d)));
    bench.region.destinations.overload[target] = 0;
    if (name === "sh") return; // its buckets are dealt out anew when the weight changes
    bench.edit(target, 0);
    expect(choices(bench, 500)).toEqual(before.map((d) => (d === target ? NO_DESTINATION : d)));
  });
});

describe.each(["sh", "mh"])("%s with its flags", (name) => {
  it("falls back to an available server as long as there is one, and keeps the others' clients", () => {
    const bench = new Bench(name, { flags: ServiceFlag.Sched1 });
    const [rs1, rs2, rs3] = build(bench, [1, 1, 1]) as [number, number, number];
    const before = choices(bench, 400);
    bench.region.destinations.overload[rs2] = 1;
    const after = choices(bench, 400);
    expect(after.every((d) => d === rs1 || d === rs3)).toBe(true);
    expect(after.filter((d, i) => before[i] !== rs2 && d !== before[i])).toEqual([]);
    bench.region.destinations.overload.fill(1);
    expect(choices(bench, 20).every((d) => d === NO_DESTINATION)).toBe(true);
  });

  it("regards the client's port only when told to", () => {
    const without = new Bench(name);
    const withPort = new Bench(name, { flags: ServiceFlag.Sched2 });
    build(without, [1, 1, 1, 1]);
    build(withPort, [1, 1, 1, 1]);
    const ports = Array.from({ length: 64 }, (_, i) => flow(client(1), VIP, 4, 40_000 + i));
    expect(new Set(ports.map((f) => without.schedule(f))).size).toBe(1);
    expect(new Set(ports.map((f) => withPort.schedule(f))).size).toBe(4);
  });

  it("folds all four words of an IPv6 address", () => {
    const bench = new Bench(name, { family: 6 });
    for (let i = 1; i <= 4; i++) bench.add([0x20010db8, 0, 0, 0x10 + i], 1);
    for (let word = 0; word < 4; word++) {
      const seen = new Set<number>();
      for (let i = 0; i < 64; i++) {
        const words: [number, number, number, number] = [0x20010db8, 0, 0, 1];
        words[word]! += i * 0x0101;
        seen.add(bench.schedule(flow(words, [0x20010db8, 0, 0, 0x100], 6)));
      }
      expect(seen.size).toBeGreaterThan(1);
    }
  });
});

describe("dh", () => {
  it("keeps one virtual address on one server and uses them all for many", () => {
    const bench = new Bench("dh");
    build(bench, [1, 9, 1]);
    const at = (address: number, n: number): number => bench.schedule(flow(client(n), v4(address)));
    const seen = new Set<number>();
    for (let a = 0; a < 64; a++) {
      const d = at(0xc6336400 + a, 0);
      seen.add(d);
      expect([1, 2, 3].map((n) => at(0xc6336400 + a, n))).toEqual([d, d, d]);
    }
    expect(seen.size).toBe(3);
  });
});

describe("mh", () => {
  const weights = fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 2, maxLength: 30 });

  function shares(bench: Bench): Map<number, number> {
    const shares = new Map<number, number>();
    for (const d of bench.views[0]!.plan as Int32Array) shares.set(d, (shares.get(d) ?? 0) + 1);
    return shares;
  }

  it("fills its whole table, in proportion to the weights", () => {
    fc.assert(
      fc.property(weights, (list) => {
        const bench = new Bench("mh");
        const rows = build(bench, list);
        const sum = list.reduce((a, b) => a + b);
        const places = shares(bench);
        expect([...places.values()].reduce((a, b) => a + b)).toBe(PLACES);
        // Round after round each claims its turns; only the last, incomplete round makes a difference.
        for (const [i, d] of rows.entries()) {
          const fair = (PLACES * list[i]!) / sum;
          expect(Math.abs((places.get(d) ?? 0) - fair)).toBeLessThanOrEqual(list[i]!);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("is made by the weights' ratio, and by nobody who is gone", () => {
    const tableOf = (weights: readonly number[], gone?: number): unknown => {
      const bench = new Bench("mh");
      const rows = build(bench, gone === undefined ? [0, ...weights] : [gone, ...weights]);
      bench.remove(rows[0]!);
      return bench.views[0]!.plan;
    };
    const table = tableOf([2, 1]);
    expect(tableOf([200, 100])).toEqual(table);
    expect(tableOf([2, 1], 65_535)).toEqual(table);
    expect(tableOf([2, 1], 3)).toEqual(table);
  });

  it("moves fewer than 3 in 100 of the other servers' clients when one goes", () => {
    fc.assert(
      fc.property(fc.integer({ min: 3, max: 30 }), fc.nat(), (n, which) => {
        const bench = new Bench("mh");
        const rows = build(bench, new Array<number>(n).fill(1));
        const before = [...(bench.views[0]!.plan as Int32Array)];
        const gone = rows[which % n]!;
        bench.remove(gone);
        const after = bench.views[0]!.plan as Int32Array;
        const moved = before.filter((d, i) => d !== gone && d !== after[i]).length;
        // Maglev's table is not perfectly stable (the paper, section 5.3, measures it); with 30 servers and 4093
        // places 2.5 % at the most change needlessly. Dealt out anew, as sh does, (n - 1) / n would.
        expect(moved / PLACES).toBeLessThan(0.03);
        expect([...after].includes(gone)).toBe(false);
      }),
      { numRuns: 60 },
    );
  });

  it("moves nobody when a server is quiesced and woken again", () => {
    const bench = new Bench("mh", { flags: ServiceFlag.Sched1 });
    const [, rs2] = build(bench, [3, 2, 1]) as [number, number, number];
    const before = choices(bench, 400);
    bench.edit(rs2, 0);
    const during = choices(bench, 400);
    expect(during.filter((d, i) => before[i] !== rs2 && d !== before[i])).toEqual([]);
    expect(during.includes(rs2)).toBe(false);
    bench.edit(rs2, 2);
    expect(choices(bench, 400)).toEqual(before);
  });

  it("gives no place to a server that never had a weight, and has nobody when none ever had", () => {
    const bench = new Bench("mh");
    const [rs1] = build(bench, [0, 0]) as [number, number];
    expect(bench.schedule(flow(client(1), VIP))).toBe(NO_DESTINATION);
    bench.edit(rs1, 4);
    expect(new Set(choices(bench, 50))).toEqual(new Set([rs1]));
  });

  it("keeps its table when there are more servers than places", () => {
    const bench = new Bench("mh", { destinations: PLACES + 2 });
    const view = bench.views[0]!;
    const first = bench.add(v4(0x0a000001), 1);
    const table = view.plan;
    view.count = PLACES + 1;
    expect(bench.scheduler.prepare!(view)).toBe(table);
    expect((table as Int32Array).every((d) => d === first)).toBe(true);
  });
});
