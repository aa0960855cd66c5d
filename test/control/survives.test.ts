/** kill -9 and a new start, word by word: each thing that is to survive is there again, in tables of any size. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { readCounters } from "../../src/control/counters.ts";
import { directorSum } from "../../src/control/counters-view.ts";
import type { ConnectionListing, ServiceListing } from "../../src/control/model.ts";
import { type OpenRegion, openState } from "../../src/control/region-file.ts";
import type { Sizes } from "../../src/table/region.ts";
import { client, serverOf, tcp, World } from "../dataplane/world.ts";

const SYN = 0x02;
const ACK = 0x10;
const FORMAT = { numeric: true, columns: "plain", exact: true, nosort: true } as const;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "dr-director-survival-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A persistent wrr service with a quiesced, an overloaded and a deleted real server, and connections in many states. */
function busy(shards: number): World {
  const world = new World({ shards, scheduler: "wrr", weights: [3, 1, 2, 4, 1], persistence: 300 });
  world.editServer(2, 1, 5, 2);
  for (let i = 0; i < 80; i++) {
    world.now += 70;
    world.send(tcp({ source: client(i), sourcePort: 40, flags: SYN }));
    if (i % 3 > 0) world.send(tcp({ source: client(i), sourcePort: 40, flags: ACK }));
    if (i % 3 > 1) world.send(tcp({ source: client(i), sourcePort: 40, flags: ACK | 0x01 }));
    if (i % 10 === 0) world.send(tcp({ source: client(i), sourcePort: 41, flags: SYN }));
  }
  world.editServer(3, 0);
  world.deleteServer(5);
  world.run({ kind: "zero", service: world.key });
  world.run({ kind: "setTimeouts", timeouts: { tcp: 77, tcpfin: 33, udp: 22 } });
  world.turn();
  for (let i = 0; i < 20; i++) world.send(tcp({ source: client(i), sourcePort: 40, flags: ACK }));
  return world;
}

function services(world: World): ServiceListing[] {
  const result = world.commands.execute({ kind: "save", numeric: true });
  return result.ok && result.listing?.kind === "services" ? [...result.listing.services] : [];
}

/** Connections and templates, with what is left of their timers. */
function connections(world: World): ConnectionListing[] {
  const result = world.commands.execute({ kind: "list", what: "connections", format: FORMAT });
  const listed = result.ok && result.listing?.kind === "connections" ? [...result.listing.connections] : [];
  return listed.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

function neighbours({ region: { neighbours: table } }: World): unknown[] {
  return [...table.state.keys()]
    .filter((n) => table.state[n] !== 0)
    .map((n) => [table.address[n * 4 + 3], table.state[n], table.macHi[n], table.macLo[n], table.users[n]]);
}

/** Who is chosen for the next new clients. */
function choices(world: World): number[] {
  return Array.from({ length: 12 }, (_, i) =>
    serverOf(world.send(tcp({ source: client(500 + i), sourcePort: 1, flags: SYN }))[0]),
  );
}

const SIZES: [string, Partial<Sizes>][] = [
  ["the same sizes", {}],
  ["one shard", { shards: 1 }],
  ["five shards", { shards: 5 }],
  ["smaller tables", { connections: 128, templates: 100, destinations: 32, services: 4, neighbours: 8 }],
  ["larger tables", { connections: 8192, destinations: 1024, services: 128, shards: 3 }],
];

describe.each(SIZES)("killed and started with %s", (_what, sizes) => {
  let before: World;
  let after: World;
  let state: OpenRegion;

  beforeEach(() => {
    before = busy(2);
    const path = join(folder, "state");
    rmSync(path, { force: true });
    writeFileSync(path, new Uint8Array(before.region.header.buffer.slice(0, before.region.bytes)));
    state = openState(path, { ...before.region.sizes, ...sizes }, before.now);
    after = new World({ region: state.region, resolved: false });
    after.now = before.now;
    return () => state.close();
  });

  test("services, destinations, connections, templates, neighbours, timeouts and counters are as they were", () => {
    expect(state.warnings).toEqual([]);
    expect(services(after)).toEqual(services(before));
    expect(connections(after)).toEqual(connections(before));
    expect(connections(after).filter(({ cport }) => cport === 0)).toHaveLength(80);
    expect(neighbours(after)).toEqual(neighbours(before));
    expect(after.commands.timeouts()).toEqual({ tcp: 77, tcpfin: 33, udp: 22 });
    const { received, verdicts } = readCounters(before.region);
    expect(readCounters(after.region)).toMatchObject({ received, verdicts });
    expect(directorSum(after.region)).toEqual(directorSum(before.region));
  });

  test("the scheduler goes on where it stood, and so does every connection and every client", () => {
    const frames = Array.from({ length: 80 }, (_, i) => [
      tcp({ source: client(i), sourcePort: 40, flags: ACK }),
      tcp({ source: client(i), sourcePort: 99, flags: SYN }),
    ]).flat();
    const answers = (world: World) => frames.map((frame) => serverOf(world.send(frame)[0]));
    const expected = answers(before);
    expect(new Set(expected)).toEqual(new Set([0, 1, 2, 3, 4])); // 0: its server was deleted
    expect(answers(after)).toEqual(expected);
    expect(choices(after)).toEqual(choices(before));
    after.addServer(5); // deleted with connections, it comes back to them
    before.addServer(5);
    expect(answers(after)).toEqual(answers(before));
  });
});
