/**
 * Source hashing: one client always gets the same real server. 256 buckets are dealt out round the list, as many in
 * a row to each destination as it weighs (a quiesced one still gets one).
 *
 * When a bucket's destination is not available the client is refused, unless the service has `sh-fallback`: then
 * the buckets from twice the client's on are tried. With `sh-port` the client's port counts too.
 */
import { NONE, ServiceFlag } from "../table/services.ts";
import { BUCKETS, bucketOf, foldedAddress } from "./address-hash.ts";
import { FLOW_CLIENT, NO_DESTINATION, type Scheduler } from "./scheduler.ts";
import type { ServiceView } from "./service-view.ts";

function fallBack(service: ServiceView, buckets: Int32Array, home: number): number {
  for (let step = 0; step < BUCKETS; step++) {
    const offset = (step + home) % BUCKETS;
    const d = buckets[(home + offset) % BUCKETS]!;
    if (service.available(d)) return d;
  }
  return NO_DESTINATION;
}

export const sh: Scheduler = {
  name: "sh",

  prepare(service) {
    const { members, count } = service;
    const buckets = new Int32Array(BUCKETS).fill(NONE);
    let place = 0;
    let dealt = 0;
    for (let bucket = 0; bucket < BUCKETS && count > 0; bucket++) {
      const d = members[place]!;
      buckets[bucket] = d;
      if (++dealt >= service.weight(d)) {
        place = (place + 1) % count;
        dealt = 0;
      }
    }
    return buckets;
  },

  schedule(service, flow) {
    const buckets = service.plan as Int32Array;
    const port = (service.flags & ServiceFlag.Sched2) !== 0 ? flow.clientPort : 0;
    const home = bucketOf(port + foldedAddress(flow, FLOW_CLIENT));
    const d = buckets[home]!;
    if (d === NONE) return NO_DESTINATION;
    if (service.available(d)) return d;
    return (service.flags & ServiceFlag.Sched1) !== 0 ? fallBack(service, buckets, home) : NO_DESTINATION;
  },
};
