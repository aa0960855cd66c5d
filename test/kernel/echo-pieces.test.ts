/** An echo request in pieces to an address that we own: what goes back makes up the reply that the kernel would send. */
import { beforeEach, describe, expect, it } from "vitest";
import { parseIpv4, parseIpv6, type Words } from "../../src/wire/address.ts";
import { checksum, pseudoHeaderSum6 } from "../../src/wire/checksum.ts";
import { type FrameFields, icmpFrame, ipFrame } from "../../src/wire/frame.ts";
import { checksumIsRight } from "../../src/wire/ipv4.ts";
import { Story } from "./story.ts";

const VIP4 = parseIpv4("10.0.0.100")!;
const CLIENT4 = parseIpv4("10.7.0.1")!;
const VIP6 = parseIpv6("2001:db8::100")!;
const CLIENT6 = parseIpv6("2001:db8:7::1")!;
const IP = 14;
const FRAGMENT_HEADER = 44;

interface Asked {
  readonly from: number | Words;
  readonly to?: number | Words;
  readonly type?: number;
  readonly bytes?: number;
  readonly id?: number;
  /** Sent with the first piece. */
  readonly options?: Uint8Array;
}

const isFour = (from: number | Words): from is number => typeof from === "number";
const payloadOf = (bytes: number): Uint8Array => Uint8Array.from({ length: bytes }, (_, i) => i * 7 + 3);

/** The ICMP message alone: header and data. */
function message({ from, to, type, bytes = 300 }: Asked): Uint8Array {
  const four = isFour(from);
  const ends = { source: from, destination: to ?? (four ? VIP4 : VIP6) };
  const payload = payloadOf(bytes);
  const whole = icmpFrame({ ...ends, type: type ?? (four ? 8 : 128), code: 0, rest: 0x12340001, payload });
  return whole.subarray(IP + (four ? 20 : 40));
}

/** The request as frames of at most 64 bytes of it each, in order. */
function pieces(asked: Asked): Uint8Array[] {
  const { from, id = 1 } = asked;
  const ends = { source: from, destination: asked.to ?? (isFour(from) ? VIP4 : VIP6) };
  const body = message(asked);
  const count = Math.ceil(body.length / 64);
  return Array.from({ length: count }, (_, n) => {
    const piece = body.subarray(n * 64, n * 64 + 64);
    const more = n < count - 1;
    if (!isFour(from)) return piece6(ends, id, n * 64, more, piece);
    const options = n === 0 && asked.options !== undefined ? { options: asked.options } : {};
    return ipFrame(
      { ...ends, ...options, identification: id, fragmentOffset: n * 64, moreFragments: more },
      1,
      piece,
    );
  });
}

function piece6(ends: FrameFields, id: number, at: number, more: boolean, body: Uint8Array): Uint8Array {
  const header = new Uint8Array(8 + body.length);
  const view = new DataView(header.buffer);
  view.setUint8(0, 58);
  view.setUint16(2, at | (more ? 1 : 0));
  view.setUint32(4, id);
  header.set(body, 8);
  return ipFrame(ends, FRAGMENT_HEADER, header);
}

let story: Story;

