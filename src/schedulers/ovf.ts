/**
 * Weighted overflow: the heaviest destination until it has more active connections than its weight, then the next.
 * So each takes weight + 1, and when all are full the client is refused.
 */
import { NO_DESTINATION, type Scheduler } from "./scheduler.ts";

export const ovf: Scheduler = {
  name: "ovf",

  schedule(service) {
    const { members, count } = service;
    let best = NO_DESTINATION;
    let heaviest = 0;
    for (let i = 0; i < count; i++) {
      const d = members[i]!;
      const weight = service.weight(d);
      if (service.overloaded(d) || weight <= heaviest || service.active(d) > weight) continue;
      best = d;
      heaviest = weight;
    }
    return best;
  },
};
