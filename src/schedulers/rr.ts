/**
 * Round robin: the destinations in turn, newest first; weights say nothing but 0.
 *
 * Shared memory holds the destination that was chosen last. When exactly that one is deleted its predecessor takes
 * its place, so the turn goes on with the one that would have come next.
 */
import { recall, remember } from "./place.ts";
import { NO_DESTINATION, type Scheduler } from "./scheduler.ts";

/** Word of `service.memory`: the destination chosen last (place.ts). */
const LAST = 0;

export const rr: Scheduler = {
  name: "rr",
  destinationWords: [LAST],

  schedule(service) {
    const { members, count } = service;
    const last = recall(service, LAST);
    for (let step = 1; step <= count; step++) {
      let place = last + step;
      if (place >= count) place -= count;
      const d = members[place]!;
      if (service.available(d)) {
        remember(service, LAST, place);
        return d;
      }
    }
    return NO_DESTINATION;
  },

  changed(service, change) {
    if (change.kind !== "removed" || service.memory[LAST] !== change.destination + 1) return;
    remember(service, LAST, service.position(change.before));
  },
};
