import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { completeChecksum } from "../../src/ring/half-done.ts";
import { checksum, fold, pseudoHeaderSum, pseudoHeaderSum6 } from "../../src/wire/checksum.ts";

const AT = 258; // 2 mod 4, as rings place frames

interface Shape {
  readonly tag: boolean;
  readonly six: boolean;
  readonly udp: boolean;
  readonly options: number;
  readonly data: Uint8Array;
}
const shape = fc.record<Shape>({
  tag: fc.boolean(),
  six: fc.boolean(),
  udp: fc.boolean(),
  options: fc.integer({ min: 0, max: 10 }),
  data: fc.uint8Array({ maxLength: 200 }),
});

function memory() {
  const buffer = new ArrayBuffer(1024);
  return { bytes: new Uint8Array(buffer), view: new DataView(buffer), words: new Uint32Array(buffer) };
}

/** Writes the frame with its checksum finished; returns where everything is. */
function write(into: ReturnType<typeof memory>, { tag, six, udp, options, data }: Shape) {
  const { bytes, view } = into;
  const type = six ? 0x86dd : 0x0800;
  const ip = AT + 14 + (tag ? 4 : 0);
  if (tag) view.setUint32(AT + 12, 0x81000007);
  view.setUint16(ip - 2, type);
  const header = six ? 40 : 20 + options * 4;
  const transport = ip + header;
  const size = (udp ? 8 : 20) + data.length;
  const protocol = udp ? 17 : 6;
  for (let i = 0; i < 32; i++) bytes[ip + 8 + i] = i * 37 + data.length;
  if (six) {
    view.setUint32(ip, 0x60000000);
    view.setUint16(ip + 4, size);
    bytes[ip + 6] = protocol;
  } else {
    bytes[ip] = 0x40 | (header / 4);
    view.setUint16(ip + 2, header + size);
    view.setUint16(ip + 6, 0x4000);
    bytes[ip + 9] = protocol;
  }
  for (let i = 0; i < (udp ? 8 : 20); i++) bytes[transport + i] = i * 11;
  bytes.set(data, transport + (udp ? 8 : 20));
  const field = transport + (udp ? 6 : 16);
  view.setUint16(field, 0);
  const pseudo = six
    ? pseudoHeaderSum6(view, ip + 8, protocol, size)
    : pseudoHeaderSum(view.getUint32(ip + 12), view.getUint32(ip + 16), protocol, size);
  const finished = checksum(view, transport, size, pseudo) || (udp ? 0xffff : 0);
  view.setUint16(field, finished);
  return { length: transport + size - AT, field, finished, half: fold(pseudo), ip };
}

describe("a half-done checksum", () => {
  it("is completed to what a NIC would have written", () => {
    fc.assert(
      fc.property(shape, (one) => {
        const into = memory();
        const { length, field, finished, half } = write(into, one);
        into.view.setUint16(field, half);
        expect(completeChecksum(into, AT, length)).toBe(true);
        expect(into.view.getUint16(field)).toBe(finished);
      }),
      { numRuns: 500 },
    );
  });

  it("of UDP never becomes 0, which would say that there is none", () => {
    const into = memory();
    const one = { tag: false, six: false, udp: true, options: 0, data: new Uint8Array(2) };
    const { length, field, finished, half } = write(into, one);
    // With its own checksum as data the sum is all ones, and its complement 0.
    into.view.setUint16(AT + length - 2, finished);
    into.view.setUint16(field, half);
    expect(completeChecksum(into, AT, length)).toBe(true);
    expect(into.view.getUint16(field)).toBe(0xffff);
  });

  it("is told from a finished one, which stays as it is, right or wrong", () => {
    fc.assert(
      fc.property(shape, fc.nat(0xffff), (one, other) => {
        const into = memory();
        const { length, field, finished, half } = write(into, one);
        completeChecksum(into, AT, length);
        expect(into.view.getUint16(field)).toBe(finished);
        if (other === half) return;
        into.view.setUint16(field, other);
        expect(completeChecksum(into, AT, length)).toBe(false);
        expect(into.view.getUint16(field)).toBe(other);
      }),
    );
  });

  it("is not looked for in fragments, cut frames and other protocols", () => {
    const into = memory();
    const one = { tag: false, six: false, udp: false, options: 0, data: new Uint8Array(20) };
    const { length, field, half, ip } = write(into, one);
    into.view.setUint16(field, half);
    for (let cut = 0; cut < length; cut++) expect(completeChecksum(into, AT, cut)).toBe(false);
    for (const fragment of [0x2000, 1]) {
      into.view.setUint16(ip + 6, fragment);
      expect(completeChecksum(into, AT, length)).toBe(false);
    }
    into.view.setUint16(ip + 6, 0);
    into.bytes[ip + 9] = 1;
    expect(completeChecksum(into, AT, length)).toBe(false);
  });
});
