/** The metrics of a director in memory. */
import { readCounters } from "../../src/control/counters.ts";
import type { ServiceListing } from "../../src/control/model.ts";
import { Metrics } from "../../src/observe/metrics.ts";
import type { World } from "../dataplane/world.ts";

export function listed(world: World): ServiceListing[] {
  const result = world.commands.execute({ kind: "save", numeric: true });
  return result.ok && result.listing?.kind === "services" ? [...result.listing.services] : [];
}

/** `services` are the world's when they are not given. */
export function metricsOf(world: World, services?: ServiceListing[]): Metrics {
  return new Metrics(
    {
      region: world.region,
      counters: () => readCounters(world.region),
      services: () => services ?? listed(world),
      neighbours: () => [{ address: "10.0.0.11", state: "reachable", age: 1, users: 1 }],
      vips: () => [{ address: "10.0.0.100", own: true, active: true, onHost: false, conflicts: 3 }],
    },
    { version: "0.0.0", ring: "memory", node: "v0" },
  );
}
