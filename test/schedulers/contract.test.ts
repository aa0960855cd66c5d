import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BUILT_IN, registerBuiltIn } from "../../src/schedulers/built-in.ts";
import { findScheduler, registerScheduler, schedulerNames } from "../../src/schedulers/registry.ts";
import { NO_DESTINATION } from "../../src/schedulers/scheduler.ts";
import { Bench, flow, v4 } from "./bench.ts";

describe("the registry", () => {
  it("knows the kernel's fourteen after registerBuiltIn, however often it is called", () => {
    registerBuiltIn();
    registerBuiltIn();
    const kernel = "rr wrr lc wlc sh dh sed nq mh lblc lblcr fo ovf twos".split(" ");
    expect([...schedulerNames()].sort()).toEqual(kernel.sort());
    for (const name of kernel) expect(findScheduler(name)?.name).toBe(name);
    expect(findScheduler("nope")).toBeUndefined();
  });

  it("refuses a name that is taken, one that ipvsadm could not carry, and what is no scheduler", () => {
    registerBuiltIn();
    const schedule = (): number => NO_DESTINATION;
    expect(() => registerScheduler({ name: "rr", schedule })).toThrow(/registered already/);
    for (const name of ["", "Mine", "1st", "a-name-too-long-", "sp ace"]) {
      expect(() => registerScheduler({ name, schedule })).toThrow(/up to 15/);
    }
    expect(() => registerScheduler({ name: "half" } as never)).toThrow(/schedule function/);
    for (const key of ["start", "changed", "prepare"]) {
      const broken = { name: "half", schedule, [key]: 5 };
      expect(() => registerScheduler(broken)).toThrow(`its ${key} is not a function`);
    }
  });
});

const event = fc.record({
  kind: fc.constantFrom("connect", "connect", "connect", "end", "weight", "overload", "remove", "add"),
  which: fc.nat(9),
  weight: fc.constantFrom(0, 0, 1, 2, 5, 100),
  address: fc.nat(20),
});

describe.each(BUILT_IN.map((s) => s.name))("%s", (name) => {
  it("only ever chooses a live member that is neither quiesced nor overloaded, if it chooses at all", () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 80 }), fc.constantFrom(0, 8, 16, 24), (events, flags) => {
        const bench = new Bench(name, { shards: 2, flags });
        let added = 0;
        for (const { kind, which, weight, address } of events) {
          const d = bench.members[which];
          if (kind === "add" && bench.members.length < 10) bench.add(v4(0x0a000010 + added++), weight);
          if (kind === "connect") {
            const chosen = bench.schedule(
              flow(v4(0x0a010000 + which * 977), v4(0xc6336400 + address)),
              which % 2,
            );
            if (chosen === NO_DESTINATION) continue;
            expect(bench.members).toContain(chosen);
            expect(bench.region.destinations.weight[chosen]).toBeGreaterThan(0);
            // lblc's cache does not look at thresholds: neither does the kernel's.
            if (name !== "lblc") expect(bench.region.destinations.overload[chosen]).toBe(0);
            bench.count(chosen, 1, 0, which % 2);
          }
          if (d === undefined) continue;
          if (kind === "end" && bench.active(d) > 0) bench.count(d, -1, 1, 0);
          if (kind === "weight") bench.edit(d, weight);
          if (kind === "overload") bench.region.destinations.overload[d] = weight === 0 ? 1 : 0;
          if (kind === "remove") bench.remove(d);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("has nobody for a service without servers, and for one whose servers are all quiesced", () => {
    const bench = new Bench(name);
    const any = flow(v4(0x0a010001), v4(0x0a000064));
    expect(bench.schedule(any)).toBe(NO_DESTINATION);
    bench.add(v4(0x0a00000b), 0);
    bench.add(v4(0x0a00000c), 0);
    expect(bench.schedule(any)).toBe(NO_DESTINATION);
  });

  it("always finds somebody when all servers are available", () => {
    const bench = new Bench(name);
    for (let i = 0; i < 5; i++) bench.add(v4(0x0a00000b + i), i + 1);
    for (let i = 0; i < 200; i++) {
      const chosen = bench.schedule(flow(v4(0x0a010000 + i * 31), v4(0xc6336400 + (i % 40))));
      expect(bench.members).toContain(chosen);
    }
  });
});
