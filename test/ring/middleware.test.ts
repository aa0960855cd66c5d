import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createBurst } from "../../src/ring/burst.ts";
import { CaptureRing } from "../../src/ring/capture.ts";
import { FaultRing, type Faults, seededRandom } from "../../src/ring/fault.ts";
import { MemoryRing } from "../../src/ring/memory-ring.ts";

const frame = (fill: number) => new Uint8Array(60).fill(fill);

describe("the capturing ring", () => {
  it("shows frames as they came and as they leave, in that order", () => {
    const seen: string[] = [];
    const memory = new MemoryRing();
    const ring = new CaptureRing(memory, (direction, bytes, at, length) =>
      seen.push(`${direction} ${bytes[at]} ${length}`),
    );
    const burst = createBurst();
    memory.inject(frame(1));
    memory.inject(frame(2));
    ring.peek(burst);
    ring.bytes[burst.at[1]!] = 7;
    ring.submit(burst.at[1]!, 60);
    const own = ring.reserve(42);
    ring.bytes[own] = 9;
    ring.submit(own, 42);
    ring.flush();
    ring.release();
    expect(seen).toEqual(["received 1 60", "received 2 60", "sent 7 60", "sent 9 42"]);
    expect(memory.takeSent().length).toBe(2);
  });

  it("flushes early when its queue is full, and says how many were refused in all", () => {
    let shown = 0;
    const memory = new MemoryRing({ refuse: (i) => i < 2 });
    const ring = new CaptureRing(memory, () => shown++, 2);
    for (let i = 0; i < 5; i++) ring.submit(ring.reserve(60), 60);
    expect(ring.flush()).toBe(2);
    expect([shown, memory.sentFrames]).toEqual([5, 3]);
  });
});

/** Sends all of `count` numbered frames on and returns the numbers in the order they left. */
function run(count: number, faults: Faults, seed: number, forward = () => true) {
  const memory = new MemoryRing({ slots: 64, arena: { small: 8, big: 0 } });
  const ring = new FaultRing(memory, faults, seededRandom(seed));
  const burst = createBurst(8);
  let injected = 0;
  for (let turn = 0; turn < count + 50; turn++) {
    for (let i = 0; i < 3 && injected < count; i++) memory.inject(frame(injected++));
    ring.peek(burst);
    for (let i = 0; i < burst.count; i++) if (forward()) ring.submit(burst.at[i]!, burst.length[i]!);
    ring.flush();
    ring.release();
  }
  return { sent: memory.takeSent(), counts: ring.counts, memory };
}

describe("the ring with a bad wire", () => {
  it("does nothing when no fault is named", () => {
    const { sent } = run(100, {}, 1);
    expect(sent.map((one) => one[0])).toEqual([...Array(100).keys()]);
  });

  it("loses, doubles, delays and damages exactly as many frames as it says", () => {
    const probability = fc.constantFrom(0, 0.1, 0.5, 1);
    const faults = fc.record({
      drop: probability,
      duplicate: probability,
      corrupt: probability,
      reorder: probability,
      delay: probability,
    });
    fc.assert(
      fc.property(faults, fc.nat(), (wanted, seed) => {
        const { sent, counts } = run(100, wanted, seed);
        expect(sent.length).toBe(100 - counts.dropped + counts.duplicated);
        if (wanted.corrupt === 0) {
          const numbers = new Set(sent.map((one) => one[0]));
          expect(numbers.size).toBe(100 - counts.dropped);
          for (const one of sent) expect(one).toEqual(frame(one[0]!));
        }
        if (wanted.drop === 1) expect(sent.length).toBe(0);
        if (wanted.corrupt === 1 && wanted.duplicate === 0)
          for (const one of sent) expect(bitsFrom(one)).toBe(1);
      }),
    );
  });

  it("gives its places back, whether frames are sent on or not", () => {
    let turn = 0;
    const { memory } = run(200, { duplicate: 0.7, delay: 0.3 }, 5, () => turn++ % 3 === 0);
    const places = Array.from({ length: 9 }, () => memory.reserve(60));
    expect(places.filter((at) => at >= 0).length).toBe(8);
  });

  it("does the same again with the same seed", () => {
    const faults = { drop: 0.2, duplicate: 0.2, corrupt: 0.2, reorder: 0.2, delay: 0.2 };
    expect(run(100, faults, 42).sent).toEqual(run(100, faults, 42).sent);
    expect(run(100, faults, 42).sent).not.toEqual(run(100, faults, 43).sent);
  });
});

/** Bits by which a frame differs from the nearest frame of equal bytes. */
function bitsFrom(bytes: Uint8Array): number {
  let least = 8 * bytes.length;
  for (const fill of new Set(bytes)) {
    let bits = 0;
    for (const byte of bytes) for (let rest = byte ^ fill; rest > 0; rest &= rest - 1) bits++;
    least = Math.min(least, bits);
  }
  return least;
}
