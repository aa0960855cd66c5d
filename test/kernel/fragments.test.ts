/** Pieces of datagrams: to the flow's real server in any order, and harmless when they are missing, doubled or lie. */
import { beforeEach, describe, expect, it } from "vitest";
import type { Words } from "../../src/wire/address.ts";
import { parseIpv4, parseIpv6 } from "../../src/wire/address.ts";
import { type FrameFields, ipFrame, tcpFrame, udpFrame } from "../../src/wire/frame.ts";
import { Datagrams } from "../oracle/datagrams.ts";
import { Unsaid } from "../oracle/unsaid.ts";
import { Story } from "./story.ts";

const VIP4 = parseIpv4("10.0.0.100")!;
const VIP6 = parseIpv6("2001:db8::100")!;
const CLIENT4 = parseIpv4("10.7.0.1")!;
const CLIENT6 = parseIpv6("2001:db8:7::1")!;
const TCP = 6;
const UDP = 17;
const FRAGMENT_HEADER = 44;

interface Cut {
  readonly from?: number | Words;
  readonly to?: number | Words;
  readonly port?: number;
  readonly bytes?: number;
  readonly id?: number;
}

/** A UDP datagram to port 53 in pieces of `size` bytes, in order. */
function cut(size: number, { from = CLIENT4, to, port = 1000, bytes = 300, id = 1 }: Cut = {}): Uint8Array[] {
  const ends = { source: from, destination: to ?? (typeof from === "number" ? VIP4 : VIP6) };
  const whole = udpFrame({ ...ends, sourcePort: port, destinationPort: 53, payload: new Uint8Array(bytes) });
  return pieces(ends, id, UDP, whole, size);
}

/** A SYN that carries as much. */
function cutTcp(size: number, { from = CLIENT4, port = 1000, bytes = 300, id = 1 }: Cut = {}): Uint8Array[] {
  const ends = { source: from, destination: typeof from === "number" ? VIP4 : VIP6 };
  const whole = tcpFrame({ ...ends, sourcePort: port, destinationPort: 53, payload: new Uint8Array(bytes) });
  return pieces(ends, id, TCP, whole, size);
}

function pieces(
  ends: FrameFields,
  id: number,
  protocol: number,
  whole: Uint8Array,
  size: number,
): Uint8Array[] {
  const six = typeof ends.source !== "number";
  const body = whole.subarray(14 + (six ? 40 : 20));
  const cuts: Uint8Array[] = [];
  for (let at = 0; at < body.length; at += size) {
    const piece = body.slice(at, at + size);
    const more = at + size < body.length;
    cuts.push(
      six ? piece6(ends, id, at, more, piece, protocol) : piece4(ends, id, at, more, piece, protocol),
    );
  }
  return cuts;
}

function piece4(
  ends: FrameFields,
  identification: number,
  at: number,
  more: boolean,
  body: Uint8Array,
  protocol = UDP,
): Uint8Array {
  return ipFrame({ ...ends, identification, fragmentOffset: at, moreFragments: more }, protocol, body);
}

function piece6(
  ends: FrameFields,
  id: number,
  at: number,
  more: boolean,
  body: Uint8Array,
  protocol = UDP,
): Uint8Array {
  const header = new Uint8Array(8 + body.length);
  const view = new DataView(header.buffer);
  view.setUint8(0, protocol);
  view.setUint16(2, at | (more ? 1 : 0));
  view.setUint32(4, id);
  header.set(body, 8);
  return ipFrame(ends, FRAGMENT_HEADER, header);
}

let story: Story;

async function services(shards = 1): Promise<void> {
  story = new Story({ shards });
  await story.service("-u 10.0.0.100:53 -s rr");
  await story.ipvsadm("-A -u 10.0.0.101:53 -s rr", "-a -u 10.0.0.101:53 -r 10.0.0.14 -g");
  await story.service("-u [2001:db8::100]:53 -s rr");
}

/** Servers that got something, of all the frames. */
function ways(frames: readonly Uint8Array[]): string[] {
  return frames.flatMap((frame) => story.frame(frame).split(" ")).filter((way) => way.startsWith("rs"));
}

