/** What explain says of a frame is what the data path then does with it: in scenarios by lot (test/kernel/book). */
import { describe, expect, it } from "vitest";
import { explain, hexText } from "../../src/dataplane/explain.ts";
import { VERDICT_NAMES } from "../../src/dataplane/verdict.ts";
import { ALL, Scenario } from "../kernel/book/scenario.ts";

const SEEDS = Number(process.env.BOOK_SEEDS ?? 4);
const FIRST = Number(process.env.BOOK_FIRST ?? 1);
const STEPS = 300;
/** One frame in so many is explained first: it takes a copy of the whole region. */
const EVERY = 7;
/** lblc and lblcr remember in the thread's own memory, of which a copy of the region knows nothing. */
const REMEMBERED = ALL.filter((name) => !name.startsWith("lblc"));

/** Looks on at a scenario's frames; what differed is in the list it returns. */
function overhear({ story: { world } }: Scenario): string[] {
  const differences: string[] = [];
  const inject = world.inject.bind(world);
  let seen = 0;
  world.inject = (frame) => {
    if (++seen % EVERY !== 0) return inject(frame);
    const told = explain(world.region, frame, { now: world.now });
    const done = inject(frame);
    const foretold = [told.verdict.name, ...told.sent.filter(isForwarded).map(({ bytes }) => bytes)].join(
      " ",
    );
    const sent = told.sent.some(isForwarded) ? done.sent.map(hexText) : [];
    const happened = [VERDICT_NAMES[done.verdict], ...sent].join(" ");
    if (foretold !== happened) differences.push(`${foretold}, but ${happened}: ${told.frame.summary}`);
    return done;
  };
  return differences;
}

/** Our own ICMP is numbered by the thread, so its bytes are not compared. */
function isForwarded({ what }: { what: string }): boolean {
  return what === "forwarded";
}

describe("explain", () => {
  it.each([1, 3])(
    "foretells what becomes of a frame, whatever happened before, with shards: %i",
    async (shards) => {
      for (let i = 0; i < SEEDS; i++) {
        const scenario = new Scenario(FIRST + 700 + i, shards, REMEMBERED);
        const differences = overhear(scenario);
        for (let step = 0; step < STEPS; step++) {
          await scenario.step();
          expect(differences, scenario.log.slice(-20).join("\n")).toEqual([]);
        }
      }
    },
  );
});
