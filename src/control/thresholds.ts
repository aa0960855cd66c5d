/**
 * Overload thresholds at an edit. As connections come and go the shards keep the mark themselves; here is what an
 * `-a` or `-e` does to it.
 *
 * Kernels from 6.1.183 on ("properly update the overload flag on dest edit") look at the connections at once when a
 * threshold changed; older ones only ever clear the mark, when -x becomes 0 or rises (IPVS-FACTS 9).
 */
import type { Region } from "../table/region.ts";
import { Setting } from "../table/settings.ts";
import { activeConnections, inactiveConnections } from "./counters-view.ts";

export function setThresholds(region: Region, d: number, upper: number, lower: number): void {
  const { destinations, settings } = region;
  const before = destinations.upper[d]!;
  const changed = before !== upper || destinations.lower[d] !== lower;
  destinations.upper[d] = upper;
  destinations.lower[d] = lower;
  if (upper === 0) {
    destinations.overload[d] = 0;
  } else if (settings[Setting.overload_on_edit] === 0) {
    if (upper > before) destinations.overload[d] = 0;
  } else if (changed) {
    const connections = activeConnections(region, d) + inactiveConnections(region, d);
    if (connections >= upper) destinations.overload[d] = 1;
    else if (lower !== 0 ? connections < lower : connections * 4 < upper * 3) destinations.overload[d] = 0;
  }
}