describe.each([
  ["IPv4", CLIENT4],
  ["IPv6", CLIENT6],
] as const)("%s pieces", (_, from) => {
  describe.each([1, 2, 4])("with %i shards", (shards) => {
    beforeEach(() => services(shards));

    it("go to one real server in order, backwards, and with the first in the middle", () => {
      const pieces = cut(64, { from });
      const orders = [pieces, [...pieces].reverse(), [...pieces.slice(2), ...pieces.slice(0, 2)]];
      for (const [n, order] of orders.entries()) {
        const renamed = order.map((piece) => withId(piece, 100 + n));
        expect(ways(renamed)).toEqual(pieces.map(() => "rs3"));
      }
    });

    it("of another flow are another decision, of the same flow the same", () => {
      expect(new Set(ways(cut(64, { from, id: 1 })))).toEqual(new Set(["rs3"]));
      expect(new Set(ways(cut(64, { from, id: 2, port: 1001 })))).toEqual(new Set(["rs2"]));
      expect(new Set(ways(cut(64, { from, id: 3 })))).toEqual(new Set(["rs3"]));
    });

    it("are told apart by client, virtual address and number, many at a time", () => {
      const clients = Array.from({ length: 70 }, (_, n) =>
        typeof from === "number" ? from + n : ([...from.slice(0, 3), from[3] + n] as unknown as Words),
      );
      const datagrams = clients.map((client, n) => cut(160, { from: client, port: 1000 + n }));
      for (let n = 0; n < 30; n++) datagrams.push(cut(160, { from, id: n + 2, port: 2000 + n }));
      if (typeof from === "number") {
        const to = parseIpv4("10.0.0.101")!;
        for (const client of clients) datagrams.push(cut(160, { from: client, to }));
      }
      const first = ways(datagrams.map(([piece]) => piece!));
      expect(first.slice(0, 4)).toEqual(["rs3", "rs2", "rs1", "rs3"]);
      expect(ways(datagrams.map(([, piece]) => piece!).reverse())).toEqual(first.reverse());
    });

    it("that come thirty seconds after the first are no part of its datagram any more", () => {
      const [first, ...rest] = cut(64, { from });
      expect(ways([first!])).toEqual(["rs3"]);
      story.pass(29);
      expect(ways([rest[0]!])).toEqual(["rs3"]);
      story.pass(2);
      expect(ways(rest)).toEqual([]);
    });

    it("that come twice go twice to the same server", () => {
      const pieces = cut(64, { from });
      expect(ways(pieces.flatMap((piece) => [piece, piece]))).toEqual(Array(10).fill("rs3"));
    });

    it("without their first one go nowhere, and are lost after thirty seconds", () => {
      const rest = cut(64, { from }).slice(1);
      expect(ways(rest)).toEqual([]);
      expect(verdicts("Waiting")).toBe(rest.length);
      story.pass(31);
      expect(verdicts("Waiting")).toBe(0);
      expect(verdicts("FragmentLost")).toBe(rest.length);
      expect(ways(cut(64, { from, id: 2 }))).toHaveLength(5);
    });

    it("wait thirty seconds for their first one, each datagram its own", () => {
      const [first, ...rest] = cut(64, { from });
      const [second, ...others] = cut(64, { from, id: 2, port: 1001 });
      expect(ways(rest)).toEqual([]);
      for (let second = 0; second < 20; second++) story.pass(1);
      expect(ways(others)).toEqual([]);
      expect(verdicts("Waiting")).toBe(rest.length + others.length);
      for (let second = 0; second < 11; second++) story.pass(1);
      expect(verdicts("Waiting")).toBe(others.length);
      expect(ways([second!])).toEqual(["rs3", ...others.map(() => "rs3")]);
      expect(ways([first!])).toEqual(["rs2"]);
    });

    it("of TCP and of UDP with the same number are two datagrams", async () => {
      await story.service(`-t ${typeof from === "number" ? "10.0.0.100" : "[2001:db8::100]"}:53 -s rr`, [1]);
      const udp = Array.from({ length: 25 }, (_, n) => cut(160, { from, id: n, port: 1000 }));
      const tcp = udp.map((_, n) => cutTcp(160, { from, id: n, port: 1000 }));
      expect(ways(udp.map(([piece]) => piece!))).toEqual(udp.map(() => "rs3"));
      expect(ways(tcp.map(([piece]) => piece!))).toEqual(tcp.map(() => "rs1"));
      expect(ways(udp.map(([, piece]) => piece!))).toEqual(udp.map(() => "rs3"));
      expect(ways(tcp.map(([, piece]) => piece!))).toEqual(tcp.map(() => "rs1"));
    });

    it("that overlap and lie about their length go where the first went", () => {
      const ends = { source: from, destination: typeof from === "number" ? VIP4 : VIP6 };
      const make = typeof from === "number" ? piece4 : piece6;
      const [first] = cut(64, { from, id: 9 });
      const strange = [0, 8, 56, 60_000].map((at) =>
        make(ends, 9, Math.max(8, at), at === 8, new Uint8Array(40)),
      );
      expect(ways([first!, ...strange])).toEqual(Array(5).fill("rs3"));
    });
  });
});

