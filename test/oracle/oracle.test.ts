/** Every recording of the real kernel's IPVS, replayed against the real director: no decision may differ. */
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { replayFile } from "./files.ts";
import { filesOf, isRecording, shortName } from "./scenario.ts";

const RECORDINGS = fileURLToPath(new URL("recordings/", import.meta.url));
/**
 * What several shards do otherwise than the kernel's one: lblc and lblcr remember per shard who serves an address, and
 * each shard counts for itself which new connection drop_packet hits.
 */
const ONE_SHARD_ONLY = /^(?:fuzz|sched)\/lblcr?[_-]|^semantics\/drop_modes/;

const recordings = filesOf(RECORDINGS).filter(isRecording);

async function hold(file: string, shards: number, skip: (reason: string) => void): Promise<void> {
  const result = await replayFile(file, shards);
  if (result.notCovered !== undefined) skip(result.notCovered);
  expect(result.mismatches).toEqual([]);
  expect(result.decisions).toBeGreaterThan(0);
}

describe("the recorded kernel", () => {
  for (const file of recordings) {
    it(shortName(RECORDINGS, file), (context) => hold(file, 1, (reason) => context.skip(reason)));
  }
});

describe("the recorded kernel, against three shards that get each other's frames", () => {
  const names = recordings.map((file) => shortName(RECORDINGS, file));
  for (const name of names.filter((each) => !ONE_SHARD_ONLY.test(each))) {
    it(name, (context) => hold(`${RECORDINGS}${name}`, 3, (reason) => context.skip(reason)));
  }
});
