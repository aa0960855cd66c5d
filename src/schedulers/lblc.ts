/**
 * Locality-based least connection, for caches: a virtual address stays with the real server it was first given,
 * until that one has more active connections than its weight while another has less than half of its own; then, or
 * when it is quiesced or deleted, the least loaded one takes over (load.ts). An overload by threshold does not count.
 */

import { NONE } from "../table/services.ts";
import { Setting } from "../table/settings.ts";
import { AddressCache } from "./address-cache.ts";
import { betterElsewhere, leastLoaded } from "./load.ts";
import { Locality, prepareLocality, startLocality } from "./locality.ts";
import { FLOW_VIRTUAL, NO_DESTINATION, type Scheduler } from "./scheduler.ts";

class Assignments extends Locality {
  /** Its values are numbers of `servers`. */
  readonly cache = new AddressCache(() => {});
}

export const lblc: Scheduler = {
  name: "lblc",
  start: startLocality,
  prepare: (service) => prepareLocality(service, Assignments),

  schedule(service, flow) {
    const { cache, servers } = service.plan as Assignments;
    cache.expire(flow.now, service.region.settings[Setting.lblc_expiration]! * 1000);
    let entry = cache.find(flow.words, FLOW_VIRTUAL, flow.now);
    if (entry !== NONE) {
      const d = servers.row[cache.value(entry)]!;
      if (d !== NONE && service.weight(d) > 0 && !betterElsewhere(service, d)) return d;
    }
    const least = leastLoaded(service);
    if (least === NO_DESTINATION) return NO_DESTINATION;
    if (entry === NONE) entry = cache.insert(flow.words, FLOW_VIRTUAL, flow.now);
    cache.set(entry, servers.number(least), flow.now);
    return least;
  },
};
