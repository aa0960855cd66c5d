/** GET /v1/state: everything in the tables as JSON lines (state-lines.ts). */
import { Readable } from "node:stream";
import type { FastifyInstance } from "fastify";
import { native } from "../ring/native.ts";
import type { Director } from "./director.ts";
import type { ServiceListing, Timeouts } from "./model.ts";
import { dumpState } from "./state-dump.ts";

const FORMAT = { numeric: true, columns: "plain", exact: true, nosort: true } as const;

export function addState(api: FastifyInstance, director: Director): void {
  api.get("/v1/state", (_, reply) => {
    const { region } = director;
    const source = { region, services: servicesOf(director), timeouts: timeoutsOf(director) };
    const lines = dumpState({ ...source, now: native().monotonic() });
    return reply.type("application/x-ndjson").send(Readable.from(asText(lines)));
  });
}

export function* asText(lines: Iterable<unknown>): Generator<string> {
  for (const line of lines) yield `${JSON.stringify(line)}\n`;
}

function servicesOf(director: Director): Iterable<ServiceListing> {
  const result = director.execute({ kind: "save", numeric: true });
  return result.ok && result.listing?.kind === "services" ? result.listing.services : [];
}

function timeoutsOf(director: Director): Timeouts {
  const result = director.execute({ kind: "list", what: "timeouts", format: FORMAT });
  if (result.ok && result.listing?.kind === "timeouts") return result.listing.timeouts;
  return { tcp: 0, tcpfin: 0, udp: 0 };
}
