/**
 * One case of the path bench, in a process of its own: `case.js <name>` makes the world, then runs one round for each
 * line it reads and answers each with one line of JSON. So the rounds of several cases can take turns, and V8 sees
 * one shard, as in a daemon's thread.
 */
import { createInterface } from "node:readline";
import { tuneV8 } from "../../src/control/v8-flags.ts";
import { CASES, type Case } from "./cases.ts";
import { Established } from "./established.ts";
import { SetUp } from "./set-up.ts";

/** CPU nanoseconds by what was measured: per frame, per connection. */
export type Round = Readonly<Record<string, number>>;

export interface Runner {
  round(): Round;
}

tuneV8();

function makeRunner(its: Case): Runner {
  return its.kind === "established" ? new Established(its) : new SetUp(its);
}

const name = process.argv[2] ?? "";
const its = CASES[name];
if (its === undefined) throw new Error(`no case "${name}"; there are ${Object.keys(CASES).join(", ")}`);
const runner = makeRunner(its);
process.stdout.write(`${JSON.stringify({ ready: name, resident: process.memoryUsage.rss() })}\n`);
for await (const line of createInterface({ input: process.stdin })) {
  if (line === "end") break;
  process.stdout.write(`${JSON.stringify(runner.round())}\n`);
}
