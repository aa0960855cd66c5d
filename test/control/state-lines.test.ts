/** The state as JSON lines: written, read again, and the connections go on where they went before. */
import { expect, test } from "vitest";
import { attachCommands } from "../../src/control/commands.ts";
import type { ServiceListing } from "../../src/control/model.ts";
import { dumpState } from "../../src/control/state-dump.ts";
import { type StateLine, stateLine } from "../../src/control/state-lines.ts";
import { StateLineError, StateLoader } from "../../src/control/state-load.ts";
import { createRegion, Header, type Region, regionBytes } from "../../src/table/region.ts";
import { TCP_FLAGS } from "../../src/wire/tcp.ts";
import { client, serverOf, tcp, World } from "../dataplane/world.ts";

function listing(region: Region, now: number): Iterable<ServiceListing> {
  const services = attachCommands(region, { now: () => now }).list("services");
  return services.kind === "services" ? services.services : [];
}

function dump(region: Region, now: number): StateLine[] {
  const timeouts = attachCommands(region, { now: () => now }).timeouts();
  const lines = dumpState({ region, services: listing(region, now), timeouts, now });
  return [...lines].map((line) => stateLine.parse(JSON.parse(JSON.stringify(line))));
}

function load(lines: readonly StateLine[], sizes: Region["sizes"], now: number): Region {
  const region = createRegion(
    new ArrayBuffer(regionBytes(sizes)),
    sizes,
    0x0dd_5eed,
    Math.floor(now / 10) | 0,
  );
  const loader = new StateLoader(region, now);
  for (const line of lines) loader.take(line);
  loader.finish();
  return region;
}

/** Connections, a template, a server that was deleted with connections, a service that is gone with one. */
function busyWorld(): World {
  const world = new World({ weights: [1, 2, 3], persistence: 300, scheduler: "wrr" });
  for (let n = 1; n <= 20; n++) {
    world.send(tcp({ source: client(n), sourcePort: 1000, flags: TCP_FLAGS.SYN }));
    if (n % 2 === 0) world.send(tcp({ source: client(n), sourcePort: 1000, flags: TCP_FLAGS.ACK }));
  }
  world.deleteServer(2);
  const key = { ...world.key, port: 8080 };
  const spec = { scheduler: "rr", flags: 0, persistence: 0, netmask: "255.255.255.255", onePacket: false };
  world.run({ kind: "addService", service: { key, ...spec } });
  const server = {
    address: "10.0.0.11",
    port: 8080,
    weight: 1,
    method: "route" as const,
    upper: 0,
    lower: 0,
  };
  world.run({ kind: "addServer", service: key, server });
  world.turn();
  world.send(tcp({ source: client(30), sourcePort: 1, destinationPort: 8080, flags: TCP_FLAGS.SYN }));
  world.run({ kind: "deleteService", service: key });
  world.run({ kind: "setTimeouts", timeouts: { tcp: 77, tcpfin: 0, udp: 0 } });
  world.turn();
  return world;
}

/** Lines without what may differ: rows' numbers, the shards, and what was counted by a shard itself. */
function comparable(lines: readonly StateLine[]): string[] {
  const names = new Map<number, string>();
  const templates = new Map<number, string>();
  for (const line of lines) {
    if (line.kind === "server") names.set(line.id, `${line.server.address}:${line.service.port}`);
    if (line.kind === "template") templates.set(line.id, `${line.client} ${line.virtual}`);
  }
  return lines
    .filter(({ kind }) => !["state", "frames", "neighbour"].includes(kind))
    .map((line) => {
      const { id: _id, template, position, ...rest } = line as Record<string, unknown>;
      const [last = 0, ...others] = (position ?? []) as number[];
      const turn = position === undefined ? {} : { position: [last && names.get(last - 1), ...others] };
      const named = "client" in line ? { server: names.get(line.server) } : {};
      const parent = template === undefined ? {} : { template: templates.get(template as number) };
      const status = "status" in line ? { status: line.status & ~0x1800 } : {};
      return JSON.stringify({ ...rest, ...named, ...parent, ...status, ...turn });
    })
    .sort();
}

/** Active, inactive and persistent connections of all destinations. */
function totals({ shards, destinations }: Region): number[] {
  const sum = (columns: Iterable<number>[]) =>
    columns.flatMap((each) => [...each]).reduce((a, b) => a + b, 0);
  const of = (name: "active" | "inactive") => sum(shards.map(({ counters }) => counters[name]));
  return [of("active"), of("inactive"), sum([destinations.persistent])];
}

