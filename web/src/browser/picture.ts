/** What stands beside the frames, read from this page's director. */

import type { ServiceListing } from "../../../src/control/model.ts";
import { realServerAddress } from "../../../src/lab/topology.ts";
import type { Picture, ServerRow, ServiceRow } from "../model.ts";
import { keyText, type PageDirector } from "./director.ts";

const CONNECTIONS = 60;

export interface PictureOptions {
  readonly now: number;
  readonly nameOf: (address: string) => string | undefined;
  /** What tells people which host it is, where that is not the address. */
  readonly shownOf?: (address: string) => string | undefined;
  readonly faultsOf: (address: string) => readonly string[];
  readonly faults: readonly string[];
  readonly frames: number;
  readonly told: number;
}

export function takePicture(director: PageDirector, options: PictureOptions): Picture {
  const services = director.services().map((service) => serviceRow(service, options));
  const { rows, count } = director.connections(CONNECTIONS);
  const { received, verdicts } = director.counters();
  return {
    time: options.now,
    services,
    vip: director.services()[0]?.key.address ?? "",
    connections: rows,
    connectionCount: count,
    neighbours: director.neighbours(),
    received,
    verdicts,
    faults: options.faults,
    frames: options.frames,
    told: options.told,
  };
}

function serviceRow(service: ServiceListing, options: PictureOptions): ServiceRow {
  const servers = [...service.servers].reverse().map((server): ServerRow => {
    const { address, port, weight, activeConns, inactiveConns, stats } = server;
    return {
      name: options.nameOf(address) ?? address,
      address,
      shown: options.shownOf?.(address) ?? address,
      port,
      weight,
      active: activeConns,
      inactive: inactiveConns,
      connections: stats.conns,
      packets: stats.inPkts,
      bytes: stats.inBytes,
      faults: options.faultsOf(address),
    };
  });
  return { name: keyText(service.key), scheduler: service.scheduler, servers };
}

/** "rs2" for the lab's second address. */
export function labName(address: string): string | undefined {
  for (let i = 0; i < 80; i++) if (realServerAddress(i) === address) return `rs${i + 1}`;
  return undefined;
}
