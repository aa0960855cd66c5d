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

/**
 * What no replay can decide: twos draws lots (its distribution has a test of its own), and captures taken where no
 * director forwards.
 */
const NOT_COVERED = [
  "misc/twos_run1.json.gz",
  "misc/twos_run2.json.gz",
  "pcap/dr_client.pcap",
  "pcap/dr_rs1.pcap",
];

const recordings = filesOf(RECORDINGS)
  .filter(isRecording)
  .filter((file) => !NOT_COVERED.includes(shortName(RECORDINGS, file)));

async function hold(file: string, shards: number): Promise<void> {
  const result = await replayFile(file, shards);
  expect(result.notCovered).toBeUndefined();
  expect(result.mismatches).toEqual([]);
  expect(result.decisions).toBeGreaterThan(0);
}

describe("the recorded kernel", () => {
  for (const file of recordings) {
    it(shortName(RECORDINGS, file), () => hold(file, 1));
  }

  it("is covered whole, but for what draws lots and what was captured elsewhere", async () => {
    for (const name of NOT_COVERED)
      expect((await replayFile(`${RECORDINGS}${name}`, 1)).notCovered).toBeTruthy();
  });
});

describe("the recorded kernel, against three shards that get each other's frames", () => {
  const names = recordings.map((file) => shortName(RECORDINGS, file));
  for (const name of names.filter((each) => !ONE_SHARD_ONLY.test(each))) {
    it(name, () => hold(`${RECORDINGS}${name}`, 3));
  }
});
