/** A worker thread of `dr-director replay`: one capture a task. */

import { loadSchedulers } from "../control/scheduler-modules.ts";
import { type ReplayJob, type ReplayReport, replayFile } from "./replay-file.ts";

export interface ReplayTask {
  readonly job: ReplayJob;
  readonly schedulers: readonly string[];
  /** One number a file, 0 to 1: how much of it has been read. */
  readonly progress: SharedArrayBuffer;
  readonly index: number;
}

export async function runTask({ job, schedulers, progress, index }: ReplayTask): Promise<ReplayReport> {
  await loadSchedulers(schedulers);
  const shares = new Float64Array(progress);
  return replayFile(job, (share) => {
    shares[index] = share;
  });
}

/** piscina calls a worker file's default export. */
// biome-ignore lint/style/noDefaultExport: piscina wants it
export default runTask;
