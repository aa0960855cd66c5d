import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { halfSipHash } from "../../src/schedulers/siphash.ts";

const MASK = (1n << 64n) - 1n;

/** SipHash-c-d as in the paper, section 2, in BigInt. */
function sipHash(c: number, d: number, key: readonly [bigint, bigint], message: Uint8Array): bigint {
  const v = [0x736f6d6570736575n, 0x646f72616e646f6dn, 0x6c7967656e657261n, 0x7465646279746573n].map(
    (word, i) => word ^ key[i & 1]!,
  ) as [bigint, bigint, bigint, bigint];
  const rotate = (x: bigint, n: bigint): bigint => ((x << n) | (x >> (64n - n))) & MASK;
  const round = (): void => {
    v[0] = (v[0] + v[1]) & MASK;
    v[1] = rotate(v[1], 13n) ^ v[0];
    v[0] = rotate(v[0], 32n);
    v[2] = (v[2] + v[3]) & MASK;
    v[3] = rotate(v[3], 16n) ^ v[2];
    v[0] = (v[0] + v[3]) & MASK;
    v[3] = rotate(v[3], 21n) ^ v[0];
    v[2] = (v[2] + v[1]) & MASK;
    v[1] = rotate(v[1], 17n) ^ v[2];
    v[2] = rotate(v[2], 32n);
  };
  const padded = new Uint8Array((Math.floor(message.length / 8) + 1) * 8);
  padded.set(message);
  padded[padded.length - 1] = message.length;
  const view = new DataView(padded.buffer);
  for (let at = 0; at < padded.length; at += 8) {
    const word = view.getBigUint64(at, true);
    v[3] ^= word;
    for (let i = 0; i < c; i++) round();
    v[0] ^= word;
  }
  v[2] ^= 0xffn;
  for (let i = 0; i < d; i++) round();
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

function wordBytes(word: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, word, true);
  return bytes;
}

describe("SipHash-1-3 of a word", () => {
  it("is judged by an oracle that gives the paper's own SipHash-2-4 value (appendix A)", () => {
    const message = Uint8Array.from({ length: 15 }, (_, i) => i);
    const key = [0x0706050403020100n, 0x0f0e0d0c0b0a0908n] as const;
    expect(sipHash(2, 4, key, message)).toBe(0xa129ca6149be45e5n);
  });

  it("equals the oracle for any key and word", () => {
    const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
    fc.assert(
      fc.property(u32, u32, (key, word) => {
        const whole = sipHash(1, 3, [BigInt(key), BigInt(key)], wordBytes(word));
        expect(halfSipHash(key, word)).toBe(Number(whole & 0xffff_ffffn));
      }),
      { numRuns: 2000 },
    );
  });
});