/** Everything that was sent back. */
function answers(frames: readonly Uint8Array[]): Uint8Array[] {
  return frames.flatMap((frame) => story.world.inject(frame).sent);
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/** Puts the pieces of one datagram together as a client does. Throws when they do not fit. */
function assemble(sent: readonly Uint8Array[]): Uint8Array {
  const parts = new Map<number, Uint8Array>();
  const ids = new Set<number>();
  let end = -1;
  for (const frame of sent) {
    const four = frame[12] === 8;
    const at = four ? IP + 20 : IP + 48;
    const bits = four ? view(frame).getUint16(IP + 6) : view(frame).getUint16(IP + 42);
    const offset = four ? (bits & 0x1fff) * 8 : bits & 0xfff8;
    const more = (bits & (four ? 0x2000 : 1)) !== 0;
    const length = four ? view(frame).getUint16(IP + 2) - 20 : view(frame).getUint16(IP + 4) - 8;
    ids.add(four ? view(frame).getUint16(IP + 4) : view(frame).getUint32(IP + 44));
    if (four) expect(checksumIsRight(view(frame), IP)).toBe(true);
    parts.set(offset, frame.subarray(at, at + length));
    if (!more) end = offset + length;
  }
  expect(ids.size).toBe(1);
  const whole = new Uint8Array(end);
  let covered = 0;
  for (const [offset, part] of parts) {
    whole.set(part, offset);
    covered += part.length;
  }
  expect(covered).toBe(end);
  return whole;
}

/** The reply's ICMP checksum over all its pieces, 0 when it is right; `sent` has its addresses. */
function checksumOver(reply: Uint8Array, sent: Uint8Array): number {
  const six = sent[12] !== 8;
  const initial = six ? pseudoHeaderSum6(view(sent), IP + 8, 58, reply.length) : 0;
  return checksum(view(reply), 0, reply.length, initial);
}

const verdicts = (name: string): number => story.verdicts()[name] ?? 0;

describe.each([
  ["IPv4", CLIENT4, 0],
  ["IPv6", CLIENT6, 129],
] as const)("an echo request in pieces, %s", (_, from, reply) => {
  describe.each([1, 3])("with %i shards", (shards) => {
    beforeEach(() => {
      story = new Story({ shards });
    });

    it("is answered piece by piece, in any order: together they are the reply", () => {
      const asked = pieces({ from });
      const orders = [asked, [...asked].reverse(), [...asked.slice(2), ...asked.slice(0, 2)]];
      for (const order of orders) {
        story = new Story({ shards });
        const sent = answers(order);
        const whole = assemble(sent);
        expect(whole[0]).toBe(reply);
        expect(whole.slice(4)).toEqual(message({ from }).slice(4));
        expect(checksumOver(whole, sent[0]!)).toBe(0);
        expect(verdicts("Answered")).toBe(asked.length);
      }
    });

    it("goes back to its client from the address it asked, each piece with a full TTL", () => {
      const [at, bytes] = isFour(from) ? [IP + 12, 4] : [IP + 8, 16];
      for (const asked of pieces({ from })) {
        const [sent] = answers([asked]);
        expect(sent!.subarray(0, 6)).toEqual(asked.subarray(6, 12));
        expect(sent!.subarray(6, 12)).toEqual(asked.subarray(0, 6));
        expect(sent!.subarray(at, at + bytes)).toEqual(asked.subarray(at + bytes, at + 2 * bytes));
        expect(sent![isFour(from) ? IP + 8 : IP + 7]).toBe(64);
      }
    });
  });

  it("is answered as far as it came, and not at all without its first piece", () => {
    story = new Story();
    const asked = pieces({ from });
    expect(answers(asked.slice(1))).toEqual([]);
    expect(verdicts("Waiting")).toBe(asked.length - 1);
    story.pass(31);
    expect(verdicts("FragmentLost")).toBe(asked.length - 1);
    expect(answers([asked[0]!])).toHaveLength(1);
  });

  it("is left to the host when we do not own the address, when told so, and with another type", () => {
    story = new Story();
    const other = isFour(from) ? parseIpv4("10.0.0.102")! : parseIpv6("2001:db8::102")!;
    const left: Partial<Asked>[] = [{ to: other }, { type: isFour(from) ? 13 : 130 }];
    for (const [n, strange] of left.entries()) {
      const frames = pieces({ from, ...strange, id: 10 + n });
      expect(frames.map((frame) => story.frame(frame))).toEqual(frames.map(() => "NotOurs"));
    }
    story.sysctl("answer_echo", 0);
    for (const frame of pieces({ from, id: 20 })) expect(story.frame(frame)).toBe("NotOurs");
  });
});

describe("an echo request in pieces", () => {
  it("with IP options is left to the host", () => {
    story = new Story();
    const frames = pieces({ from: CLIENT4, options: new Uint8Array(4).fill(1) });
    for (const frame of frames) expect(story.frame(frame)).toBe("NotOurs");
  });

  it("too short for its own header is dropped, and so many at once that few can wait do no harm", () => {
    story = new Story();
    const ends = { source: CLIENT4, destination: VIP4, moreFragments: true };
    expect(story.frame(ipFrame(ends, 1, new Uint8Array(4).fill(8, 0, 1)))).toBe("Malformed");
    for (let id = 0; id < 1000; id++) story.frame(pieces({ from: CLIENT4, id: 100 + id })[2]!);
    expect(verdicts("Waiting")).toBeLessThanOrEqual(96);
    expect(assemble(answers(pieces({ from: CLIENT4, id: 5000 })))[0]).toBe(0);
  });
});