/** The identification of a piece changed (the IPv4 checksum is not looked at in a later piece, so the first is kept sound). */
function withId(piece: Uint8Array, id: number): Uint8Array {
  const copy = piece.slice();
  const view = new DataView(copy.buffer);
  if (view.getUint16(12) === 0x86dd) {
    view.setUint32(14 + 40 + 4, id);
    return copy;
  }
  view.setUint16(14 + 4, id);
  view.setUint16(14 + 10, 0);
  let sum = 0;
  for (let at = 14; at < 34; at += 2) sum += view.getUint16(at);
  view.setUint16(14 + 10, ~((sum & 0xffff) + (sum >>> 16)) & 0xffff);
  return copy;
}

function verdicts(name: string): number {
  return story.verdicts()[name] ?? 0;
}

describe("a flood of pieces", () => {
  it("without a first one fills bounded room, then is lost; whole datagrams pass meanwhile", async () => {
    await services();
    for (let id = 0; id < 2000; id++) story.frame(cut(64, { id })[3]!);
    expect(verdicts("Waiting")).toBeLessThanOrEqual(96);
    expect(verdicts("Waiting") + verdicts("FragmentLost")).toBe(2000);
    expect(story.udp("10.8.0.1:1000")).toBe("rs3");
    story.pass(31);
    expect(verdicts("Waiting")).toBe(0);
    expect(ways(cut(64, { id: 5000 }))).toHaveLength(5);
  });
});

describe("the pieces of a datagram", () => {
  beforeEach(() => services());

  it("that nobody serves are left to the host, all of them", () => {
    const frames = cut(64).map((piece, i) => (i === 0 ? withPort(piece, 54) : piece));
    expect(frames.map((frame) => story.frame(frame))).toEqual(frames.map(() => "NotOurs"));
  });

  it("that nobody serves give their room back, so that others can wait", () => {
    for (let id = 1; id < 400; id++) {
      const [first, ...rest] = cut(64, { id });
      expect(ways([...rest, withPort(first!, 54)])).toEqual([]);
    }
    const pieces = cut(64, { id: 999 });
    expect(ways([...pieces].reverse())).toEqual(pieces.map(() => "rs3"));
    expect(verdicts("FragmentLost")).toBe(0);
  });

  it("count as one packet with all its bytes, as the kernel counts it whole", () => {
    ways(cut(64, { bytes: 300 }));
    expect(story.traffic()).toMatchObject({ rs3: [1, 20 + 8 + 300] });
  });

  it("of an ICMP error are left to the host", () => {
    const ends = { source: CLIENT4, destination: VIP4, identification: 4 };
    const body = new Uint8Array(64).fill(3, 0, 1);
    expect(story.frame(ipFrame({ ...ends, moreFragments: true }, 1, body))).toBe("NotOurs");
  });

  it("of a deleted server end like its whole frames", async () => {
    const pieces = cut(64);
    story.frame(pieces[0]!);
    await story.ipvsadm("-d -u 10.0.0.100:53 -r 10.0.0.13");
    expect(cut(64, { id: 2 }).map((piece) => story.frame(piece))).toEqual(Array(5).fill("DestinationGone"));
  });

  it("with a first one too short for TCP's flags are dropped (RFC 1858)", async () => {
    await story.service("-t 10.0.0.100:80 -s rr");
    const tiny = ipFrame(
      { source: CLIENT4, destination: VIP4, identification: 3, moreFragments: true },
      6,
      Uint8Array.from([4, 0, 0, 80, 0, 0, 0, 0]),
    );
    expect(story.frame(tiny)).toBe("Malformed");
  });
});

function withPort(piece: Uint8Array, port: number): Uint8Array {
  const copy = piece.slice();
  new DataView(copy.buffer).setUint16(14 + 20 + 2, port);
  return copy;
}

describe("the replayer of recordings", () => {
  it("takes IPv6's pieces for pieces, and one datagram's for one", async () => {
    await services();
    const datagrams = new Datagrams(new Unsaid());
    const whole = cut(64, { from: CLIENT6 });
    const judge = (frame: Uint8Array, out: string | null): string[] | undefined =>
      datagrams.compare(frame, story.world.inject(frame).sent, { out });
    expect(whole.slice(0, 4).map((piece) => judge(piece, null))).toEqual(Array(4).fill([]));
    expect(judge(whole[4]!, "rs3")).toEqual([]);
    expect(judge(whole[4]!, "rs1")).toEqual(["pieces went to rs3, recorded rs1"]);
    expect(
      judge(udpFrame({ source: CLIENT6, destination: VIP6, sourcePort: 9, destinationPort: 53 }), "rs2"),
    ).toBeUndefined();
  });
});
