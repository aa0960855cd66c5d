/** The hot accessors of IPv4 and IPv6 against the parsed value, and what they write. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checksum } from "../../src/wire/checksum.ts";
import * as ipv4 from "../../src/wire/ipv4.ts";
import * as ipv6 from "../../src/wire/ipv6.ts";
import { bytes, u8, viewOf } from "./bytes.ts";

const header = fc
  .tuple(fc.integer({ min: 5, max: 15 }), fc.uint8Array({ minLength: 60, maxLength: 60 }))
  .map(([words, array]) => {
    array[0] = 0x40 | words;
    ipv4.writeChecksum(viewOf(array), 0);
    return array;
  });

describe("decrementing the TTL", () => {
  it("equals writing the TTL and computing the checksum anew, and touches nothing else", () => {
    fc.assert(
      fc.property(header, fc.integer({ min: 1, max: 255 }), (array, ttl) => {
        const view = viewOf(array);
        ipv4.writeTtl(view, 0, ttl);
        ipv4.writeChecksum(view, 0);
        const expected = array.slice();
        expected[ipv4.IPV4_TTL] = ttl - 1;
        ipv4.writeChecksum(viewOf(expected), 0);
        ipv4.decrementTtl(view, 0);
        expect(array).toEqual(expected);
        expect(ipv4.checksumIsRight(view, 0)).toBe(true);
      }),
    );
  });

  it("keeps a wrong checksum wrong: the real server shall see it as it came", () => {
    fc.assert(
      fc.property(header, (array) => {
        const view = viewOf(array);
        ipv4.writeTtl(view, 0, 64);
        ipv4.writeChecksum(view, 0);
        view.setUint16(ipv4.IPV4_CHECKSUM, view.getUint16(ipv4.IPV4_CHECKSUM) ^ 0x0100);
        ipv4.decrementTtl(view, 0);
        expect(checksum(view, 0, ipv4.headerLength(view, 0))).not.toBe(0);
      }),
    );
  });
});

describe("fragments", () => {
  it.each([
    [0x0000, false, 0],
    [0x4000, false, 0], // DF alone
    [0x2000, true, 0], // the first
    [0x2001, true, 8],
    [0x1fff, true, 65528], // the last possible
  ])("flags and offset %i", (bits, fragment, offset) => {
    const view = viewOf(new Uint8Array(20));
    view.setUint16(ipv4.IPV4_FLAGS_OFFSET, bits);
    expect(ipv4.isFragment(view, 0)).toBe(fragment);
    expect(ipv4.fragmentOffset(view, 0)).toBe(offset);
  });
});

/** A packet of these extension headers: [number, bytes of the header]. */
function packet(chain: readonly (readonly [number, number[]])[], last: number, payload: number): Uint8Array {
  const numbers = [...chain.map(([number]) => number), last];
  const body = chain.flatMap(([, content], i) => [numbers[i + 1]!, ...content.slice(1)]);
  const array = Uint8Array.from([...new Array(40).fill(0), ...body, ...new Array(payload).fill(0)]);
  array[0] = 0x60;
  array[ipv6.IPV6_NEXT_HEADER] = numbers[0]!;
  return array;
}

const HOP_BY_HOP: [number, number[]] = [0, [0, 0, 1, 4, 0, 0, 0, 0]];
const ROUTING: [number, number[]] = [43, [0, 1, ...new Array(14).fill(0)]];
const AUTHENTICATION: [number, number[]] = [51, [0, 4, ...new Array(22).fill(0)]];
const fragment = (offset: number, more: number): [number, number[]] => [
  44,
  [0, 0, offset >>> 8, (offset & 0xf8) | more, 0xde, 0xad, 0xbe, 0xef],
];

describe("walking IPv6 extension headers", () => {
  const walk = ipv6.createWalk();

  it("passes over every kind and finds the transport header", () => {
    const array = packet([HOP_BY_HOP, ROUTING, AUTHENTICATION], 6, 20);
    expect(ipv6.walkExtensions(viewOf(array), 0, array.length, walk)).toBe(true);
    expect(walk).toMatchObject({ protocol: 6, at: 40 + 8 + 16 + 24, fragmentAt: -1, moreFragments: false });
  });

  it("reads the fragment header and goes on only in a first fragment", () => {
    const first = packet([HOP_BY_HOP, fragment(0, 1), ROUTING], 17, 8);
    expect(ipv6.walkExtensions(viewOf(first), 0, first.length, walk)).toBe(true);
    expect(walk).toMatchObject({
      protocol: 17,
      at: 72,
      fragmentAt: 48,
      fragmentOffset: 0,
      moreFragments: true,
    });
    expect(walk.identification).toBe(0xdeadbeef);
    const later = packet([HOP_BY_HOP, fragment(1448, 0)], 43, 30); // what follows looks like a routing header
    expect(ipv6.walkExtensions(viewOf(later), 0, later.length, walk)).toBe(true);
    expect(walk).toMatchObject({ protocol: 43, at: 56, fragmentOffset: 1448, moreFragments: false });
  });

  it("forgets the packet before", () => {
    const plain = packet([], 6, 20);
    expect(ipv6.walkExtensions(viewOf(plain), 0, plain.length, walk)).toBe(true);
    expect(walk).toEqual({ ...ipv6.createWalk(), protocol: 6, at: 40 });
  });

  it("fails at every truncation inside the chain, and never reads beyond it", () => {
    const whole = packet([HOP_BY_HOP, ROUTING, AUTHENTICATION, fragment(0, 1)], 6, 0);
    for (let end = 40; end < whole.length; end++)
      expect(ipv6.walkExtensions(viewOf(whole.slice(0, end)), 0, end, walk)).toBe(false);
  });

  it("ends on any bytes, inside them", () => {
    fc.assert(
      fc.property(fc.constantFrom(0, 43, 44, 51, 60, 135), u8, bytes(300), (next, length, noise) => {
        const array = Uint8Array.from([...new Array(40).fill(0), next, length, ...noise]);
        array[ipv6.IPV6_NEXT_HEADER] = next;
        if (ipv6.walkExtensions(viewOf(array), 0, array.length, walk))
          expect(walk.at).toBeLessThanOrEqual(array.length);
      }),
    );
  });
});
