/**
 * Scenarios by lot against a second telling of the kernel's book-keeping (book/): every scheduler, setting, command
 * and packet in any order. The recordings say what the kernel does; the book says it for what was not recorded.
 */
import { describe, expect, it } from "vitest";
import { ALL, Scenario } from "./book/scenario.ts";

const SEEDS = Number(process.env.BOOK_SEEDS ?? 3);
const FIRST = Number(process.env.BOOK_FIRST ?? 1);
const STEPS = 300;

async function play(seed: number, schedulers: readonly string[], shards: number): Promise<void> {
  const scenario = new Scenario(seed, shards, schedulers);
  for (let step = 0; step < STEPS; step++) {
    const differs = await scenario.step();
    if (differs === undefined) continue;
    expect.fail(`seed ${seed}, step ${step}: ${differs}\n${scenario.log.slice(-40).join("\n")}`);
  }
}

/** Each shard remembers for itself who serves an address. */
const AGREED = ALL.filter((name) => !name.startsWith("lblc"));

describe("by the kernel's book", () => {
  for (const scheduler of ALL) {
    it(`${scheduler} decides and counts the same, whatever happens`, async () => {
      for (let i = 0; i < SEEDS; i++) await play(FIRST + i * 101 + ALL.indexOf(scheduler), [scheduler], 1);
    });
  }
  it("schedulers that are exchanged under way decide and count the same", async () => {
    for (let i = 0; i < SEEDS * 3; i++) await play(FIRST + 5000 + i, ALL, 1);
  });
  it("three shards that get each other's frames decide and count the same", async () => {
    for (let i = 0; i < SEEDS * 3; i++) await play(FIRST + 9000 + i, AGREED, 3);
  });
});
