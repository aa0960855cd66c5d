/** Replays whatever a file holds. */
import { replayPairs } from "./pairs.ts";
import { type Result, replayScenario } from "./replay.ts";
import { readRecording } from "./scenario.ts";
import { replaySession } from "./session.ts";

export async function replayFile(file: string, shards = 1): Promise<Result> {
  const recording = readRecording(file);
  switch (recording.format) {
    case "ipvs-oracle/1":
      return replayScenario(recording, shards);
    case "ipvs-oracle-cli/1":
      return replaySession(recording, shards);
    case "pairs":
      return replayPairs(recording, shards);
    default:
      return { decisions: 0, mismatches: [], skipped: 0, notCovered: recording.reason };
  }
}
