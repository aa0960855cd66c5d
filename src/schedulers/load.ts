/**
 * How loaded a destination is, and who is loaded least: what lc, wlc, lblc, lblcr and twos share.
 *
 * Loads are compared per weight without dividing: load1 / weight1 > load2 / weight2 exactly when
 * load1 * weight2 > load2 * weight1, and the products are exact (257 * 2^27 connections * 2^16 is below 2^53).
 */
import { Setting } from "../table/settings.ts";
import { NO_DESTINATION } from "./scheduler.ts";
import type { ServiceView } from "./service-view.ts";

/**
 * A destination's load: an active connection counts as 256 inactive ones. From 6.1.183 on the kernel adds the total
 * instead of the inactive ones, so that an active one counts 257 (IPVS-FACTS 8); the setting chooses.
 */
export function load(service: ServiceView, d: number): number {
  const active = service.region.settings[Setting.overhead_257] === 0 ? 256 : 257;
  return active * service.active(d) + service.inactive(d);
}

/**
 * The least loaded destination for its weight. The first available one of the list leads until a later one is
 * strictly less loaded, so a tie goes to the one that was added last; weight 0 can never win.
 */
export function leastLoaded(service: ServiceView): number {
  const { members, count } = service;
  let least = NO_DESTINATION;
  let leastLoad = 0;
  let leastWeight = 0;
  for (let i = 0; i < count; i++) {
    const d = members[i]!;
    if (!service.available(d)) continue;
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

/** lblc and lblcr: has `d` more active connections than its weight while another has less than half of its own? */
export function betterElsewhere(service: ServiceView, d: number): boolean {
  if (service.active(d) <= service.weight(d)) return false;
  for (let i = 0; i < service.count; i++) {
    const other = service.members[i]!;
    if (service.active(other) * 2 < service.weight(other)) return true;
  }
  return false;
}
