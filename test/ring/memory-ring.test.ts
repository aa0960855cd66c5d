import { describe, expect, it } from "vitest";
import { createBurst } from "../../src/ring/burst.ts";
import { MemoryRing } from "../../src/ring/memory-ring.ts";

const frame = (fill: number, length = 60) => new Uint8Array(length).fill(fill);

describe("the memory ring", () => {
  it("hands frames out in order, a burst at a time, and each once", () => {
    const ring = new MemoryRing();
    const burst = createBurst(4);
    for (let i = 0; i < 6; i++) ring.inject(frame(i, 60 + i));
    expect(ring.peek(burst)).toBe(4);
    expect([...burst.length]).toEqual([60, 61, 62, 63]);
    expect([...burst.at].map((at) => ring.bytes[at])).toEqual([0, 1, 2, 3]);
    expect(ring.peek(burst)).toBe(2);
    ring.release();
    expect(ring.peek(burst)).toBe(0);
  });

  it("sends a frame as it stands at flush, not at submit", () => {
    const ring = new MemoryRing();
    const burst = createBurst();
    ring.inject(frame(1));
    ring.peek(burst);
    ring.submit(burst.at[0]!, 60);
    ring.bytes[burst.at[0]!] = 9;
    expect(ring.takeSent()).toEqual([]);
    expect(ring.flush()).toBe(0);
    expect(ring.takeSent()[0]![0]).toBe(9);
  });

  it("is full until frames are given back, and counts what it drops", () => {
    const ring = new MemoryRing({ slots: 2 });
    const burst = createBurst();
    expect([ring.inject(frame(1)), ring.inject(frame(2)), ring.inject(frame(3))]).toEqual([
      true,
      true,
      false,
    ]);
    ring.peek(burst);
    expect(ring.inject(frame(4))).toBe(false);
    ring.release();
    expect(ring.inject(frame(5))).toBe(true);
    expect(ring.drops()).toBe(2);
  });

  it("has IP on a multiple of four, in slots and in places of our own", () => {
    const ring = new MemoryRing();
    const burst = createBurst();
    ring.inject(frame(1));
    ring.peek(burst);
    for (const at of [burst.at[0]!, ring.reserve(100), ring.reserve(60_000)]) expect((at + 14) % 4).toBe(0);
  });

  it("zeroes the headroom of a place of our own", () => {
    const ring = new MemoryRing({ arena: { small: 1, big: 0 } });
    const first = ring.reserve(100);
    ring.bytes.fill(0xff, first - ring.headroom, first);
    ring.submit(first, 100);
    ring.flush();
    const again = ring.reserve(100);
    expect(again).toBe(first);
    expect([...ring.bytes.subarray(again - ring.headroom, again)]).toEqual(new Array(10).fill(0));
  });

  it("counts the frames that the kernel would refuse, and sends the others", () => {
    const ring = new MemoryRing({ refuse: (i) => i === 1 });
    const burst = createBurst();
    for (let i = 0; i < 3; i++) ring.inject(frame(i));
    ring.peek(burst);
    for (let i = 0; i < 3; i++) ring.submit(burst.at[i]!, burst.length[i]!);
    expect(ring.flush()).toBe(1);
    expect(ring.takeSent().map((sent) => sent[0])).toEqual([0, 2]);
  });

  it("knows a super-frame", () => {
    const ring = new MemoryRing({ slotBytes: 65_600 });
    const burst = createBurst();
    ring.inject(frame(1, 65_000), true);
    ring.inject(frame(2));
    ring.peek(burst);
    expect([ring.isSuperFrame(burst.at[0]!), ring.isSuperFrame(burst.at[1]!)]).toEqual([true, false]);
  });

  it("lets the same frames come again without copying", () => {
    const ring = new MemoryRing({ slots: 4 });
    const burst = createBurst();
    for (let i = 0; i < 4; i++) ring.inject(frame(i));
    for (let round = 0; round < 3; round++) {
      expect(ring.peek(burst)).toBe(4);
      expect([...burst.at.subarray(0, 4)].map((at) => ring.bytes[at])).toEqual([0, 1, 2, 3]);
      ring.release();
      ring.injectAgain(10);
    }
  });
});
