/** What metrics are made of: the director, or a test's stand-in. */
import type { DirectorCounters } from "../control/counters.ts";
import type { ServiceListing } from "../control/model.ts";
import type { NeighbourListing } from "../control/neighbours.ts";
import type { VipListing } from "../control/vip.ts";
import type { Region } from "../table/region.ts";

export interface MetricsSource {
  readonly region: Region;
  counters(): DirectorCounters;
  services(): Iterable<ServiceListing>;
  neighbours(): readonly NeighbourListing[];
  vips(): readonly VipListing[];
}
