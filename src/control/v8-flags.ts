/** How V8 is to treat the data path: for the thread or program that runs a shard, before its first turn. */
import { setFlagsFromString } from "node:v8";

/**
 * Room for each pass over a burst with all it calls (dataplane/passes.ts); V8's defaults are for web pages. The second
 * bound holds for the smallest functions too, which V8 else inlines always: with it alone left as it is, a new
 * connection calls a dozen functions of two lines each, which made its set-up a third dearer (docs/decisions/0009).
 */
const FLAGS = ["--max-inlined-bytecode-size-cumulative=10000", "--max-inlined-bytecode-size-absolute=20000"];

export function tuneV8(): void {
  for (const flag of FLAGS) setFlagsFromString(flag);
}
