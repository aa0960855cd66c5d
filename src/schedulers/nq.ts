/** Never queue: the first idle destination of the list, however light; when nobody is idle, as sed. */
import type { Scheduler } from "./scheduler.ts";
import { shortestDelay } from "./sed.ts";

export const nq: Scheduler = {
  name: "nq",

  schedule(service) {
    const { members, count } = service;
    for (let i = 0; i < count; i++) {
      const d = members[i]!;
      if (service.available(d) && service.active(d) === 0) return d;
    }
    return shortestDelay(service);
  },
};
