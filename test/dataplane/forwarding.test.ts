import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NeighbourState } from "../../src/table/neighbours.ts";
import { ipFrame } from "../../src/wire/frame.ts";
import { checksumIsRight } from "../../src/wire/ipv4.ts";
import { TCP_FLAGS } from "../../src/wire/tcp.ts";
import { client, parseIpv4, serverOf, tcp, udp, VIP, World } from "./world.ts";

const { SYN, ACK, RST, FIN } = TCP_FLAGS;

const anyFrame = fc
  .record({
    source: fc.integer({ min: 0x0b000001, max: 0x7e000000 }),
    sourcePort: fc.integer({ min: 21, max: 65535 }),
    ttl: fc.integer({ min: 0, max: 255 }),
    tos: fc.integer({ min: 0, max: 255 }),
    identification: fc.integer({ min: 0, max: 65535 }),
    dontFragment: fc.boolean(),
    vlan: fc.option(fc.integer({ min: 0, max: 4095 }), { nil: undefined }),
    options: fc.uint8Array({ minLength: 0, maxLength: 10 }).map((o) => new Uint8Array(o.length * 4).fill(1)),
    payload: fc.uint8Array({ maxLength: 200 }),
    pad: fc.boolean(),
    flags: fc.integer({ min: 0, max: 63 }),
  })
  .map(({ vlan, ...fields }) => (vlan === undefined ? fields : { ...fields, vlan }));

