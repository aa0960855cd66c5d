/**
 * Shortest expected delay: (active + 1) / weight, the wait if this connection went there; inactive ones do not count.
 * Compared by products, as in load.ts.
 */
import { NO_DESTINATION, type Scheduler } from "./scheduler.ts";
import type { ServiceView } from "./service-view.ts";

export function shortestDelay(service: ServiceView): number {
  const { members, count } = service;
  let least = NO_DESTINATION;
  let leastDelay = 0;
  let leastWeight = 0;
  for (let i = 0; i < count; i++) {
    const d = members[i]!;
    if (!service.available(d)) continue;
    const weight = service.weight(d);
    const delay = service.active(d) + 1;
    if (least === NO_DESTINATION || leastDelay * weight > delay * leastWeight) {
      least = d;
      leastDelay = delay;
      leastWeight = weight;
    }
  }
  return least;
}

export const sed: Scheduler = {
  name: "sed",
  schedule: shortestDelay,
};
