import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { putTagBack } from "../../src/ring/vlan-tag.ts";

const AT = 30;

describe("putting a stripped VLAN tag back", () => {
  it("gives the frame that was on the wire: MACs, tag, and the rest where it was", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 14, maxLength: 100 }), fc.nat(0xffff), (frame, tag) => {
        const bytes = new Uint8Array(200);
        bytes.set(frame, AT);
        putTagBack(bytes, new DataView(bytes.buffer), AT, (0x8100 << 16) | tag);
        const whole = [...frame.subarray(0, 12), 0x81, 0x00, tag >>> 8, tag & 255, ...frame.subarray(12)];
        expect([...bytes.subarray(AT - 4, AT + frame.length)]).toEqual(whole);
      }),
    );
  });

  it("moves the virtio header along, and its offsets by four where they say something", () => {
    const header = (flags: number, headers: number, start: number) => {
      const bytes = new Uint8Array(200);
      const view = new DataView(bytes.buffer);
      bytes[AT - 10] = flags;
      bytes[AT - 9] = 1;
      view.setUint16(AT - 8, headers, true);
      view.setUint16(AT - 6, 1448, true);
      view.setUint16(AT - 4, start, true);
      view.setUint16(AT - 2, 16, true);
      putTagBack(bytes, view, AT, 0x81000007);
      return [...Array(5).keys()].map((i) => view.getUint16(AT - 14 + 2 * i, true));
    };
    expect(header(1, 66, 34)).toEqual([0x0101, 70, 1448, 38, 16]);
    expect(header(0, 0, 0)).toEqual([0x0100, 0, 1448, 0, 16]);
    expect(header(2, 0, 34)).toEqual([0x0102, 0, 1448, 34, 16]); // DATA_VALID: csum_start means nothing
  });
});
