/**
 * Locality-based least connection with replication: a virtual address has a set of real servers and goes to the
 * least loaded of them. When that one has more active connections than its weight while another has less than half
 * of its own, the least loaded of all joins the set; a set that was not changed for a day loses its most loaded one.
 */

import { NONE } from "../table/services.ts";
import { Setting } from "../table/settings.ts";
import { AddressCache } from "./address-cache.ts";
import { betterElsewhere, leastLoaded, load } from "./load.ts";
import { Locality, prepareLocality, startLocality } from "./locality.ts";
import { FLOW_VIRTUAL, NO_DESTINATION, type Scheduler } from "./scheduler.ts";
import { ServerSets } from "./server-sets.ts";
import type { ServiceView } from "./service-view.ts";

class Sets extends Locality {
  readonly sets = new ServerSets();
  /** Its values are sets. */
  readonly cache: AddressCache = new AddressCache((row) => this.sets.free(this.cache.value(row)));
}

/** The set's least loaded available server for its weight, the one that joined last leading. */
function leastOf(service: ServiceView, { sets, servers }: Sets, set: number): number {
  let least = NO_DESTINATION;
  let leastLoad = 0;
  let leastWeight = 0;
  for (let node = set; node !== 0; node = sets.after(node)) {
    const d = servers.row[sets.server(node)]!;
    if (d === NONE || !service.available(d)) continue;
    const weight = service.weight(d);
    const itsLoad = load(service, d);
    if (least === NO_DESTINATION || leastLoad * weight > itsLoad * leastWeight) {
      least = d;
      leastLoad = itsLoad;
      leastWeight = weight;
    }
  }
  return least;
}

/**
 * The number of the set's most loaded server with a weight, overloaded, deleted or not (ip_vs_dest_set_max): a deleted
 * one keeps its weight and its connections. NONE when there is none.
 */
function mostOf(service: ServiceView, { sets, servers }: Sets, set: number): number {
  let most = NONE;
  let mostLoad = 0;
  let mostWeight = 0;
  for (let node = set; node !== 0; node = sets.after(node)) {
    const server = sets.server(node);
    const weight = servers.weight(server);
    if (weight <= 0) continue;
    const d = servers.counts(service, server);
    const itsLoad = d === NONE ? 0 : load(service, d);
    if (most === NONE || mostLoad * weight < itsLoad * mostWeight) {
      most = server;
      mostLoad = itsLoad;
      mostWeight = weight;
    }
  }
  return most;
}

function shrink(service: ServiceView, plan: Sets, entry: number, now: number): void {
  const { cache, sets } = plan;
  const set = cache.value(entry);
  const lifetime = service.region.settings[Setting.lblcr_expiration]! * 1000;
  if (sets.after(set) === 0 || now <= cache.changed(entry) + lifetime) return;
  const most = mostOf(service, plan, set);
  if (most === NONE) return;
  cache.set(entry, sets.without(set, most), now);
}

export const lblcr: Scheduler = {
  name: "lblcr",
  start: startLocality,
  prepare: (service) => prepareLocality(service, Sets),

  schedule(service, flow) {
    const plan = service.plan as Sets;
    const { cache, sets, servers } = plan;
    cache.expire(flow.now, service.region.settings[Setting.lblcr_expiration]! * 1000);
    let entry = cache.find(flow.words, FLOW_VIRTUAL, flow.now);
    if (entry !== NONE) {
      const d = leastOf(service, plan, cache.value(entry));
      shrink(service, plan, entry, flow.now);
      if (d !== NO_DESTINATION && !betterElsewhere(service, d)) return d;
    }
    const least = leastLoaded(service);
    if (least === NO_DESTINATION) return NO_DESTINATION;
    if (entry === NONE) entry = cache.insert(flow.words, FLOW_VIRTUAL, flow.now);
    const server = servers.number(least);
    const set = cache.value(entry);
    if (!sets.has(set, server)) cache.set(entry, sets.with(set, server), flow.now);
    return least;
  },
};
