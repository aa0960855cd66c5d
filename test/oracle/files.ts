/** Replays whatever a file holds. */
import { type Result, replayScenario } from "./replay.ts";
import { isRecording, readRecording } from "./scenario.ts";
import { replaySession } from "./session.ts";

export async function replayFile(file: string): Promise<Result> {
  const nothing = { decisions: 0, mismatches: [] };
  if (!isRecording(file)) return { ...nothing, notCovered: "not a recording of steps" };
  const recording = readRecording(file);
  switch (recording.format) {
    case "ipvs-oracle/1":
      return replayScenario(recording);
    case "ipvs-oracle-cli/1":
      return replaySession(recording);
    default:
      return { ...nothing, notCovered: `not a recording of steps (it holds ${recording.keys.join(", ")})` };
  }
}
