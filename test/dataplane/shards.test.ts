import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { flowHash, shardOf } from "../../src/table/hash.ts";
import { Header } from "../../src/table/region.ts";
import { icmpFrame, ipFrame } from "../../src/wire/frame.ts";
import { TCP_FLAGS } from "../../src/wire/tcp.ts";
import { client, parseIpv4, serverOf, tcp, udp, VIP, World } from "./world.ts";

const { SYN, ACK, FIN, RST } = TCP_FLAGS;
const SHARDS = [1, 2, 3, 4];
const vip = parseIpv4(VIP)!;

/** A UDP datagram cut into pieces of `size` payload bytes. */
function pieces(
  source: number,
  sourcePort: number,
  bytes: number,
  size: number,
  identification: number,
): Uint8Array[] {
  const whole = udp({ source, sourcePort, payload: new Uint8Array(bytes).map((_, i) => i) }).subarray(34);
  const cut: Uint8Array[] = [];
  for (let at = 0; at < whole.length; at += size) {
    cut.push(
      ipFrame(
        {
          source,
          destination: vip,
          identification,
          fragmentOffset: at,
          moreFragments: at + size < whole.length,
        },
        17,
        whole.slice(at, at + size),
      ),
    );
  }
  return cut;
}

/** The shard the kernel's fanout brings a whole frame to. */
function homeOf(world: World, source: number, sourcePort: number, port: number): number {
  const hash = flowHash(world.region.header[Header.Seed]!, source, vip, (sourcePort << 16) | port);
  return shardOf(hash, world.shards.length);
}

