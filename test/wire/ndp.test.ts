import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatMac, type Mac, parseAddress, parseMac, type Words } from "../../src/wire/address.ts";
import { encodeCbpf } from "../../src/wire/cbpf.ts";
import {
  ANY_ADDRESS,
  NDP_FRAME,
  type NdpMessage,
  ndpFilter,
  parseNdp,
  solicitedNode,
  writeAdvertisement,
  writeSolicitation,
} from "../../src/wire/ndp.ts";
import { runCbpf } from "./cbpf-machine.ts";

/** Sent by Linux 6.18 in a lab: a router asks for fd00:a::100, and a real server answers us. */
const ASKS =
  "3333ff00010002000a00000186dd6000000000203afffe8000000000000000000afffe000001ff0200000000000000000001ff000100" +
  "8700671100000000fd00000a000000000000000000000100010102000a000001";
const ANSWERS =
  "02000a00000202000a00000b86dd6000000000203afffd00000a000000000000000000000011fd00000a000000000000000000000002" +
  "8800125460000000fd00000a000000000000000000000011020102000a00000b";

const address = (text: string): Words => parseAddress(text)!;
const mac = (text: string): Mac => parseMac(text)!;
const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"));
const read = (bytes: Uint8Array, length = bytes.length): NdpMessage | undefined =>
  parseNdp(new DataView(bytes.buffer, bytes.byteOffset), length);
const written = (write: (frame: DataView) => number): Uint8Array => {
  const frame = new DataView(new ArrayBuffer(NDP_FRAME));
  return new Uint8Array(frame.buffer, 0, write(frame));
};

describe("a message of the kernel's", () => {
  test("is read", () => {
    expect(read(bytesOf(ASKS))).toEqual({
      kind: "solicitation",
      source: address("fe80::aff:fe00:1"),
      target: address("fd00:a::100"),
      mac: mac("02:00:0a:00:00:01"),
      solicited: false,
      override: false,
      sender: mac("02:00:0a:00:00:01"),
    });
    expect(read(bytesOf(ANSWERS))).toMatchObject({
      kind: "advertisement",
      target: address("fd00:a::11"),
      mac: mac("02:00:0a:00:00:0b"),
      solicited: true,
      override: true,
    });
  });

  test("is written as the kernel writes it", () => {
    const router = mac("02:00:0a:00:00:01");
    const source = address("fe80::aff:fe00:1");
    const asks = written((frame) => writeSolicitation(frame, router, source, address("fd00:a::100")));
    expect(Buffer.from(asks).toString("hex")).toBe(ASKS);
    const asker = { mac: mac("02:00:0a:00:00:02"), address: address("fd00:a::2") };
    const own = mac("02:00:0a:00:00:0b");
    const answers = written((frame) => writeAdvertisement(frame, own, address("fd00:a::11"), asker));
    expect(Buffer.from(answers).toString("hex")).toBe(ANSWERS);
  });

  test("damaged in any bit of its packet, or cut, is none", () => {
    for (const hex of [ASKS, ANSWERS]) {
      for (let bit = 14 * 8; bit < hex.length * 4; bit++) {
        const bytes = bytesOf(hex);
        bytes[bit >> 3]! ^= 1 << (bit & 7);
        // Traffic class and flow label are nobody's business.
        if (bit >> 3 >= 15 && bit >> 3 < 18) continue;
        if (bit >> 3 === 14 && (bit & 7) < 4) continue;
        expect(read(bytes), `bit ${bit}`).toBeUndefined();
      }
      for (let length = 0; length < hex.length / 2; length++)
        expect(read(bytesOf(hex), length)).toBeUndefined();
    }
  });
});

describe("what we write", () => {
  const words = fc.tuple(fc.nat(), fc.nat(), fc.nat(), fc.nat()) as fc.Arbitrary<Words>;
  const anyMac = fc.record({ hi: fc.nat({ max: 0xffff }).map((hi) => hi & 0xfeff), lo: fc.nat() });

  test("is read as it was meant", () => {
    fc.assert(
      fc.property(words, words, anyMac, fc.option(anyMac, { nil: undefined }), (source, target, own, to) => {
        fc.pre(target[0] >>> 24 !== 0xff && source.some((word) => word !== 0));
        const asks = read(written((frame) => writeSolicitation(frame, own, source, target, to)));
        expect(asks).toMatchObject({ kind: "solicitation", source, target, mac: own });
        const asker = to && { mac: to, address: source };
        const tells = read(written((frame) => writeAdvertisement(frame, own, target, asker)));
        expect(tells).toMatchObject({ kind: "advertisement", target, mac: own, solicited: to !== undefined });
      }),
    );
  });

  test("goes to the group of the target, to one neighbour, or to all", () => {
    const target = address("2001:db8::12:3456");
    expect(solicitedNode(target)).toEqual(address("ff02::1:ff12:3456"));
    const to = (bytes: Uint8Array) =>
      formatMac({ hi: (bytes[0]! << 8) | bytes[1]!, lo: Buffer.from(bytes).readUInt32BE(2) });
    const own = mac("02:00:00:00:00:01");
    const one = mac("02:00:00:00:00:02");
    const source = address("fe80::1");
    expect(to(written((frame) => writeSolicitation(frame, own, source, target)))).toBe("33:33:ff:12:34:56");
    expect(to(written((frame) => writeSolicitation(frame, own, source, target, one)))).toBe(
      "02:00:00:00:00:02",
    );
    expect(to(written((frame) => writeAdvertisement(frame, own, target)))).toBe("33:33:00:00:00:01");
  });

  test("without an address of ours names no MAC (RFC 4861 §4.3)", () => {
    const own = mac("02:00:00:00:00:01");
    const probe = read(written((frame) => writeSolicitation(frame, own, ANY_ADDRESS, address("fd00::1"))));
    expect(probe).toMatchObject({ source: ANY_ADDRESS, mac: undefined, sender: own });
  });
});

test("the filter takes these two messages and no other IPv6", () => {
  expect(encodeCbpf(ndpFilter()).length).toBeGreaterThan(0);
  const takes = (change: (bytes: Uint8Array) => void) => {
    const bytes = bytesOf(ASKS);
    change(bytes);
    return runCbpf(ndpFilter(), bytes) !== 0;
  };
  expect([135, 136, 134, 128, 1].map((type) => takes((bytes) => bytes.fill(type, 54, 55)))).toEqual([
    true,
    true,
    false,
    false,
    false,
  ]);
  expect(takes((bytes) => bytes.fill(6, 20, 21))).toBe(false);
});
