/** One stage of the micro bench in a process of its own, so that V8 sees one shard: `micro.js NAME MILLISECONDS`. */
import { tuneV8 } from "../../src/control/v8-flags.ts";
import { measure } from "./measure.ts";
import {
  classifyStage,
  expiryStage,
  lookUpStage,
  newConnectionStage,
  rewriteStage,
  type Stage,
  schedulerStage,
} from "./stages.ts";

const SIMPLE: Readonly<Record<string, () => Stage>> = {
  classify: classifyStage,
  rewrite: rewriteStage,
  "new-connection": newConnectionStage,
  expiry: expiryStage,
};

function stageOf(name: string): Stage {
  const [kind, what] = name.split(":");
  if (kind === "look-up") return lookUpStage(Number(what));
  if (kind === "scheduler") return schedulerStage(what!);
  const make = SIMPLE[name];
  if (make === undefined) throw new Error(`no stage "${name}"`);
  return make();
}

tuneV8();
const [measured] = measure([stageOf(process.argv[2] ?? "")], Number(process.argv[3] ?? 500));
process.stdout.write(`${JSON.stringify(measured)}\n`);
