/** Every recording of the real kernel's IPVS, replayed against the real director: no decision may differ. */
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { replayFile } from "./files.ts";
import { filesOf, isRecording, shortName } from "./scenario.ts";

const RECORDINGS = fileURLToPath(new URL("recordings/", import.meta.url));

describe("the recorded kernel", () => {
  for (const file of filesOf(RECORDINGS).filter(isRecording)) {
    it(shortName(RECORDINGS, file), async (context) => {
      const result = await replayFile(file);
      if (result.notCovered !== undefined) context.skip(result.notCovered);
      expect(result.mismatches).toEqual([]);
      expect(result.decisions).toBeGreaterThan(0);
    });
  }
});
