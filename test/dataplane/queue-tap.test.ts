/** What a shard shows to a tap: every frame once as it came, once as it went, and nothing that was not asked for. */
import { describe, expect, it } from "vitest";
import { hexText } from "../../src/dataplane/explain.ts";
import { QueueTap } from "../../src/dataplane/queue-tap.ts";
import { Shard } from "../../src/dataplane/shard.ts";
import { VERDICT_NAMES, Verdict } from "../../src/dataplane/verdict.ts";
import { MemoryRing } from "../../src/ring/memory-ring.ts";
import { NeighbourState } from "../../src/table/neighbours.ts";
import { ShardCell } from "../../src/table/region.ts";
import { EVERYTHING, type TapFilter, TapKind, TapQueue, tapMemory } from "../../src/table/tap.ts";
import { ipFrame } from "../../src/wire/frame.ts";
import { client, DIRECTOR_MAC, parseIpv4, ROUTER_MAC, tcp, VIP, World } from "./world.ts";

const SYN = 0x02;
const ACK = 0x10;
const KINDS = ["received", "sent", "answer", "late"];

interface Shown {
  what: string;
  verdict: string;
  service: number;
  destination: number;
  connection: number;
  bytes: string;
  length: number;
}

/** A shard of `world` with a tap of its own, opened by the word in its cell. */
function tapped(world: World, filter: Partial<TapFilter> = {}, capacity = 1 << 20) {
  const queue = new TapQueue(new SharedArrayBuffer(tapMemory(capacity)), capacity);
  queue.setFilter({ ...EVERYTHING, ...filter });
  const ring = new MemoryRing({ slots: 512, refuse: () => false });
  const opened: number[] = [];
  const openTap = (word: number) => {
    opened.push(word);
    return word === 0 ? undefined : new QueueTap(queue);
  };
  const shard = new Shard(world.region, 0, ring, { openTap });
  const { cells } = world.region.shards[0]!;
  cells[ShardCell.Tap] = 7;
  const shown = (): Shown[] => {
    const list: Shown[] = [];
    queue.take(({ kind, verdict, service, destination, connection, bytes, length }) => {
      list.push({
        what: KINDS[kind]!,
        verdict: VERDICT_NAMES[verdict]!,
        service,
        destination,
        connection,
        bytes: hexText(bytes),
        length,
      });
    });
    return list;
  };
  const send = (...frames: Uint8Array[]): Shown[] => {
    for (const frame of frames) ring.inject(frame);
    shard.turn(world.now);
    return shown();
  };
  return { queue, ring, shard, cells, opened, send, shown };
}

const syn = (n: number) => tcp({ source: client(n), sourcePort: 4000, flags: SYN });
const ack = (n: number) => tcp({ source: client(n), sourcePort: 4000, flags: ACK });

