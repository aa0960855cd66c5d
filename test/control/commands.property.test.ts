/** Any sequence of commands and frames leaves the tables consistent, and a director that starts again sees the same. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { attachCommands, type Commands } from "../../src/control/commands.ts";
import type { DirectorCommand, ServiceKey, ServiceListing } from "../../src/control/model.ts";
import { VERDICTS } from "../../src/dataplane/verdict.ts";
import { C_DESTINATION, C_STATUS, ConnectionFlag, ROW_SHIFT } from "../../src/table/connections.ts";
import { ShardCount } from "../../src/table/counters.ts";
import { Life } from "../../src/table/destinations.ts";
import { generation } from "../../src/table/generation.ts";
import { createRegion, DEFAULT_SIZES, Header, type Region, regionBytes } from "../../src/table/region.ts";
import { NONE } from "../../src/table/services.ts";
import { client, tcp, World } from "../dataplane/world.ts";

type Action =
  | { do: "command"; command: DirectorCommand }
  | { do: "frame"; client: number; port: number; flags: number }
  | { do: "wait"; seconds: number }
  | { do: "restart" };

const key = (port: number): ServiceKey => ({
  protocol: "tcp",
  family: 4,
  address: "10.0.0.100",
  port,
  mark: 0,
});
const port = fc.integer({ min: 80, max: 82 });
const address = fc.integer({ min: 11, max: 14 }).map((n) => `10.0.0.${n}`);
const server = fc.record({
  address,
  port: fc.constantFrom(80, 81, 82),
  weight: fc.integer({ min: 0, max: 3 }),
  method: fc.constant("route" as const),
  upper: fc.integer({ min: 0, max: 4 }),
  lower: fc.integer({ min: 0, max: 4 }),
});
const service = fc.record({
  key: port.map(key),
  scheduler: fc.constantFrom("rr", "wrr", "wlc", "sh", "mh", "lblc", "nosuch"),
  flags: fc.constantFrom(0, 0x10),
  persistence: fc.constantFrom(0, 0, 30),
  netmask: fc.constantFrom("255.255.255.255", "255.255.255.0"),
  onePacket: fc.constant(false),
});
const command: fc.Arbitrary<DirectorCommand> = fc.oneof(
  service.map((spec) => ({ kind: "addService" as const, service: spec })),
  service.map((spec) => ({ kind: "editService" as const, service: spec })),
  port.map((p) => ({ kind: "deleteService" as const, service: key(p) })),
  fc.tuple(port, server).map(([p, spec]) => ({ kind: "addServer" as const, service: key(p), server: spec })),
  fc.tuple(port, server).map(([p, spec]) => ({ kind: "addServer" as const, service: key(p), server: spec })),
  fc.tuple(port, server).map(([p, spec]) => ({ kind: "editServer" as const, service: key(p), server: spec })),
  fc
    .tuple(port, server)
    .map(([p, spec]) => ({ kind: "deleteServer" as const, service: key(p), server: spec })),
  fc.constant({ kind: "zero" as const }),
  fc.constant({ kind: "clear" as const }),
);
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 6, arbitrary: command.map((each) => ({ do: "command" as const, command: each })) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("frame" as const),
      client: fc.integer({ min: 1, max: 12 }),
      port,
      flags: fc.constantFrom(0x02, 0x02, 0x10, 0x11, 0x04),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 1, max: 400 }).map((seconds) => ({ do: "wait" as const, seconds })),
  },
  { weight: 1, arbitrary: fc.constant({ do: "restart" as const }) },
);

function listing(commands: Commands): ServiceListing[] {
  const answer = commands.list("services");
  return answer.kind === "services" ? [...answer.services] : [];
}

/** Live rows of the connection tables by destination: what the counts must be. */
function recount(region: Region): Map<number, { active: number; inactive: number }> {
  const counts = new Map<number, { active: number; inactive: number }>();
  for (const { connections } of region.shards) {
    for (let row = 0; row < connections.high; row++) {
      if (!connections.isLive(row)) continue;
      const at = row << ROW_SHIFT;
      const d = connections.rows[at + C_DESTINATION]!;
      const of = counts.get(d) ?? { active: 0, inactive: 0 };
      counts.set(d, of);
      of[(connections.rows[at + C_STATUS]! & ConnectionFlag.Inactive) !== 0 ? "inactive" : "active"]++;
    }
  }
  return counts;
}

/** `expect` is too slow for every row at every step. */
function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

function checkCounts(region: Region): void {
  const counts = recount(region);
  const { destinations } = region;
  for (let d = 0; d < destinations.capacity; d++) {
    let active = 0;
    let inactive = 0;
    for (const { counters } of region.shards) {
      active += counters.active[d]!;
      inactive += counters.inactive[d]!;
    }
    const { active: activeRows, inactive: inactiveRows } = counts.get(d) ?? { active: 0, inactive: 0 };
    must(active === activeRows, `${d}: ${active} active, ${activeRows} rows`);
    must(inactive === inactiveRows, `${d}: ${inactive} inactive, ${inactiveRows} rows`);
    must(active + inactive === 0 || destinations.life[d] !== Life.Free, `${d} is free and has connections`);
  }
}

