/** Weighted least connection, ipvsadm's default: the smallest load for its weight (load.ts). */
import { leastLoaded } from "./load.ts";
import type { Scheduler } from "./scheduler.ts";

export const wlc: Scheduler = {
  name: "wlc",
  schedule: leastLoaded,
};
