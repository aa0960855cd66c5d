import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Arena, BIG_SLOT, FRAME_START, SMALL_SLOT } from "../../src/ring/arena.ts";

describe("places for frames of our own", () => {
  it("never hands out the same bytes twice, whatever is taken and given back", () => {
    const step = fc.record({
      big: fc.boolean(),
      give: fc.boolean(),
      which: fc.nat(50),
      offset: fc.constantFrom(-4, 0),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const arena = new Arena(4096, { small: 5, big: 4 });
        const held: number[] = [];
        const place = (at: number) => at - FRAME_START;
        for (const { big, give, which, offset } of steps) {
          if (give && held.length > 0) {
            // A frame whose VLAN tag was put back begins four bytes earlier.
            arena.give(held.splice(which % held.length, 1)[0]! + offset);
            continue;
          }
          const at = big ? arena.takeBig() : arena.take(100);
          if (at < 0) continue;
          const size = place(at) >= 4096 + 5 * SMALL_SLOT ? BIG_SLOT : SMALL_SLOT;
          for (const other of held) {
            const otherSize = place(other) >= 4096 + 5 * SMALL_SLOT ? BIG_SLOT : SMALL_SLOT;
            expect(place(at) + size <= place(other) || place(other) + otherSize <= place(at)).toBe(true);
          }
          held.push(at);
        }
      }),
    );
  });

  it("keeps half of the big places for super-frames", () => {
    const arena = new Arena(0, { small: 0, big: 4 });
    expect([arena.take(5000), arena.take(5000)].every((at) => at >= 0)).toBe(true);
    expect(arena.take(5000)).toBe(-1);
    expect([arena.takeBig(), arena.takeBig()].every((at) => at >= 0)).toBe(true);
    expect(arena.takeBig()).toBe(-1);
  });

  it("refuses a frame that fits no place", () => {
    expect(new Arena(0, { small: 4, big: 4 }).take(BIG_SLOT)).toBe(-1);
    expect(new Arena(0, { small: 4, big: 0 }).take(SMALL_SLOT - FRAME_START + 1)).toBe(-1);
    expect(new Arena(0, { small: 4, big: 0 }).take(SMALL_SLOT - FRAME_START)).toBeGreaterThan(0);
  });
});