describe.each([
  ["in the shard of their hash", false],
  ["where they arrive", true],
])("with any number of shards, flows living %s,", (_, byArrival) => {
  it("all pieces of a datagram reach its real server, in whatever order and wherever they arrive", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...SHARDS),
        fc.integer({ min: 1000, max: 60000 }),
        fc.integer({ min: 9, max: 3000 }),
        fc.infiniteStream(fc.nat()),
        (shards, sourcePort, bytes, chance) => {
          const world = new World({ shards, byArrival, protocol: "udp", port: 53 });
          const next = () => chance.next().value as number;
          const cut = pieces(client(1), sourcePort, bytes, 8 * (1 + (next() % 60)), next() & 0xffff).slice(
            0,
            60,
          );
          const order = cut.map((piece) => ({ piece, by: next() })).sort((a, b) => a.by - b.by);
          for (const { piece } of order) world.rings[next() % shards]!.inject(piece);
          world.turn();
          const sent = world.takeSent();
          expect(sent.length).toBe(cut.length);
          expect(new Set(sent.map(serverOf)).size).toBe(1);
          // Another frame of the flow goes where its pieces went.
          const at = byArrival ? next() % shards : homeOf(world, client(1), sourcePort, 53);
          const [whole] = world.send(udp({ source: client(1), sourcePort }), at);
          expect(serverOf(whole)).toBe(serverOf(sent[0]));
          expect(sent.map((frame) => frame.subarray(12).join()).sort()).toEqual(
            cut.map((frame) => frame.subarray(12).join()).sort(),
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  it("hundreds of datagrams in pieces a second: no piece is lost", () => {
    for (const shards of SHARDS) {
      const world = new World({ shards, byArrival, protocol: "udp", port: 53 });
      for (let n = 0; n < 1500; n++) {
        for (const piece of pieces(client(n % 7), 1000 + (n % 5), 100, 72, n)) {
          world.rings[n % shards]!.inject(piece);
        }
        world.now += 1;
        if (n % 16 === 0) world.turn();
        if (n % 16 === 0) world.takeSent();
      }
      world.turn();
      expect(world.verdicts().FragmentLost).toBeUndefined();
      expect(world.verdicts().Forwarded).toBe(3000);
    }
  });

  it("an ICMP error about a flow reaches the flow's real server, wherever it arrives", () => {
    for (const shards of SHARDS) {
      const world = new World({ shards, byArrival });
      for (let port = 1000; port < 1040; port++) {
        const [syn] = world.send(
          tcp({ source: client(1), sourcePort: port, flags: SYN }),
          homeOf(world, client(1), port, 80),
        );
        const reply = tcp({
          source: vip,
          sourcePort: 80,
          destination: client(1),
          destinationPort: port,
          flags: ACK,
        });
        const error = icmpFrame({
          source: parseIpv4("192.0.2.9")!,
          destination: vip,
          type: 3,
          code: 4,
          rest: 1300,
          payload: reply.subarray(14, 14 + 28),
        });
        expect(world.send(error, port % shards).map(serverOf)).toEqual([serverOf(syn)]);
      }
    }
  });

  it("rr and wrr take strict turns", () => {
    for (const scheduler of ["rr", "wrr"]) {
      const turns = SHARDS.map((shards) => {
        const world = new World({ shards, byArrival, scheduler, weights: [3, 2, 1] });
        return Array.from({ length: 60 }, (_, i) => {
          const frame = tcp({ source: client(i), sourcePort: 1000, flags: SYN });
          return serverOf(world.send(frame, homeOf(world, client(i), 1000, 80))[0]);
        });
      });
      for (const others of turns.slice(1)) expect(others).toEqual(turns[0]);
    }
  });

  it("every scheduler that counts connections decides as with one", () => {
    for (const scheduler of ["lc", "wlc", "sed", "nq", "sh", "mh", "dh"]) {
      const decisions = SHARDS.map((shards) => {
        const world = new World({ shards, byArrival, scheduler, weights: [3, 2, 1] });
        return Array.from({ length: 60 }, (_, i) => {
          const frame = tcp({ source: client(i * 7), sourcePort: 1000, flags: SYN });
          return serverOf(world.send(frame, homeOf(world, client(i * 7), 1000, 80))[0]);
        });
      });
      for (const others of decisions.slice(1)) expect(others).toEqual(decisions[0]);
    }
  });

  it("a persistent client stays with its real server, whichever shards its connections live in", () => {
    const world = new World({ byArrival, shards: 4, persistence: 300 });
    const servers = new Set<number>();
    const homes = new Set<number>();
    for (let port = 1000; port < 1050; port++) {
      const home = homeOf(world, client(1), port, 80);
      homes.add(home);
      servers.add(serverOf(world.send(tcp({ source: client(1), sourcePort: port, flags: SYN }), home)[0]));
    }
    expect(homes.size).toBe(4);
    expect(servers.size).toBe(1);
  });

  it("frames that arrive at the wrong shard are handed over, never decided twice", () => {
    const world = new World({ byArrival, shards: 4 });
    for (let port = 1000; port < 1100; port++) {
      const first = world
        .send(tcp({ source: client(1), sourcePort: port, flags: SYN }), port % 4)
        .map(serverOf);
      const second = world
        .send(tcp({ source: client(1), sourcePort: port, flags: ACK }), (port + 1) % 4)
        .map(serverOf);
      expect(second).toEqual(first);
    }
    const { Forwarded, HandedOver } = world.verdicts();
    expect(Forwarded).toBe(200);
    if (byArrival) expect(HandedOver).toBe(100);
    else expect(HandedOver).toBeGreaterThan(100);
    expect(world.balance().received).toBe(world.balance().verdicts);
  });
});

describe("flows that live where they arrive", () => {
  it("are handled there: nothing is handed over as long as the NIC keeps to its choice", () => {
    const world = new World({ shards: 4, byArrival: true });
    for (const flags of [SYN, ACK, FIN | ACK]) {
      for (let port = 1000; port < 1040; port++)
        world.send(tcp({ source: client(1), sourcePort: port, flags }), port % 4);
    }
    expect(world.verdicts()).toEqual({ Forwarded: 120 });
    expect(world.region.shards.map(({ connections }) => connections.live)).toEqual([10, 10, 10, 10]);
  });

  it("keep their real server, whatever queue their frames, pieces and errors come by", () => {
    const step = fc.record({
      flow: fc.nat({ max: 7 }),
      at: fc.nat({ max: 3 }),
      what: fc.constantFrom("frame", "pieces", "error"),
      turn: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 4 }), fc.array(step, { maxLength: 60 }), (shards, steps) => {
        const world = new World({ shards, byArrival: true, protocol: "udp", port: 53 });
        const servers = new Map<number, Set<number>>();
        const known = new Set<number>();
        const collect = () => {
          for (const frame of world.takeSent()) {
            const flow = flowOf(frame);
            servers.set(flow, (servers.get(flow) ?? new Set()).add(serverOf(frame)));
          }
        };
        for (const [id, { flow, at, what, turn }] of steps.entries()) {
          if (what === "error" && !known.has(flow)) continue; // nothing to relate it to
          known.add(flow);
          framesOf(what, flow, id).forEach((frame, n) => {
            world.rings[(at + n) % shards]!.inject(frame);
          });
          if (turn) world.turn();
        }
        world.turn();
        world.turn();
        collect();
        expect([...servers.values()].every((of) => of.size === 1)).toBe(true);
        expect([...servers.keys()].sort()).toEqual([...known].sort());
        expect(world.region.shards.reduce((sum, { connections }) => sum + connections.live, 0)).toBe(
          known.size,
        );
        const { received, verdicts } = world.balance();
        expect(verdicts).toBe(received);
      }),
      { numRuns: 150 },
    );
  });
});

