/** Any sequence of commands and frames: several shards decide as one does, and rr is fair. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { listConnections } from "../../src/control/connection-listing.ts";
import { ServiceFlag } from "../../src/table/services.ts";
import { TCP_FLAGS } from "../../src/wire/tcp.ts";
import { client, serverOf, tcp, World, type WorldOptions } from "./world.ts";

const { SYN, ACK, FIN, RST } = TCP_FLAGS;
const SERVERS = 5;

type Step =
  | { do: "add" | "edit"; n: number; weight: number; upper: number }
  | { do: "delete"; n: number }
  | { do: "set"; name: "conn_reuse_mode" | "expire_nodest_conn" | "sloppy_tcp"; value: number }
  | { do: "wait"; seconds: number }
  | { do: "frames"; from: number; flags: number; count: number };

const n = fc.integer({ min: 1, max: SERVERS });
const weight = fc.integer({ min: 0, max: 4 });
const upper = fc.constantFrom(0, 0, 0, 3);
const command: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constantFrom("add" as const, "edit" as const, "edit" as const), n, weight, upper }),
  fc.record({ do: fc.constant("delete" as const), n }),
);
const frames: fc.Arbitrary<Step> = fc.record({
  do: fc.constant("frames" as const),
  from: fc.nat(40),
  flags: fc.constantFrom(SYN, SYN, SYN, ACK, FIN | ACK, RST),
  count: fc.integer({ min: 1, max: 8 }),
});
const setting: fc.Arbitrary<Step> = fc.record({
  do: fc.constant("set" as const),
  name: fc.constantFrom("conn_reuse_mode" as const, "expire_nodest_conn" as const, "sloppy_tcp" as const),
  value: fc.nat(2),
});
const wait: fc.Arbitrary<Step> = fc.record({
  do: fc.constant("wait" as const),
  seconds: fc.integer({ min: 1, max: 200 }),
});
const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: frames },
    { weight: 3, arbitrary: command },
    { weight: 1, arbitrary: setting },
    { weight: 1, arbitrary: wait },
  ),
  { minLength: 10, maxLength: 50 },
);

/** A service with servers 1, 2 and 3, and which of the five there are now, with their weights. */
class Director {
  readonly world: World;
  readonly weights = new Map([1, 2, 3].map((each) => [each, 1]));
  #frames = 0;

  constructor(options: WorldOptions, flags = 0) {
    this.world = new World(options);
    if (flags === 0) return;
    const { scheduler = "rr", persistence = 0 } = options;
    const spec = { key: this.world.key, scheduler, flags, persistence };
    const service = { ...spec, netmask: "255.255.255.255", onePacket: false };
    this.world.run({ kind: "editService", service });
  }

  /** Carries a step out; what it led to, in words that do not tell how many shards there are. */
  take(step: Step): string {
    const { world, weights } = this;
    if (step.do === "frames") return this.frames(step.from, step.flags, step.count).join(" ");
    if (step.do === "set") world.set(step.name, step.value);
    else if (step.do === "wait") this.wait(step.seconds * 1000);
    else if (step.do === "delete") {
      if (weights.delete(step.n)) world.deleteServer(step.n);
    } else if (step.do === "add" && !weights.has(step.n)) {
      world.addServer(step.n, step.weight, step.upper);
      world.resolveAll();
      weights.set(step.n, step.weight);
    } else if (step.do === "edit" && weights.has(step.n)) {
      world.editServer(step.n, step.weight, step.upper);
      weights.set(step.n, step.weight);
    }
    world.turn();
    return "";
  }

  /** Frames of as many clients, each by another shard's ring; the servers they went to. */
  frames(from: number, flags: number, count: number): number[] {
    const { world } = this;
    return Array.from({ length: count }, (_, k) => {
      const frame = tcp({ source: client(from + k), sourcePort: 1000 + (from % 3), flags });
      return serverOf(world.send(frame, this.#frames++ % world.shards.length)[0]);
    });
  }

  /** Connections end before templates do, as with one shard: the first shard, which has these, comes last. */
  wait(milliseconds: number): void {
    const { world } = this;
    world.now += milliseconds;
    for (const shard of [...world.shards].reverse()) shard.turn(world.now);
    world.commands.sweep(world.now);
  }

  /** The connection table as listed, and the servers' counts. */
  tables(): string[] {
    const { region, now } = this.world;
    const rows = [...listConnections(region, now)].map((row) => JSON.stringify(row));
    const counts = [...this.world.census()]
      .map(([d, { active, inactive }]) => `${region.destinations.address[d * 4 + 3]}: ${active}+${inactive}`)
      .filter((line) => !line.endsWith(" 0+0"));
    return [...rows, ...counts].sort();
  }
}

const { Sched1: FALLBACK, Sched2: PORT } = ServiceFlag;
const CASES: [scheduler: string, flags: number][] = [
  ...["rr", "wrr", "lc", "wlc", "sed", "nq", "fo", "ovf", "twos", "dh"].map((name): [string, number] => [
    name,
    0,
  ]),
  ...["sh", "mh"].flatMap((name) =>
    [0, FALLBACK, PORT, FALLBACK | PORT].map((flags): [string, number] => [name, flags]),
  ),
];

describe.each(CASES)("%s with flags %i", (scheduler, flags) => {
  it("decides with several shards as with one, frame for frame, whatever is added, weighed, deleted and ended meanwhile", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(2, 3, 4),
        fc.boolean(),
        fc.constantFrom(0, 0, 50),
        steps,
        (shards, byArrival, persistence, list) => {
          const one = new Director({ scheduler, persistence }, flags);
          const many = new Director({ scheduler, persistence, shards, byArrival }, flags);
          for (const step of list) {
            const decided = many.take(step);
            expect(decided).toBe(one.take(step));
            expect(many.tables()).toEqual(one.tables());
          }
        },
      ),
      { numRuns: 25 },
    );
  });
});

describe("rr", () => {
  it("gives everybody that is available the same number of turns, give or take one, between any two changes", () => {
    fc.assert(
      fc.property(fc.constantFrom(1, 3), steps, (shards, list) => {
        const director = new Director({ shards });
        let fresh = 0;
        for (const step of list) {
          // Thresholds and connections that go on have their own tests.
          if (step.do === "frames" || step.do === "set") continue;
          director.take(step.do === "wait" || step.do === "delete" ? step : { ...step, upper: 0 });
          const turns = new Map<number, number>();
          for (const [server, weight] of director.weights) if (weight > 0) turns.set(server, 0);
          for (const server of director.frames(1000 + 100 * fresh++, SYN, 2 * turns.size + 1)) {
            if (turns.size === 0) expect(server).toBe(0);
            else turns.set(server, turns.get(server)! + 1);
          }
          const counts = [...turns.values()];
          if (counts.length > 0) expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
        }
      }),
      { numRuns: 150 },
    );
  });
});
