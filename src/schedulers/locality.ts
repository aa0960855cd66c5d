/**
 * What lblc and lblcr have in common: per thread and service, an AddressCache and the servers its entries name.
 *
 * It lives in `service.plan` and survives changes of the destinations, as the kernel's tables do; it ends when the
 * scheduler is bound anew, which word 0 of the shared memory tells: `start` puts the change's number there. Each
 * shard learns for itself, so with several shards one address may have a server in each.
 */
import { Header } from "../table/region.ts";
import type { AddressCache } from "./address-cache.ts";
import { KnownServers } from "./known-servers.ts";
import type { ServiceView } from "./service-view.ts";

/** Word of `service.memory`: differs each time the scheduler is bound to the service. */
const BOUND = 0;
/** When so many deleted servers have gathered the whole is begun anew. */
const MOST_GONE = 4096;

export abstract class Locality {
  readonly servers = new KnownServers();
  abstract readonly cache: AddressCache;
  readonly #service: number;
  readonly #bound: number;

  constructor(service: ServiceView) {
    this.#service = service.service;
    this.#bound = service.memory[BOUND]!;
  }

  isFor(service: ServiceView): boolean {
    return (
      this.#service === service.service &&
      this.#bound === service.memory[BOUND]! &&
      this.servers.gone < MOST_GONE
    );
  }
}

export function startLocality(service: ServiceView): void {
  service.memory[BOUND] = service.region.header[Header.Generation]!;
}

/** The plan the service has, or a new one when that is another's. */
export function prepareLocality<T extends Locality>(
  service: ServiceView,
  kind: new (service: ServiceView) => T,
): T {
  const { plan } = service;
  const locality = plan instanceof kind && plan.isFor(service) ? plan : new kind(service);
  locality.servers.update(service);
  return locality;
}