describe("direct routing", () => {
  it("rewrites the MACs and nothing else, whatever the frame", () => {
    const world = new World();
    fc.assert(
      fc.property(anyFrame, (fields) => {
        const frame = tcp({ ...fields, flags: (fields.flags & ~RST) | SYN });
        const [sent] = world.send(frame);
        expect(serverOf(sent)).toBeGreaterThan(0);
        expect(sent!.subarray(6, 12)).toEqual(frame.subarray(0, 6));
        expect(sent!.subarray(12)).toEqual(frame.subarray(12));
      }),
    );
  });

  it("leaves a record route as it came, also with ttl decrement", () => {
    const world = new World();
    // RFC 791: type 7, length 11, room for two addresses, none written yet.
    const options = Uint8Array.from([7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    const frame = tcp({ source: client(1), sourcePort: 1000, flags: SYN, options });
    expect(world.send(frame)[0]!.subarray(12)).toEqual(frame.subarray(12));
    world.set("ttl", 1);
    expect(world.send(frame)[0]!.subarray(14 + 20)).toEqual(frame.subarray(14 + 20));
  });

  it("with sourceMac preserve leaves the sender's MAC too", () => {
    const world = new World();
    world.set("source_mac", 1);
    const frame = tcp({ source: client(1), sourcePort: 1000, flags: SYN });
    const [sent] = world.send(frame);
    expect(sent!.subarray(6)).toEqual(frame.subarray(6));
  });

  it("with ttl decrement takes one hop and mends the checksum, as a router does", () => {
    const world = new World();
    world.set("ttl", 1);
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 255 }),
        fc.integer({ min: 0, max: 65535 }),
        (ttl, identification) => {
          const frame = tcp({ source: client(1), sourcePort: 1000, flags: SYN, ttl, identification });
          const [sent] = world.send(frame);
          const view = new DataView(sent!.buffer, sent!.byteOffset);
          expect(sent![14 + 8]).toBe(ttl - 1);
          expect(checksumIsRight(view, 14)).toBe(true);
          expect(sent!.subarray(14 + 12)).toEqual(frame.subarray(14 + 12));
        },
      ),
    );
  });

  it("tells the client when its TTL ends here, after the connection was made", () => {
    const world = new World();
    world.set("ttl", 1);
    const [answer] = world.send(tcp({ source: client(1), sourcePort: 1000, flags: SYN, ttl: 1 }));
    expect(answer![14 + 20]).toBe(11);
    expect(world.verdicts()).toEqual({ TtlExceeded: 1 });
    expect(world.region.shards[0]!.connections.live).toBe(1);
  });

  it("a wrong header checksum is looked at where a connection would be opened, and with ttl decrement", () => {
    const world = new World();
    const frame = (flags: number, right: boolean): Uint8Array => {
      const made = tcp({ source: client(1), sourcePort: 1000, flags });
      return right ? made : flipped(made, 14 + 10);
    };
    expect(world.send(frame(SYN, false))).toEqual([]);
    const server = serverOf(world.send(frame(SYN, true))[0]);
    expect(serverOf(world.send(frame(ACK, false))[0])).toBe(server);
    world.set("ttl", 1);
    expect(world.send(frame(ACK, false))).toEqual([]);
    expect(world.verdicts()).toEqual({ Forwarded: 2, Malformed: 2 });
  });

  it("keeps a connection with its real server, and gives the next one to the next", () => {
    const world = new World();
    const first = serverOf(world.send(tcp({ source: client(1), sourcePort: 1000, flags: SYN }))[0]);
    const second = serverOf(world.send(tcp({ source: client(1), sourcePort: 1001, flags: SYN }))[0]);
    expect([first, second]).toEqual([3, 2]);
    for (const flags of [ACK, ACK, FIN | ACK, ACK]) {
      expect(serverOf(world.send(tcp({ source: client(1), sourcePort: 1000, flags }))[0])).toBe(first);
    }
  });

  it("handles SYN, ACK and a reused port in one burst as if they had come one by one", () => {
    const world = new World();
    const flow = { source: client(1), sourcePort: 1000 };
    for (const flags of [SYN, ACK, FIN | ACK, RST, SYN, ACK]) world.rings[0]!.inject(tcp({ ...flow, flags }));
    world.turn();
    // RST closes, so the second SYN is a new connection and takes the next turn.
    expect(world.takeSent().map(serverOf)).toEqual([3, 3, 3, 3, 2, 2]);
  });

  it("handles any frames in one burst as if they had come one by one, also when its table is full", () => {
    const frame = fc.record({ from: fc.nat(9), flags: fc.constantFrom(SYN, SYN, SYN, ACK, FIN | ACK, RST) });
    const bursts = fc.array(fc.array(frame, { minLength: 1, maxLength: 25 }), { minLength: 1, maxLength: 6 });
    const text = (frames: readonly Uint8Array[]): string[] => frames.map((bytes) => bytes.join()).sort();
    fc.assert(
      fc.property(bursts, fc.nat(2), (list, reuse) => {
        const [together, single] = [0, 1].map(() => new World({ connections: 6, scheduler: "lc" })) as [
          World,
          World,
        ];
        for (const world of [together, single]) world.set("conn_reuse_mode", reuse);
        for (const burst of list) {
          const frames = burst.map(({ from, flags }) => tcp({ source: client(from), sourcePort: 9, flags }));
          for (const bytes of frames) together.rings[0]!.inject(bytes.slice());
          together.turn();
          const one = frames.flatMap((bytes) => single.send(bytes));
          expect(text(together.takeSent())).toEqual(text(one));
          expect(together.verdicts()).toEqual(single.verdicts());
          expect(together.census()).toEqual(single.census());
          for (const world of [together, single]) {
            world.now += 100;
            world.turn();
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  it("answers port unreachable from the VIP when nobody can take the connection", () => {
    const world = new World({ weights: [0, 0] });
    const frame = tcp({ source: client(1), sourcePort: 1000, flags: SYN });
    const [answer] = world.send(frame);
    const view = new DataView(answer!.buffer, answer!.byteOffset);
    expect([answer![34], answer![35]]).toEqual([3, 3]);
    expect(view.getUint32(14 + 12)).toBe(parseIpv4(VIP)!);
    expect(view.getUint32(14 + 16)).toBe(client(1));
    expect(answer!.subarray(0, 6)).toEqual(frame.subarray(6, 12));
    expect(world.verdicts()).toEqual({ NoDestination: 1 });
  });

  it("limits those answers: six at once to one client, then one a second", () => {
    const world = new World({ weights: [0] });
    world.set("icmp_ratelimit", 1000);
    const ask = (port: number) => world.send(tcp({ source: client(1), sourcePort: port, flags: SYN })).length;
    const answers = Array.from({ length: 20 }, (_, i) => ask(1000 + i)).reduce((sum, n) => sum + n, 0);
    expect(answers).toBe(6);
    world.now += 1000;
    expect([ask(2000), ask(2001)]).toEqual([1, 0]);
  });
});

describe("what is not forwarded", () => {
  const cases: [string, (world: World) => Uint8Array, string][] = [
    ["a frame for another station", () => withMac(tcpSyn(), 0, 0x77), "OtherHost"],
    ["our own frame coming back", () => withMac(tcpSyn(), 6, 0x01), "Loop"],
    ["ARP", () => withType(tcpSyn(), 0x0806), "NotIp"],
    [
      "a port without a service",
      () => tcp({ source: client(1), sourcePort: 1, flags: SYN, destinationPort: 81 }),
      "NotOurs",
    ],
    [
      "data without a connection",
      () => tcp({ source: client(1), sourcePort: 1, flags: ACK }),
      "NoConnection",
    ],
    [
      "a reset without a connection",
      () => tcp({ source: client(1), sourcePort: 1, flags: RST }),
      "NoConnection",
    ],
    [
      "FTP's data port as source",
      () => tcp({ source: client(1), sourcePort: 20, flags: SYN }),
      "NotScheduled",
    ],
    ["the VIP as source", () => tcp({ source: parseIpv4(VIP)!, sourcePort: 99, flags: SYN }), "Malformed"],
    ["a wrong header checksum", () => flipped(tcpSyn(), 14 + 10), "Malformed"],
    ["a header that claims more than there is", () => flipped(tcpSyn(), 14 + 2), "Malformed"],
    [
      "another transport",
      () => ipFrame({ source: client(1), destination: parseIpv4(VIP)! }, 47, new Uint8Array(8)),
      "NotOurs",
    ],
  ];
  for (const [what, make, verdict] of cases) {
    it(`${what} ends as ${verdict}`, () => {
      const world = new World();
      expect(world.send(make(world))).toEqual([]);
      expect(world.verdicts()).toEqual({ [verdict]: 1 });
    });
  }

  it("a peer director's frame, so that two directors never play ball with it", () => {
    const world = new World();
    world.region.place.peers.set([0x0200, 0xfe]);
    world.region.place.counts[1] = 1;
    world.set("ttl", 0);
    expect(world.send(tcpSyn())).toEqual([]);
    expect(world.verdicts()).toEqual({ Loop: 1 });
  });

  it("anything, once the last service of the family is gone; its connections go on when one returns", () => {
    const world = new World();
    world.send(tcpSyn());
    world.run({ kind: "deleteService", service: world.key });
    expect(world.send(tcp({ source: client(1), sourcePort: 1000, flags: ACK }))).toEqual([]);
    expect(world.verdicts()).toEqual({ Forwarded: 1, NotOurs: 1 });
    world.addService("rr");
    world.addServer(3);
    world.resolveAll();
    expect(world.send(tcp({ source: client(1), sourcePort: 1000, flags: ACK })).map(serverOf)).toEqual([3]);
  });

  it("the frames of a deleted server: dropped without a word until it returns", () => {
    const world = new World();
    world.send(tcpSyn());
    world.deleteServer(3);
    expect(world.send(tcp({ source: client(1), sourcePort: 1000, flags: ACK }))).toEqual([]);
    expect(world.verdicts()).toEqual({ Forwarded: 1, DestinationGone: 1 });
    world.addServer(3);
    expect(world.send(tcp({ source: client(1), sourcePort: 1000, flags: ACK })).map(serverOf)).toEqual([3]);
  });

  it("more than the wire takes: refused frames are counted as TransmitFailed", () => {
    const world = new World();
    world.send(tcpSyn());
    const ring = world.rings[0]!;
    Object.defineProperty(ring, "flush", { value: () => 1 });
    ring.inject(tcpSyn());
    world.shards[0]!.turn(world.now);
    expect(world.verdicts()).toEqual({ Forwarded: 1, TransmitFailed: 1 });
  });
});

describe("a real server whose MAC is not known yet", () => {
  it("gets its first frames late, none lost, in the order they came", () => {
    const world = new World({ weights: [1], resolved: false });
    const frames = [SYN, ACK, ACK].map((flags, i) =>
      tcp({ source: client(1), sourcePort: 1000, flags, sequence: i }),
    );
    for (const frame of frames) expect(world.send(frame)).toEqual([]);
    expect(world.verdicts()).toEqual({ Waiting: 3 });
    expect(world.kicks).toBe(1);
    world.resolveAll();
    world.turn();
    const sent = world.takeSent();
    expect(sent.map((frame) => frame.subarray(12))).toEqual(frames.map((frame) => frame.subarray(12)));
    expect(sent.map(serverOf)).toEqual([1, 1, 1]);
    expect(world.verdicts()).toEqual({ Forwarded: 3 });
  });

  it.each(["in order", "the first one last"])("gets a datagram's pieces late as well, %s", (order) => {
    const world = new World({ weights: [1], resolved: false, protocol: "udp", port: 53 });
    const whole = udp({ source: client(1), sourcePort: 1000, payload: new Uint8Array(300) });
    const ends = { source: client(1), destination: parseIpv4(VIP)!, identification: 7 };
    const pieces = [0, 104, 208].map((at) => {
      const body = whole.subarray(34 + at, 34 + Math.min(at + 104, 308));
      return ipFrame({ ...ends, fragmentOffset: at, moreFragments: at < 208 }, 17, body);
    });
    if (order !== "in order") pieces.reverse();
    for (const piece of pieces) expect(world.send(piece)).toEqual([]);
    expect(world.verdicts()).toEqual({ Waiting: 3 });
    world.resolveAll();
    world.turn();
    expect(world.takeSent().map(serverOf)).toEqual([1, 1, 1]);
    expect(world.verdicts()).toEqual({ Forwarded: 3 });
  });

  it("that does not answer: its frames end as NeighbourFailed", () => {
    const world = new World({ weights: [1], resolved: false });
    world.send(tcpSyn());
    world.setNeighbour(neighbourRow(world), NeighbourState.Failed);
    world.turn();
    expect(world.verdicts()).toEqual({ NeighbourFailed: 1 });
    world.send(tcpSyn());
    expect(world.verdicts()).toEqual({ NeighbourFailed: 2 });
  });

  it("has a waiting room of bounded size", () => {
    const world = new World({ weights: [1], resolved: false });
    for (let port = 1; port <= 200; port++)
      world.rings[0]!.inject(tcp({ source: client(1), sourcePort: port + 99, flags: SYN }));
    world.turn();
    expect(world.verdicts()).toEqual({ Waiting: 64, WaitingFull: 136 });
    expect(world.balance().received).toBe(world.balance().verdicts);
  });
});

describe("a full connection table", () => {
  it("gives up the oldest half-open connection, never an established one", () => {
    const world = new World({ connections: 16 });
    const open = (port: number, flags: number) =>
      world.send(tcp({ source: client(1), sourcePort: port, flags }));
    for (let port = 100; port < 108; port++) {
      open(port, SYN);
      open(port, ACK);
    }
    for (let port = 200; port < 208; port++) open(port, SYN);
    expect(world.region.shards[0]!.connections.live).toBe(16);
    expect(open(300, SYN)).toHaveLength(1);
    expect(open(200, ACK)).toHaveLength(0);
    expect(open(201, ACK)).toHaveLength(1);
    for (let port = 100; port < 108; port++) expect(open(port, ACK)).toHaveLength(1);
  });

  it("gives up the first one ever opened, too, when that is the oldest", () => {
    const world = new World({ connections: 16 });
    const send = (port: number, flags: number) =>
      world.send(tcp({ source: client(1), sourcePort: port, flags }));
    for (let port = 100; port < 117; port++) expect(send(port, SYN)).toHaveLength(1);
    expect(send(100, ACK)).toHaveLength(0);
    expect(send(101, ACK)).toHaveLength(1);
  });

  it("refuses when nothing may be given up", () => {
    const world = new World({ protocol: "udp", port: 53, connections: 16 });
    for (let i = 0; i < 17; i++) world.send(udp({ source: client(1), sourcePort: 1000 + i }));
    expect(world.verdicts()).toEqual({ Forwarded: 16, TableFull: 1 });
  });
});

function tcpSyn(): Uint8Array {
  return tcp({ source: client(1), sourcePort: 1000, flags: SYN });
}

function withMac(frame: Uint8Array, at: number, last: number): Uint8Array {
  frame.set([0x02, 0, 0, 0, 0, last], at);
  return frame;
}

function withType(frame: Uint8Array, type: number): Uint8Array {
  frame.set([type >> 8, type & 0xff], 12);
  return frame;
}

function flipped(frame: Uint8Array, at: number): Uint8Array {
  frame[at]! ^= 0x40;
  return frame;
}

function neighbourRow(world: World): number {
  return world.region.neighbours.users.findIndex((users) => users > 0);
}