describe("a tap", () => {
  it("sees a whole burst, each frame as it came and as it went", () => {
    const world = new World();
    const { send, ring } = tapped(world);
    const frames = Array.from({ length: 64 }, (_, n) => syn(n));
    const shown = send(...frames);
    expect(shown.filter(({ what }) => what === "received").map(({ bytes }) => bytes)).toEqual(
      frames.map(hexText),
    );
    expect(shown.filter(({ what }) => what === "sent").map(({ bytes }) => bytes)).toEqual(
      ring.takeSent().map(hexText),
    );
    expect(
      new Set(shown.map(({ verdict, service, connection }) => `${verdict} ${service} ${connection}`)),
    ).toEqual(new Set(["Forwarded 0 2"]));
    expect(send(ack(1)).map(({ what, connection }) => [what, connection])).toEqual([
      ["received", 1],
      ["sent", 1],
    ]);
  });

  it("is opened by its cell and ended by it, and costs nothing where nobody can open one", () => {
    const world = new World();
    const { send, opened, cells } = tapped(world);
    expect(send(syn(1))).toHaveLength(2);
    cells[ShardCell.Tap] = 0;
    expect(send(syn(2))).toEqual([]);
    expect(opened).toEqual([7, 0]);
    expect(world.send(syn(3))).toHaveLength(1);
  });

  it("sees the answer to a frame that nobody takes", () => {
    const world = new World({ weights: [0] });
    const shown = tapped(world).send(syn(1));
    expect(
      shown.map(({ what, verdict, service, destination }) => [what, verdict, service, destination]),
    ).toEqual([
      ["received", "NoDestination", 0, -1],
      ["answer", "NoDestination", 0, -1],
    ]);
  });

  it("sees a frame wait, and go when its neighbour is known", () => {
    const world = new World({ resolved: false });
    const { send, shard, shown } = tapped(world);
    expect(send(syn(1)).map(({ what, verdict }) => [what, verdict])).toEqual([["received", "Waiting"]]);
    for (let n = 0; n < 3; n++) world.setNeighbour(n, NeighbourState.Reachable);
    shard.turn(world.now + 200);
    expect(shown().map(({ what, verdict }) => [what, verdict])).toEqual([["late", "Forwarded"]]);
  });

  it("sees a piece that waited for its datagram's first one come once and go once", () => {
    const world = new World({ protocol: "udp", port: 53 });
    const piece = (fragmentOffset: number, moreFragments: boolean, body: Uint8Array) =>
      ipFrame(
        {
          source: client(1),
          destination: parseIpv4(VIP)!,
          sourceMac: ROUTER_MAC,
          destinationMac: DIRECTOR_MAC,
          identification: 7,
          fragmentOffset,
          moreFragments,
        },
        17,
        body,
      );
    const { send, shard, shown } = tapped(world);
    const early = send(piece(16, false, new Uint8Array(8)));
    const first = send(piece(0, true, Uint8Array.of(0x0f, 0xa0, 0, 53, 0, 24, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8)));
    shard.turn(world.now);
    expect([...early, ...first, ...shown()].map(({ what, verdict }) => `${what} ${verdict}`)).toEqual([
      "received Waiting",
      "received Forwarded",
      "sent Forwarded",
      "sent Forwarded",
    ]);
  });

  it.each<[string, Partial<TapFilter>, string[]]>([
    ["a verdict", { verdicts: 1 << Verdict.NoConnection }, ["received NoConnection"]],
    [
      "a client",
      { client: [0, 0, 0xffff, client(2)], clientMask: [-1, -1, -1, -1] },
      ["received Forwarded", "sent Forwarded"],
    ],
    ["another service", { service: 5 }, []],
    [
      "the service",
      { service: 0, verdicts: 1 << Verdict.Forwarded },
      Array(2).fill(["received Forwarded", "sent Forwarded"]).flat(),
    ],
  ])("shows only %s", (_, filter, expected) => {
    const shown = tapped(new World(), filter).send(syn(1), syn(2), ack(9));
    expect(shown.map(({ what, verdict }) => `${what} ${verdict}`)).toEqual(expected);
  });

  it("keeps the beginning of a frame and its length", () => {
    const world = new World();
    const frame = tcp({ source: client(1), sourcePort: 4000, flags: SYN, payload: new Uint8Array(500) });
    const [received] = tapped(world, { snap: 60 }).send(frame);
    expect([received!.bytes.length / 2, received!.length]).toEqual([60, frame.length]);
    expect(received!.bytes).toBe(hexText(frame.subarray(0, 60)));
  });

  it("shows one frame in as many as wished", () => {
    const shown = tapped(new World(), { every: 8 }).send(...Array.from({ length: 64 }, (_, n) => syn(n)));
    expect(shown.filter(({ what }) => what === "received")).toHaveLength(8);
  });

  it("never holds the data path up: a full queue misses frames, all are forwarded", () => {
    const world = new World();
    const { queue, ring, shard } = tapped(world, {}, 4096);
    for (let n = 0; n < 60; n++) ring.inject(syn(n));
    shard.turn(world.now);
    expect(ring.takeSent()).toHaveLength(60);
    let seen = 0;
    queue.take(() => void seen++);
    expect(seen + queue.missed).toBe(120);
    expect(queue.missed).toBeGreaterThan(0);
  });

  it("in two shards shows a frame once, where it was decided", () => {
    const world = new World({ shards: 2 });
    const queues = [0, 1].map(() => {
      const queue = new TapQueue(new SharedArrayBuffer(tapMemory()));
      queue.setFilter(EVERYTHING);
      return queue;
    });
    const rings = queues.map(() => new MemoryRing());
    const shards = queues.map(
      (queue, i) => new Shard(world.region, i, rings[i]!, { tap: new QueueTap(queue) }),
    );
    for (let n = 0; n < 20; n++) rings[0]!.inject(syn(n));
    for (const shard of [...shards, ...shards]) shard.turn(world.now);
    const received: string[] = [];
    for (const queue of queues)
      queue.take(({ kind, bytes }) => {
        if (kind === TapKind.Received) received.push(hexText(bytes));
      });
    expect(received.sort()).toEqual(Array.from({ length: 20 }, (_, n) => hexText(syn(n))).sort());
  });
});
