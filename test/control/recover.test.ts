import { describe, expect, test } from "vitest";
import { rebaseClock, recoverRegion, recoverShard } from "../../src/control/recover.ts";
import { Shard } from "../../src/dataplane/shard.ts";
import { Verdict } from "../../src/dataplane/verdict.ts";
import { MemoryRing } from "../../src/ring/memory-ring.ts";
import {
  C_DESTINATION,
  C_NEXT,
  C_STATUS,
  C_TIMER_NEXT,
  C_TIMER_PREV,
  ROW_SHIFT,
  TICK,
} from "../../src/table/connections.ts";
import { ShardCount } from "../../src/table/counters.ts";
import { generation } from "../../src/table/generation.ts";
import { Header } from "../../src/table/region.ts";
import { client, serverOf, tcp, World } from "../dataplane/world.ts";

const SYN = 0x02;
const ACK = 0x10;

/** A world with `flows` established connections; who serves each of them. */
function busy(
  flows: number,
  options: ConstructorParameters<typeof World>[0] = {},
): { world: World; servers: number[] } {
  const world = new World(options);
  const servers = Array.from({ length: flows }, (_, i) => {
    const flow = { source: client(i), sourcePort: 2000 + i };
    const first = serverOf(world.send(tcp({ ...flow, flags: SYN }))[0]);
    world.send(tcp({ ...flow, flags: ACK }));
    return first;
  });
  return { world, servers };
}

const tick = (world: World): number => world.now / TICK;

/** Everything that is told from the rows is filled with nonsense. */
function tear(world: World): void {
  for (const { connections, counters } of world.region.shards) {
    connections.heads.fill(77);
    for (let row = 0; row < connections.high; row++) {
      const at = row << ROW_SHIFT;
      connections.rows[at + C_NEXT] = 12;
      connections.rows[at + C_TIMER_NEXT] = 3;
      connections.rows[at + C_TIMER_PREV] = 5;
    }
    counters.active.fill(9);
    counters.inactive.fill(-3);
  }
}

/** New threads over the old region, as after a restart. */
function restart(world: World): void {
  world.shards.forEach((_, i) => {
    world.rings[i] = new MemoryRing({ slots: 512 });
    world.shards[i] = new Shard(world.region, i, world.rings[i]!, {});
  });
}