test("what was written and read is written again the same, into any number of shards", () => {
  const world = busyWorld();
  const lines = dump(world.region, world.now);
  expect(lines.filter(({ kind }) => kind === "connection")).toHaveLength(21);
  expect(lines.filter(({ kind }) => kind === "template").length).toBeGreaterThan(10);
  expect(lines.filter((line) => line.kind === "server" && line.deleted)).toHaveLength(2);
  for (const shards of [1, 3]) {
    const region = load(lines, { ...world.region.sizes, shards }, world.now);
    const again = dump(region, world.now);
    expect(comparable(again)).toEqual(comparable(lines));
    const order = (all: readonly StateLine[]) =>
      all.flatMap((line) => (line.kind === "server" && !line.deleted ? [line.server.address] : []));
    expect(order(again)).toEqual(order(lines));
    const listed = (tables: Region) =>
      [...listing(tables, world.now)].flatMap(({ servers }) => servers.map(({ address }) => address));
    expect(listed(region)).toEqual(listed(world.region));
    expect(totals(region)).toEqual(totals(world.region));
  }
});

test.each(["rr", "wrr", "twos"])(
  "%s goes on choosing where it stood, whatever rows its servers have",
  (scheduler) => {
    const world = new World({ weights: [1, 2, 3, 5], scheduler });
    const free = world.region.destinations.life.indexOf(0);
    for (let n = 1; n <= 5; n++) world.send(tcp({ source: client(n), sourcePort: 1, flags: TCP_FLAGS.SYN }));
    world.deleteServer(1); // the others' rows will be lower
    const lines = dump(world.region, world.now);
    const region = load(lines, world.region.sizes, world.now);
    region.header[Header.Seed] = world.region.header[Header.Seed]!;
    expect(free).toBe(4);
    const there = new World({ region, resolved: false });
    there.now = world.now;
    there.resolveAll();
    const next = (of: World) =>
      Array.from({ length: 12 }, (_, i) =>
        serverOf(of.send(tcp({ source: client(100 + i), sourcePort: 1, flags: TCP_FLAGS.SYN }))[0]),
      );
    const here = next(world);
    expect(new Set(here).size).toBeGreaterThan(1);
    expect(next(there)).toEqual(here);
  },
);

test("an overloaded server stays so between its thresholds, a quiesced one keeps its last weight", () => {
  const world = new World({ weights: [1, 5] });
  world.editServer(1, 1, 4, 2);
  world.editServer(2, 0);
  for (let n = 1; n <= 4; n++) world.send(tcp({ source: client(n), sourcePort: 1, flags: TCP_FLAGS.SYN }));
  world.now += 61_000; // SYN_RECV is over
  world.turn();
  for (let n = 1; n <= 3; n++) world.send(tcp({ source: client(n), sourcePort: 1, flags: TCP_FLAGS.SYN }));
  world.region.destinations.overload[0] = 1; // as if a fourth had just gone
  const region = load(dump(world.region, world.now), world.region.sizes, world.now);
  expect([...region.destinations.overload.slice(0, 2)]).toEqual([1, 0]);
  expect([...region.destinations.lastWeight.slice(0, 2)]).toEqual([1, 5]);
});

test("frames are counted as before: received is the sum of the verdicts", () => {
  const world = busyWorld();
  const lines = dump(world.region, world.now);
  const frames = (all: readonly StateLine[]) => all.find((line) => line.kind === "frames")!;
  const again = frames(dump(load(lines, world.region.sizes, world.now), world.now));
  expect(again.verdicts).toEqual(frames(lines).verdicts);
});

test("IPv6 and marks too", () => {
  const world = new World();
  for (const [key, address] of [
    [{ protocol: "tcp", family: 6, address: "2001:db8::100", port: 80, mark: 0 }, "2001:db8::11"],
    [{ protocol: "fwm", family: 4, address: "0.0.0.0", port: 0, mark: 7 }, "10.0.0.11"],
  ] as const) {
    const netmask = key.family === 6 ? "128" : "255.255.255.255";
    const spec = { scheduler: "rr", flags: 0, persistence: 60, netmask, onePacket: false };
    world.run({ kind: "addService", service: { key, ...spec } });
    const server = { address, port: key.port, weight: 1, method: "route" as const, upper: 0, lower: 0 };
    world.run({ kind: "addServer", service: key, server });
  }
  const lines = dump(world.region, world.now);
  expect(comparable(dump(load(lines, world.region.sizes, world.now), world.now))).toEqual(comparable(lines));
});

test("a dump that is not whole, or refers to nothing, is refused", () => {
  const world = busyWorld();
  const lines = dump(world.region, world.now);
  const { sizes } = world.region;
  const without = (drop: (line: StateLine) => boolean) =>
    load(
      lines.filter((line) => !drop(line)),
      sizes,
      world.now,
    );
  expect(() => without(({ kind }) => kind === "end")).toThrow(/last line is missing/);
  expect(() => without(({ kind }) => kind === "server")).toThrow(/no server line with the id/);
  expect(() => without(({ kind }) => kind === "service")).toThrow(/there is no such service/);
  expect(() => load([...lines, lines[1]!], sizes, world.now)).toThrow(StateLineError);
  expect(() => load(lines, { ...sizes, connections: 8 }, world.now)).toThrow(/no room for more than 8 rows/);
});
