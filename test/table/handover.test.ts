/** The queue of frames between two shards. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Columns } from "../../src/table/columns.ts";
import { HANDOVER_SLOT, HANDOVER_SLOTS, Handover } from "../../src/table/handover.ts";

/** The two ends of one queue, whose counters stand at `begun` already. */
function ends(begun = 0): { writer: Handover; reader: Handover } {
  const measure = new Columns(undefined);
  new Handover(measure);
  const memory = new SharedArrayBuffer(measure.bytes);
  const cells = new Int32Array(memory);
  cells[0] = begun; // written
  cells[16] = begun; // read: another cache line
  return { writer: new Handover(new Columns(memory)), reader: new Handover(new Columns(memory)) };
}

/** A frame that tells its number and length; it stands at byte 5 of a ring. */
function frame(n: number, length: number): Uint8Array {
  return new Uint8Array(length + 9).map((_, i) => (n * 31 + i * 7 + length) & 0xff);
}

const step = fc.oneof(
  fc.record({ push: fc.constantFrom(1, 60, 1500, HANDOVER_SLOT) }),
  fc.record({ burst: fc.integer({ min: 100, max: 200 }) }),
  fc.constant({ pop: true }),
  fc.constant({ skip: true }),
  fc.record({ drain: fc.nat(150) }),
);

describe("the queue between two shards", () => {
  it("gives out what was put in, in order, and refuses when 128 are in it", () => {
    const begins = fc.constantFrom(0, 5, 0x7fff_ffff - 60, -1);
    fc.assert(
      fc.property(begins, fc.array(step, { maxLength: 30 }), (begun, steps) => {
        const { writer, reader } = ends(begun);
        const inside: Uint8Array[] = [];
        let n = 0;
        const push = (length: number): void => {
          const bytes = frame(n++, length);
          expect(writer.push(bytes, 5, length)).toBe(inside.length < HANDOVER_SLOTS);
          if (inside.length < HANDOVER_SLOTS) inside.push(bytes.slice(5, 5 + length));
        };
        const pop = (): void => {
          const [oldest] = inside;
          expect(reader.peek()).toBe(oldest?.length ?? 0);
          if (oldest === undefined) return;
          const into = new Uint8Array(HANDOVER_SLOT + 20).fill(0xee);
          reader.pop(into, 11);
          expect(Buffer.compare(into.subarray(11, 11 + oldest.length), oldest)).toBe(0);
          expect([into[10], into[11 + oldest.length]]).toEqual([0xee, 0xee]);
          inside.shift();
        };
        for (const each of steps) {
          if ("push" in each) push(each.push);
          if ("burst" in each) for (let i = 0; i < each.burst; i++) push(60);
          if ("pop" in each) pop();
          if ("drain" in each) for (let i = 0; i < each.drain; i++) pop();
          if ("skip" in each && reader.peek() > 0) {
            reader.skip();
            inside.shift();
          }
        }
        for (let i = 0; i <= HANDOVER_SLOTS; i++) pop();
      }),
      { numRuns: 40 },
    );
  });

  it("is mended when something wrote over it: emptied if it makes no sense, else left alone", () => {
    const measure = new Columns(undefined);
    new Handover(measure);
    const memory = new SharedArrayBuffer(measure.bytes);
    const queue = new Handover(new Columns(memory));
    const cells = new Int32Array(memory, 0, 32);
    const lengths = new Int32Array(memory, 128, HANDOVER_SLOTS);
    const state = (written: number, read: number, longest = 0): [boolean, number, number] => {
      lengths.fill(60);
      lengths[77] = longest;
      cells[0] = written;
      cells[16] = read;
      return [queue.mend(), cells[0]!, cells[16]!];
    };
    for (const [written, read] of [
      [0, 0],
      [9, 3],
      [133, 5],
      [-0x7fff_ffff, 0x7fff_fff0],
    ] as const) {
      expect(state(written, read)).toEqual([true, written, read]);
    }
    expect(state(9, 3, HANDOVER_SLOT)).toEqual([true, 9, 3]);
    const broken = [state(3, 9), state(134, 5), state(9, 3, HANDOVER_SLOT + 1), state(9, 3, -1)];
    for (const [right, written, read] of broken) expect([right, written - read]).toEqual([false, 0]);
  });

  it("refuses a frame that is longer than a slot, and is none the worse", () => {
    const { writer, reader } = ends();
    expect(writer.push(new Uint8Array(4000), 0, HANDOVER_SLOT + 1)).toBe(false);
    expect(reader.peek()).toBe(0);
    expect(writer.push(new Uint8Array(4000), 0, HANDOVER_SLOT)).toBe(true);
    expect(reader.peek()).toBe(HANDOVER_SLOT);
  });
});