describe("after the process died", () => {
  test.each([1, 3])("every connection goes on with its real server, with %i shards", (shards) => {
    const { world, servers } = busy(120, { shards });
    const before = world.census();
    tear(world);
    recoverRegion(world.region, tick(world));
    restart(world);
    expect(world.census()).toEqual(before);
    servers.forEach((server, i) => {
      const [sent] = world.send(tcp({ source: client(i), sourcePort: 2000 + i, flags: ACK }));
      expect(serverOf(sent)).toBe(server);
    });
  });

  test("connections that stood in the half-open queue stand there again and can be evicted", () => {
    const world = new World({ connections: 16 });
    for (let i = 0; i < 16; i++) world.send(tcp({ source: client(i), sourcePort: 9, flags: SYN }));
    tear(world);
    recoverRegion(world.region, tick(world));
    restart(world);
    expect(serverOf(world.send(tcp({ source: client(99), sourcePort: 9, flags: SYN }))[0])).toBeGreaterThan(
      0,
    );
    expect(world.region.shards[0]!.counters.shard[ShardCount.Evicted]).toBe(1);
  });

  test("timers run out as before", () => {
    const { world } = busy(10);
    tear(world);
    recoverRegion(world.region, tick(world));
    restart(world);
    world.now += 899_000;
    world.turn();
    expect(world.region.shards[0]!.connections.live).toBe(10);
    world.now += 2_000;
    world.turn();
    expect(world.region.shards[0]!.connections.live).toBe(0);
    expect([...world.census().values()].every(({ active, inactive }) => active === 0 && inactive === 0)).toBe(
      true,
    );
  });

  test("templates are found again, and know how many connections hang on them", () => {
    const { world } = busy(0, { persistence: 300 });
    const [first] = world.send(tcp({ source: client(1), sourcePort: 1, flags: SYN }));
    world.send(tcp({ source: client(1), sourcePort: 2, flags: SYN }));
    world.region.templates.heads.fill(5);
    world.region.templates.controlled.fill(70);
    world.region.destinations.persistent.fill(70);
    recoverRegion(world.region, tick(world));
    restart(world);
    expect(world.region.templates.live).toBe(1);
    expect(world.region.templates.controlled[0]).toBe(2);
    expect(world.region.destinations.persistent.reduce((sum, n) => sum + n, 0)).toBe(1);
    expect(serverOf(world.send(tcp({ source: client(1), sourcePort: 3, flags: SYN }))[0])).toBe(
      serverOf(first),
    );
  });

  test("frames that waited are settled: received is the sum of the verdicts again", () => {
    const world = new World({ resolved: false });
    world.send(tcp({ source: client(1), sourcePort: 1, flags: SYN }));
    expect(world.verdicts()).toEqual({ Waiting: 1 });
    world.region.shards[0]!.counters.shard[ShardCount.Received]! += 7; // died before it counted these
    recoverRegion(world.region, tick(world));
    const { received, verdicts } = world.balance();
    expect(received).toBe(verdicts);
    expect(world.region.shards[0]!.counters.verdict[Verdict.Waiting]).toBe(0);
  });

  test("no lock stays closed and no neighbour generation odd", () => {
    const { world } = busy(1);
    world.region.services.lock[0] = 1;
    world.region.header[Header.TemplateLock] = 3;
    world.region.header[Header.NeighbourGeneration]! |= 1;
    recoverRegion(world.region, tick(world));
    expect(world.region.services.lock[0]).toBe(0);
    expect(world.region.header[Header.TemplateLock]).toBe(0);
    expect(generation(world.region.header, Header.NeighbourGeneration) % 2).toBe(0);
  });

  test("a row that points nowhere is dropped, the others stay", () => {
    const { world } = busy(5);
    const { connections } = world.region.shards[0]!;
    connections.rows[(2 << ROW_SHIFT) + C_DESTINATION] = 99_999;
    recoverRegion(world.region, tick(world));
    expect(connections.live).toBe(4);
    expect(connections.rows[(2 << ROW_SHIFT) + C_STATUS]).toBe(0);
  });
});

describe("after one shard died", () => {
  test("its locks are open, its table whole; the others' are untouched", () => {
    const { world, servers } = busy(90, { shards: 3 });
    const others = [0, 2].map((i) => world.region.shards[i]!.connections.rows.slice());
    world.region.services.lock[0] = 2; // shard 1 holds it
    world.region.services.lock[1] = 1; // shard 0 does
    world.region.header[Header.TemplateLock] = 2;
    world.region.shards[1]!.connections.heads.fill(3);
    world.region.shards[1]!.counters.active.fill(50);
    expect(recoverShard(world.region, 1, tick(world))).toBe(2);
    expect([...world.region.services.lock.slice(0, 2)]).toEqual([0, 1]);
    expect(world.region.header[Header.TemplateLock]).toBe(0);
    world.region.services.lock[1] = 0;
    expect([0, 2].map((i) => world.region.shards[i]!.connections.rows)).toEqual(others);
    world.shards[1] = new Shard(world.region, 1, world.rings[1]!, {});
    servers.forEach((server, i) => {
      const [sent] = world.send(tcp({ source: client(i), sourcePort: 2000 + i, flags: ACK }));
      expect(serverOf(sent)).toBe(server);
    });
  });
});

describe("after the machine was booted", () => {
  test("a connection has as long to live as it had", () => {
    const { world } = busy(3);
    world.now += 500_000;
    world.turn();
    const boot = 5_000; // the new clock
    rebaseClock(world.region, boot, boot / TICK);
    recoverRegion(world.region, boot / TICK);
    restart(world);
    world.now = boot + 395_000;
    world.turn();
    expect(world.region.shards[0]!.connections.live).toBe(3);
    world.now = boot + 405_000;
    world.turn();
    expect(world.region.shards[0]!.connections.live).toBe(0);
  });
});
