import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { attachCommands } from "../../src/control/commands.ts";
import { directorSum, zeroDirector } from "../../src/control/counters-view.ts";
import type { ServiceListing } from "../../src/control/model.ts";
import { recoverRegion } from "../../src/control/recover.ts";
import { rehome } from "../../src/control/rehome.ts";
import { Shard } from "../../src/dataplane/shard.ts";
import { MemoryRing } from "../../src/ring/memory-ring.ts";
import { TICK } from "../../src/table/connections.ts";
import {
  createRegion,
  Header,
  type Region,
  RegionError,
  regionBytes,
  type Sizes,
} from "../../src/table/region.ts";
import { client, serverOf, tcp, World } from "../dataplane/world.ts";

const SYN = 0x02;
const ACK = 0x10;

function listing(region: Region, now: number): ServiceListing[] {
  const result = attachCommands(region, { now: () => now }).execute({ kind: "save", numeric: true });
  return result.ok && result.listing?.kind === "services" ? [...result.listing.services] : [];
}

/** A director of other sizes over the same state. */
function move(world: World, sizes: Partial<Sizes>): { region: Region; lost: number; connections: number } {
  const all = { ...world.region.sizes, ...sizes };
  const seed = world.region.header[Header.Seed]!;
  const region = createRegion(new ArrayBuffer(regionBytes(all)), all, seed, world.now / TICK);
  const moved = rehome(world.region, region);
  recoverRegion(region, world.now / TICK);
  return { region, ...moved };
}

/** Sends a frame to the shard that the fanout would choose, or to any other one. */
function forward(region: Region, now: number) {
  const rings = region.shards.map(() => new MemoryRing({ slots: 512 }));
  const shards = rings.map((ring, i) => new Shard(region, i, ring, {}));
  return (frame: Uint8Array): number => {
    rings[0]!.inject(frame);
    for (let round = 0; round < 4; round++) for (const shard of shards) shard.turn(now);
    return serverOf(rings.flatMap((ring) => ring.takeSent())[0]);
  };
}

/** Long enough, and looked through often enough, for every deleted destination without connections to be gone. */
function emptyTrash(world: World): void {
  for (let minutes = 0; minutes < 6; minutes++) {
    world.now += 61_000;
    world.turn();
    world.commands.sweep(world.now);
  }
}

describe("re-homing", () => {
  test("from any number of shards to any other, every connection keeps its real server and every count its value", () => {
    const shards = fc.integer({ min: 1, max: 5 });
    fc.assert(
      fc.property(shards, shards, fc.integer({ min: 1, max: 60 }), (from, to, flows) => {
        const world = new World({ shards: from, scheduler: "wlc" });
        const servers = Array.from({ length: flows }, (_, i) => {
          const flow = { source: client(i), sourcePort: 3000 + i };
          return serverOf(world.send(tcp({ ...flow, flags: SYN }))[0]);
        });
        const before = listing(world.region, world.now);
        const { region, lost, connections } = move(world, { shards: to, connections: 1024 });
        expect({ lost, connections }).toEqual({ lost: 0, connections: flows });
        expect(listing(region, world.now)).toEqual(before);
        const send = forward(region, world.now);
        servers.forEach((server, i) => {
          expect(send(tcp({ source: client(i), sourcePort: 3000 + i, flags: ACK }))).toBe(server);
        });
      }),
      { numRuns: 25 },
    );
  });

  test("rr takes its turn where it stood", () => {
    const world = new World({ shards: 1 });
    const first = [1, 2].map((i) =>
      serverOf(world.send(tcp({ source: client(i), sourcePort: 1, flags: SYN }))[0]),
    );
    const { region } = move(world, { shards: 2, destinations: 512 });
    const send = forward(region, world.now);
    const then = [3, 4].map((i) => send(tcp({ source: client(i), sourcePort: 1, flags: SYN })));
    expect([...first, ...then]).toEqual([3, 2, 1, 3]);
  });

  test("templates come along, with what hangs on them", () => {
    const world = new World({ shards: 2, persistence: 300 });
    const server = serverOf(world.send(tcp({ source: client(7), sourcePort: 1, flags: SYN }))[0]);
    const { region } = move(world, { shards: 3, templates: 64 });
    expect(region.templates.live).toBe(1);
    expect(region.templates.controlled[0]).toBe(1);
    const send = forward(region, world.now);
    for (const port of [2, 3, 4])
      expect(send(tcp({ source: client(7), sourcePort: port, flags: SYN }))).toBe(server);
  });

  test("what does not fit is counted, not silently gone", () => {
    const world = new World();
    for (let i = 0; i < 40; i++) world.send(tcp({ source: client(i), sourcePort: 1, flags: SYN }));
    const { lost, connections } = move(world, { connections: 16 });
    expect({ lost, connections }).toEqual({ lost: 24, connections: 16 });
  });

  test("tables too small for the services themselves are refused with the reason", () => {
    const world = new World();
    expect(() => move(world, { destinations: 2 })).toThrow(
      new RegionError("it holds more than 2 destinations"),
    );
  });

  test("destinations in high rows are renumbered when the table shrinks", () => {
    const world = new World();
    for (let n = 5; n < 60; n++) {
      world.addServer(n);
      world.deleteServer(n);
    }
    world.now += 60_000;
    world.commands.sweep(world.now);
    world.now += 120_000;
    world.commands.sweep(world.now);
    world.addServer(4);
    expect(world.region.destinations.life.findLastIndex((life) => life !== 0)).toBeGreaterThan(40);
    const before = listing(world.region, world.now);
    const { region } = move(world, { destinations: 40 });
    expect(listing(region, world.now)).toEqual(before);
  });

  test.each(["rr", "wrr"])(
    "%s takes its turn where it stood though its destinations are renumbered",
    (scheduler) => {
      const world = new World({ scheduler, weights: [1, 1, 1] });
      for (let n = 5; n < 60; n++) {
        world.addServer(n);
        world.deleteServer(n);
      }
      emptyTrash(world);
      for (const n of [4, 5]) world.addServer(n);
      world.deleteServer(1);
      world.resolveAll();
      world.turn();
      const one = (i: number) => tcp({ source: client(i), sourcePort: 1, flags: SYN });
      for (const i of [1, 2]) world.send(one(i));
      const { region } = move(world, { destinations: 40 });
      const send = forward(region, world.now);
      const there = [3, 4, 5, 6, 7].map((i) => send(one(i)));
      expect(there).toEqual([3, 4, 5, 6, 7].map((i) => serverOf(world.send(one(i))[0])));
      expect(new Set(there).size).toBe(4);
    },
  );

  test("the director's sum does not fall when rows that had counted are gone, and keeps its zero", () => {
    const world = new World();
    for (let n = 4; n < 60; n++) world.addServer(n);
    world.resolveAll();
    world.turn();
    for (let i = 0; i < 120; i++) world.send(tcp({ source: client(i), sourcePort: 1, flags: SYN }));
    zeroDirector(world.region);
    for (let i = 0; i < 30; i++) world.send(tcp({ source: client(i), sourcePort: 2, flags: SYN }));
    for (let n = 4; n < 60; n++) world.deleteServer(n);
    world.now += 301_000; // the connections are over
    emptyTrash(world);
    expect(world.region.destinations.life.reduce((used, life) => used + (life === 0 ? 0 : 1), 0)).toBe(3);
    const before = directorSum(world.region);
    expect(before[0]).toBe(30);
    const { region } = move(world, { destinations: 20 });
    expect(directorSum(region)).toEqual(before);
  });
});
