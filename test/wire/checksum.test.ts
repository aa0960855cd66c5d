import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checksum, finish, fold, pseudoHeaderSum, sum, update } from "../../src/wire/checksum.ts";
import { bytes, fromHex, u16, u32, viewOf } from "./bytes.ts";

/** The definition, word for word (RFC 1071 §1), on BigInts and with end-around carry at every step. */
function plainly(array: Uint8Array): number {
  const even = array.length % 2 === 0 ? array : Uint8Array.from([...array, 0]);
  let total = 0n;
  for (let i = 0; i < even.length; i += 2) {
    total += BigInt(even[i]! * 256 + even[i + 1]!);
    if (total > 0xffffn) total -= 0xffffn;
  }
  return Number(total);
}

describe("the Internet checksum", () => {
  it("is the ones' complement sum of RFC 1071, for odd lengths and any offset too", () => {
    fc.assert(
      fc.property(bytes(100), fc.nat(7), (array, offset) => {
        const at = Math.min(offset, array.length);
        const view = viewOf(array);
        const folded = fold(sum(view, at, array.length - at));
        expect(folded % 0xffff).toBe(plainly(array.subarray(at)) % 0xffff); // 0 and 0xffff are both zero
      }),
    );
  });

  it("is that of RFC 1071 §3's example", () => {
    expect(fold(sum(viewOf(fromHex("0001f203f4f5f6f7")), 0, 8))).toBe(0xddf2);
  });

  it("of bytes that hold their checksum is zero", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 80 }), (array) => {
        const view = viewOf(array);
        view.setUint16(2, 0);
        view.setUint16(2, checksum(view, 0, array.length));
        expect(checksum(view, 0, array.length)).toBe(0);
      }),
    );
  });

  it("holds sums beyond 32 bits", () => {
    const view = viewOf(new Uint8Array(2 ** 18).fill(0xff));
    expect(fold(sum(view, 0, 2 ** 18, 2 ** 40))).toBe(plainly(fromHex("0100"))); // 2^40 mod 65535 is 256
  });

  it("of a pseudo-header is that of its twelve bytes", () => {
    fc.assert(
      fc.property(u32, u32, fc.nat(255), u16, (source, destination, protocol, length) => {
        const view = new DataView(new ArrayBuffer(12));
        view.setUint32(0, source);
        view.setUint32(4, destination);
        view.setUint8(9, protocol);
        view.setUint16(10, length);
        expect(finish(pseudoHeaderSum(source, destination, protocol, length))).toBe(checksum(view, 0, 12));
      }),
    );
  });
});

describe("the incremental update", () => {
  it("equals computing anew, whatever changes (RFC 1624 eqn 3)", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 20, maxLength: 20 }), u16, (header, after) => {
        // A version byte keeps the sum from being zero, where both 0x0000 and 0xffff would be right.
        header[0] = 0x45;
        const view = viewOf(header);
        view.setUint16(10, 0);
        view.setUint16(10, checksum(view, 0, 20));
        const updated = update(view.getUint16(10), view.getUint16(8), after);
        view.setUint16(8, after);
        view.setUint16(10, 0);
        expect(updated).toBe(checksum(view, 0, 20));
      }),
    );
  });

  it("passes the case that RFC 1141's equation got wrong (RFC 1624 §5)", () => {
    expect(update(0xdd2f, 0x5555, 0x3285)).toBe(0x0000);
  });
});
