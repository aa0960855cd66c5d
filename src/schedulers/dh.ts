/**
 * Destination hashing, for caches: one virtual address always gets the same real server. So it needs a service of
 * many addresses (a fwmark); with one VIP everything goes to one server. 256 buckets are dealt out round the list,
 * one to each destination in turn whatever it weighs; when a bucket's destination is not available, nobody serves.
 */
import { NONE } from "../table/services.ts";
import { BUCKETS, bucketOf, foldedAddress } from "./address-hash.ts";
import { FLOW_VIRTUAL, NO_DESTINATION, type Scheduler } from "./scheduler.ts";

export const dh: Scheduler = {
  name: "dh",

  prepare(service) {
    const buckets = new Int32Array(BUCKETS).fill(NONE);
    if (service.count === 0) return buckets;
    for (let bucket = 0; bucket < BUCKETS; bucket++)
      buckets[bucket] = service.members[bucket % service.count]!;
    return buckets;
  },

  schedule(service, flow) {
    const d = (service.plan as Int32Array)[bucketOf(foldedAddress(flow, FLOW_VIRTUAL))]!;
    return d !== NONE && service.available(d) ? d : NO_DESTINATION;
  },
};
