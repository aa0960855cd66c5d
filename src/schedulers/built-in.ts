/** The kernel's fourteen schedulers. */
import { dh } from "./dh.ts";
import { fo } from "./fo.ts";
import { lblc } from "./lblc.ts";
import { lblcr } from "./lblcr.ts";
import { lc } from "./lc.ts";
import { mh } from "./mh.ts";
import { nq } from "./nq.ts";
import { ovf } from "./ovf.ts";
import { registerScheduler } from "./registry.ts";
import { rr } from "./rr.ts";
import type { Scheduler } from "./scheduler.ts";
import { sed } from "./sed.ts";
import { sh } from "./sh.ts";
import { twos } from "./twos.ts";
import { wlc } from "./wlc.ts";
import { wrr } from "./wrr.ts";

export const BUILT_IN: readonly Scheduler[] = [
  rr,
  wrr,
  lc,
  wlc,
  sh,
  dh,
  sed,
  nq,
  mh,
  lblc,
  lblcr,
  fo,
  ovf,
  twos,
];

/** Makes them known under their names; a second call changes nothing. */
export function registerBuiltIn(): void {
  for (const scheduler of BUILT_IN) registerScheduler(scheduler);
}
