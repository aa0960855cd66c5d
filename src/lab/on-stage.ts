/** What `lab --fault` and `lab --lesson` share: a stage of their own, from the first check to the last broom. */
import { rmSync } from "node:fs";
import { write } from "./keep.ts";
import { checkNamespaces, isRoot, runInUserNamespace } from "./privilege.ts";
import { makeScratch, sweepScratch } from "./scratch.ts";
import { Stage } from "./stage.ts";
import { stopSignal } from "./stopping.ts";

/** Ended by a signal, as shells tell it. */
export const EXIT_STOPPED = 130;

/**
 * Sets a stage, plays on it, and takes everything away. `check` runs before anything is made; what it throws is told
 * in one sentence. `play` must come to an end soon after `stopped` fires. Returns the exit code.
 */
export async function onStage(
  check: () => void,
  play: (stage: Stage, stopped: AbortSignal) => Promise<number>,
): Promise<number> {
  try {
    check();
    await checkNamespaces();
    if (!isRoot()) return await runInUserNamespace();
    const stopped = stopSignal();
    sweepScratch();
    const folder = makeScratch();
    try {
      const stage = await Stage.create({ folder });
      try {
        return await play(stage, stopped);
      } finally {
        await stage.close();
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  } catch (error) {
    write(`dr-director lab: ${(error as Error).message}\n`, "stderr");
    return 1;
  }
}
