/** What `top` shows: the director's listings at one moment. */
import type { DirectorCounters } from "../../control/counters.ts";
import type { ServiceListing } from "../../control/model.ts";
import type { NeighbourListing } from "../../control/neighbours.ts";
import type { ApiClient } from "../api-client.ts";

export interface Snapshot {
  /** When it was taken, ms of any clock that does not go back. */
  readonly at: number;
  readonly services: readonly ServiceListing[];
  readonly counters: DirectorCounters;
  /** Neighbour states by address. */
  readonly neighbours: ReadonlyMap<string, string>;
}

export async function takeSnapshot(director: ApiClient): Promise<Snapshot> {
  const [services, counters, neighbours] = await Promise.all([
    director.json<ServiceListing[]>("/v1/services"),
    director.json<DirectorCounters>("/v1/counters"),
    director.json<NeighbourListing[]>("/v1/neighbours"),
  ]);
  return {
    at: performance.now(),
    services,
    counters,
    neighbours: new Map(neighbours.map(({ address, state }) => [address, state])),
  };
}
