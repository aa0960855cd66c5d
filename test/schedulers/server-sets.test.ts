import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ServerSets } from "../../src/schedulers/server-sets.ts";

function listOf(sets: ServerSets, set: number): number[] {
  const list: number[] = [];
  for (let node = set; node !== 0; node = sets.after(node)) list.push(sets.server(node));
  return list;
}

const step = fc.record({
  kind: fc.constantFrom("with", "with", "with", "without", "free"),
  set: fc.nat(3),
  server: fc.nat(9),
});

describe("sets of servers", () => {
  it("are what lists would be, the newest first, whatever happens to the other sets", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const sets = new ServerSets();
        const heads = [0, 0, 0, 0];
        const lists: number[][] = [[], [], [], []];
        for (const { kind, set, server } of steps) {
          const list = lists[set]!;
          expect(sets.has(heads[set]!, server)).toBe(list.includes(server));
          if (kind === "with" && !list.includes(server)) {
            heads[set] = sets.with(heads[set]!, server);
            list.unshift(server);
          }
          if (kind === "without" && list.includes(server)) {
            heads[set] = sets.without(heads[set]!, server);
            list.splice(list.indexOf(server), 1);
          }
          if (kind === "free") {
            sets.free(heads[set]!);
            heads[set] = 0;
            list.length = 0;
          }
          expect(heads.map((head) => listOf(sets, head))).toEqual(lists);
        }
      }),
    );
  });

  it("lose whichever is asked for, wherever it stands", () => {
    for (const gone of [1, 2, 3, 4]) {
      const sets = new ServerSets();
      const set = [1, 2, 3, 4].reduce((head, server) => sets.with(head, server), 0);
      expect(listOf(sets, sets.without(set, gone))).toEqual([4, 3, 2, 1].filter((server) => server !== gone));
    }
  });

  it("grow, and give their room back when they are freed or lose a server", () => {
    const sets = new ServerSets();
    const fill = (): number[] =>
      Array.from({ length: 100 }, (_, i) => sets.with(sets.with(sets.with(0, i), i + 1), i + 2));
    let heads = fill();
    expect(heads.map((head, i) => listOf(sets, head).join() === `${i + 2},${i + 1},${i}`)).not.toContain(
      false,
    );
    const most = sets.with(0, 0);
    sets.free(most);
    for (let round = 0; round < 3; round++) {
      for (const [i, head] of heads.entries()) sets.free(sets.without(sets.without(head, i + 1), i + 2));
      heads = fill();
      expect(Math.max(...heads)).toBeLessThanOrEqual(most);
    }
  });
});