function checkLists(region: Region): void {
  const { services, destinations, neighbours, header } = region;
  const listed = new Set<number>();
  for (let s = 0; s < services.capacity; s++) {
    if (services.live[s] !== 1) continue;
    for (let d = services.first[s]!; d !== NONE; d = destinations.next[d]!) {
      must(!listed.has(d), `${d} is listed twice`);
      must(destinations.service[d] === s, `${d} is listed by ${s} but belongs to ${destinations.service[d]}`);
      listed.add(d);
    }
  }
  const users = new Int32Array(neighbours.capacity);
  for (let d = 0; d < destinations.capacity; d++) {
    must((destinations.life[d] === Life.Live) === listed.has(d), `${d} is live or listed, but not both`);
    if (destinations.life[d] !== Life.Free) users[destinations.neighbour[d]!]!++;
  }
  must(
    users.every((count, n) => count === neighbours.users[n]),
    "neighbours' users are miscounted",
  );
  const live = services.live.reduce((sum, one) => sum + one, 0);
  must(header[Header.Services4] === live, `${live} services, ${header[Header.Services4]} counted`);
  must((generation(header, Header.Generation) & 1) === 0, "a change was left open");
}

function checkVerdicts(region: Region): void {
  for (const { counters } of region.shards) {
    const sum = counters.verdict.slice(0, VERDICTS).reduce((a, b) => a + b, 0);
    expect(sum).toBe(counters.shard[ShardCount.Received]);
  }
}

describe("commands and frames in any order", () => {
  it("leave lists, counts and verdicts consistent, with one shard and with three", () => {
    const property = fc.property(
      fc.constantFrom(1, 3),
      fc.array(action, { minLength: 40, maxLength: 80, size: "max" }),
      (shards, actions) => {
        const world = new World({ shards });
        let { commands } = world;
        for (const step of actions) {
          if (step.do === "command") {
            const before = JSON.stringify(listing(commands));
            const result = commands.execute(step.command);
            if (!result.ok) expect(JSON.stringify(listing(commands))).toBe(before);
          } else if (step.do === "frame") {
            const { port: destinationPort, flags } = step;
            world.send(tcp({ source: client(step.client), sourcePort: 1000, destinationPort, flags }));
          } else if (step.do === "wait") {
            world.now += step.seconds * 1000;
            world.turn();
            commands.sweep(world.now);
          } else {
            const before = listing(commands)
              .map((each) => JSON.stringify(each))
              .sort();
            commands = attachCommands(world.region, { now: () => world.now });
            expect(
              listing(commands)
                .map((each) => JSON.stringify(each))
                .sort(),
            ).toEqual(before);
          }
          checkLists(world.region);
          checkCounts(world.region);
          checkVerdicts(world.region);
        }
      },
    );
    fc.assert(property, { numRuns: 300 });
  });
});

describe("two thousand services with fifty servers each", () => {
  it("are made at a cost per command that does not grow, and listed one by one", () => {
    const sizes = { ...DEFAULT_SIZES, connections: 16, templates: 16 };
    const region = createRegion(new ArrayBuffer(regionBytes(sizes)), sizes, 1, 0);
    const commands = attachCommands(region, {
      now: () => 1,
      schedulers: () => ({ name: "rr", schedule: () => -1 }),
    });
    const serviceOf = (n: number): ServiceKey => ({ ...key(80), address: `10.${n >> 8}.${n & 255}.1` });
    const build = (from: number, to: number): number => {
      const begin = performance.now();
      for (let n = from; n < to; n++) {
        const spec = {
          key: serviceOf(n),
          scheduler: "rr",
          flags: 0,
          persistence: 0,
          netmask: "255.255.255.255",
          onePacket: false,
        };
        expect(commands.execute({ kind: "addService", service: spec }).ok).toBe(true);
        for (let i = 0; i < 50; i++) {
          const server = { address: `10.200.0.${i + 1}`, port: 80, weight: 1, upper: 0, lower: 0 };
          const add = {
            kind: "addServer" as const,
            service: spec.key,
            server: { ...server, method: "route" as const },
          };
          expect(commands.execute(add).ok).toBe(true);
        }
      }
      return performance.now() - begin;
    };
    build(0, 200);
    const early = build(200, 1000);
    const late = build(1200, 2000);
    build(1000, 1200);
    expect(late).toBeLessThan(early * 3 + 500);
    const answer = commands.list("services");
    let servers = 0;
    for (const each of answer.kind === "services" ? answer.services : []) servers += each.servers.length;
    expect(servers).toBe(100_000);
  });
});