/** One of a few UDP flows, told apart by their client. */
function framesOf(what: string, flow: number, identification: number): Uint8Array[] {
  const source = client(flow);
  if (what === "frame") return [udp({ source, sourcePort: 1000 })];
  if (what === "pieces") return pieces(source, 1000, 200, 72, identification);
  const reply = udp({ source: vip, sourcePort: 53, destination: source, destinationPort: 1000 });
  const payload = reply.subarray(14, 14 + 28);
  return [icmpFrame({ source, destination: vip, type: 3, code: 4, rest: 1300, payload })];
}

/** The flow of a frame made by framesOf: by its source address, an error's too. */
function flowOf(frame: Uint8Array): number {
  const source = new DataView(frame.buffer, frame.byteOffset).getUint32(26);
  return [0, 1, 2, 3, 4, 5, 6, 7].find((flow) => client(flow) === source) ?? -1;
}

describe("the books", () => {
  const command = fc.oneof(
    fc.record({
      do: fc.constant("weigh" as const),
      n: fc.integer({ min: 1, max: 4 }),
      weight: fc.integer({ min: 0, max: 5 }),
    }),
    fc.record({ do: fc.constant("remove" as const), n: fc.integer({ min: 1, max: 4 }) }),
    fc.record({ do: fc.constant("return" as const), n: fc.integer({ min: 1, max: 4 }) }),
    fc.record({ do: fc.constant("wait" as const), ms: fc.integer({ min: 0, max: 200_000 }) }),
    fc.record({
      do: fc.constant("frame" as const),
      port: fc.integer({ min: 1000, max: 1030 }),
      flags: fc.constantFrom(SYN, ACK, FIN | ACK, RST, 0, SYN | ACK),
      at: fc.nat({ max: 3 }),
    }),
    fc.record({
      do: fc.constant("noise" as const),
      bytes: fc.uint8Array({ maxLength: 120 }),
      at: fc.nat({ max: 3 }),
    }),
  );

  it("balance after any sequence of commands and frames", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(1, 2, 4),
        fc.constantFrom("rr", "wrr", "wlc", "sh", "mh"),
        fc.boolean(),
        fc.boolean(),
        fc.array(command, { maxLength: 120 }),
        (shards, scheduler, persistent, byArrival, steps) => {
          const persistence = persistent ? 20 : 0;
          const world = new World({ shards, byArrival, scheduler, persistence, connections: 16 });
          const there = new Set([1, 2, 3]);
          for (const step of steps) {
            if (step.do === "weigh" && there.has(step.n)) world.editServer(step.n, step.weight);
            else if (step.do === "remove" && there.delete(step.n)) world.deleteServer(step.n);
            else if (step.do === "return" && !there.has(step.n)) {
              world.addServer(step.n);
              there.add(step.n);
              world.resolveAll();
            } else if (step.do === "wait") {
              world.now += step.ms;
              world.commands.sweep(world.now);
            } else if (step.do === "frame") {
              world.rings[step.at % shards]!.inject(
                tcp({ source: client(1), sourcePort: step.port, flags: step.flags }),
              );
            } else if (step.do === "noise") world.rings[step.at % shards]!.inject(step.bytes);
            world.turn();
            const { received, verdicts } = world.balance();
            expect(verdicts).toBe(received);
            for (const [, d] of world.census()) {
              expect(d.active).toBeGreaterThanOrEqual(0);
              expect(d.inactive).toBeGreaterThanOrEqual(0);
              expect(d.active + d.inactive).toBe(d.live);
            }
          }
          // Left alone for an hour, everything ends.
          world.now += 3_600_000;
          world.turn();
          world.turn();
          expect(
            [...world.census().values()].every((d) => d.live === 0 && d.active === 0 && d.inactive === 0),
          ).toBe(true);
          world.now += 3_600_000;
          world.turn();
          expect(world.region.templates.live).toBe(0);
        },
      ),
      { numRuns: 80 },
    );
  });

  it("balance for a frame cut at every byte, and for every ethertype", () => {
    const world = new World();
    const frames = [
      tcp({ source: client(1), sourcePort: 1000, flags: SYN, options: new Uint8Array(8).fill(1) }),
      tcp({ source: client(1), sourcePort: 1001, flags: SYN, vlan: 7 }),
      icmpFrame({
        source: client(1),
        destination: vip,
        type: 3,
        code: 4,
        payload: tcp({
          source: vip,
          sourcePort: 80,
          destination: client(1),
          destinationPort: 1000,
          flags: ACK,
        }).subarray(14),
      }),
      ...pieces(client(1), 999, 100, 48, 1),
    ];
    let injected = 0;
    for (const frame of frames) {
      for (let length = 0; length <= frame.length; length++) {
        world.send(frame.slice(0, length));
        injected++;
      }
    }
    for (let type = 0; type < 0x10000; type += 257) {
      const frame = tcp({ source: client(1), sourcePort: 1000, flags: SYN });
      frame.set([type >> 8, type & 0xff], 12);
      world.send(frame);
      injected++;
    }
    expect(world.balance()).toEqual({ received: injected, verdicts: injected });
  });
});
