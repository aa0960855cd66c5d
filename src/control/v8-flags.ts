/** How V8 is to treat the data path: for the thread or program that runs a shard, before its first turn. */
import { setFlagsFromString } from "node:v8";

/** Room for each pass over a burst with all it calls (dataplane/passes.ts); V8's default is for web pages. */
export function tuneV8(): void {
  setFlagsFromString("--max-inlined-bytecode-size-cumulative=6000");
}
