/** Weighted fail-over: the heaviest available destination gets everything; among equals the one added last. */
import { NO_DESTINATION, type Scheduler } from "./scheduler.ts";

export const fo: Scheduler = {
  name: "fo",

  schedule(service) {
    const { members, count } = service;
    let best = NO_DESTINATION;
    let heaviest = 0;
    for (let i = 0; i < count; i++) {
      const d = members[i]!;
      if (service.overloaded(d) || service.weight(d) <= heaviest) continue;
      best = d;
      heaviest = service.weight(d);
    }
    return best;
  },
};
