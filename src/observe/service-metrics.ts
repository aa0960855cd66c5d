/** Virtual services and their real servers as metrics; names and numbers are those of `dradm -L`. */
import type { ServerListing, ServiceListing } from "../control/model.ts";
import type { Families, Labels } from "./families.ts";
import type { MetricsSource } from "./source.ts";

const SERVICE = ["protocol", "address", "port", "mark"] as const;
const SERVER = [...SERVICE, "server", "server_port"] as const;

/**
 * Real servers beyond so many have no series of their own: a scrape of more would take longer, and weigh more in
 * Prometheus, than anybody looks at. Their services' series count them all the same.
 */
export const MOST_DESTINATIONS = 10_000;

export function serviceMetrics(families: Families, source: MetricsSource): () => void {
  const service = serviceFamilies(families);
  const server = serverFamilies(families);
  const omitted = families.gauge(
    "dr_director_destinations_omitted",
    `real servers that have no series of their own because there are more than ${MOST_DESTINATIONS}`,
  );
  return () => {
    let room = MOST_DESTINATIONS;
    for (const listing of source.services()) {
      const labels = serviceLabels(listing);
      service.connections.add(labels, listing.stats.conns);
      service.packets.add(labels, listing.stats.inPkts);
      service.bytes.add(labels, listing.stats.inBytes);
      service.destinations.add(labels, listing.servers.length);
      for (const each of listing.servers) {
        if (room-- > 0) fillServer(server, { ...labels, ...serverLabels(each) }, each);
      }
    }
    omitted.add({}, Math.max(0, -room));
  };
}

function serviceFamilies(families: Families) {
  return {
    connections: families.counter("dr_director_service_connections_total", "connections made", ...SERVICE),
    packets: families.counter("dr_director_service_packets_total", "packets forwarded", ...SERVICE),
    bytes: families.counter("dr_director_service_bytes_total", "bytes of IP packets forwarded", ...SERVICE),
    destinations: families.gauge(
      "dr_director_service_destinations",
      "real servers of the service",
      ...SERVICE,
    ),
  };
}

function serverFamilies(families: Families) {
  const counter = (name: string, help: string) =>
    families.counter(`dr_director_destination_${name}_total`, help, ...SERVER);
  const gauge = (name: string, help: string) =>
    families.gauge(`dr_director_destination_${name}`, help, ...SERVER);
  return {
    connections: counter("connections", "connections made"),
    packets: counter("packets", "packets forwarded"),
    bytes: counter("bytes", "bytes of IP packets forwarded"),
    active: gauge("active_connections", "ActiveConn as ipvsadm shows it"),
    inactive: gauge("inactive_connections", "InActConn as ipvsadm shows it"),
    persistent: gauge("persistent_connections", "persistence templates"),
    weight: gauge("weight", "weight; 0 is quiesced"),
  };
}

function fillServer(
  family: ReturnType<typeof serverFamilies>,
  labels: Labels<(typeof SERVER)[number]>,
  server: ServerListing,
): void {
  family.connections.add(labels, server.stats.conns);
  family.packets.add(labels, server.stats.inPkts);
  family.bytes.add(labels, server.stats.inBytes);
  family.active.add(labels, server.activeConns);
  family.inactive.add(labels, server.inactiveConns);
  family.persistent.add(labels, server.persistentConns);
  family.weight.add(labels, server.weight);
}

function serviceLabels({ key }: ServiceListing): Labels<(typeof SERVICE)[number]> {
  return { protocol: key.protocol, address: key.address, port: key.port, mark: key.mark };
}

function serverLabels(server: ServerListing): Labels<"server" | "server_port"> {
  return { server: server.address, server_port: server.port };
}
