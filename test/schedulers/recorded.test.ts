/** Every decision that the real kernel's schedulers were recorded to make, made again. */
import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Replay, readRecording } from "./replay.ts";

const ROOT = new URL("../oracle/recordings/", import.meta.url);

/** The scheduler's name is what stands before the first of "+", "-", "_". */
function recordings(folder: string): Map<string, string[]> {
  const byScheduler = new Map<string, string[]>();
  for (const file of readdirSync(new URL(folder, ROOT))) {
    const name = /^[a-z]+/.exec(file)![0];
    byScheduler.set(name, [...(byScheduler.get(name) ?? []), file]);
  }
  return byScheduler;
}

function replayAll(
  folder: string,
  files: readonly string[],
  shards: number,
): { decisions: number; mismatches: string[] } {
  let decisions = 0;
  const mismatches: string[] = [];
  for (const file of files) {
    const replay = new Replay(readRecording(new URL(`${folder}/${file}`, ROOT).pathname), shards);
    decisions += replay.decisions;
    for (const mismatch of replay.mismatches) mismatches.push(`${file} ${mismatch}`);
  }
  return { decisions, mismatches };
}

describe.each(["sched", "fuzz", "threshold", "overhead"])("the kernel's recordings in %s/", (folder) => {
  for (const [name, files] of recordings(folder)) {
    it(`${name} decides and counts alike`, () => {
      const { decisions, mismatches } = replayAll(folder, files, 1);
      expect(mismatches.slice(0, 10)).toEqual([]);
      expect(decisions).toBeGreaterThan(10);
    });

    // lblc and lblcr learn in each shard for itself (locality.ts).
    if (name.startsWith("lblc")) continue;
    it(`${name} decides alike when three shards share the connections`, () => {
      expect(replayAll(folder, files, 3).mismatches.slice(0, 10)).toEqual([]);
    });
  }
});
