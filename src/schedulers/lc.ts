/** Least connection: the smallest load (load.ts); weights say nothing but 0. */
import { load } from "./load.ts";
import { NO_DESTINATION, type Scheduler } from "./scheduler.ts";

export const lc: Scheduler = {
  name: "lc",

  schedule(service) {
    const { members, count } = service;
    let least = NO_DESTINATION;
    let leastLoad = 0;
    for (let i = 0; i < count; i++) {
      const d = members[i]!;
      if (!service.available(d)) continue;
      const itsLoad = load(service, d);
      if (least === NO_DESTINATION || itsLoad < leastLoad) {
        least = d;
        leastLoad = itsLoad;
      }
    }
    return least;
  },
};
