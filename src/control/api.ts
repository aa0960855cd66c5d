/**
 * The control API: HTTP and JSON on a unix socket. A request is carried out within one turn of the event loop, one
 * after the other, so two clients never interleave half a change.
 */
import { Readable } from "node:stream";
import { type FastifyInstance, type FastifyReply, fastify } from "fastify";
import { ZodError } from "zod";
import {
  type Activation,
  activationSchema,
  documentSchema,
  type Request,
  requestSchema,
} from "./api-schema.ts";
import { type Refused, refusalText } from "./apply.ts";
import { addCapture } from "./capture-api.ts";
import { type Config, ConfigError, parseConfig } from "./config.ts";
import type { Director } from "./director.ts";
import { addExplain } from "./explain-api.ts";
import type { CommandError, CommandErrorCode, DirectorCommand, Listing } from "./model.ts";
import { type EventStream, openApiDocument, type Page } from "./openapi.ts";
import { procIpVs, procIpVsStats } from "./proc-text.ts";
import { requestFault } from "./request-fault.ts";
import { addState } from "./state-api.ts";

/** Two thousand services of fifty servers each, as JSON, and as much again. */
const BODY_LIMIT = 128 * 1024 * 1024;

/** For a request to come in whole, and for a client to take the next piece of a listing. */
const PATIENCE_MS = 60_000;
/** More clients than that at once have to wait their turn; below what a process may have open. */
const CLIENTS = 512;
/** After so many a connection is closed: one that asks on and on without reading piles up no more answers. */
const REQUESTS = 100;

const STATUS: Readonly<Record<CommandErrorCode, number>> = {
  EEXIST: 409,
  ESRCH: 404,
  ENOENT: 404,
  EINVAL: 400,
  ERANGE: 400,
  EAFNOSUPPORT: 400,
  ENOMEM: 507,
  EOPNOTSUPP: 501,
  EPERM: 403,
};

/**
 * The API over a director, not yet listening; `pages` are served besides its own routes. `streams` are only described:
 * who makes the events hangs the route on what is returned.
 */
export function createApi(
  director: Director,
  pages: readonly Page[] = [],
  streams: readonly EventStream[] = [],
): FastifyInstance {
  const api = fastify({
    bodyLimit: BODY_LIMIT,
    forceCloseConnections: true,
    requestTimeout: PATIENCE_MS,
    maxRequestsPerSocket: REQUESTS,
  });
  api.server.maxConnections = CLIENTS;
  // While somebody takes over nothing is carried out; afterwards it is the other's to do.
  api.addHook("preHandler", async () => director.steady);
  addCommands(api, director);
  addConfig(api, director);
  api.get("/v1/counters", () => director.counters());
  api.get("/v1/config", () => director.config);
  api.get("/v1/neighbours", () => director.neighbours());
  api.get("/v1/vips", () => director.vips());
  api.get("/v1/services", (_, reply) => rowsOf(director, { kind: "save", numeric: true }, reply));
  api.get("/v1/connections", (_, reply) => rowsOf(director, CONNECTIONS, reply));
  addProc(api, director);
  addExplain(api, director);
  addState(api, director);
  addCapture(api, director);
  for (const page of pages) {
    api.get(page.path, async (_, reply) => reply.type(page.type).send(await page.text()));
  }
  api.get("/v1/openapi.json", () => openApiDocument(pages, streams));
  api.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
    const status = error.statusCode ?? 500;
    const code = status === 403 ? "EPERM" : status < 500 ? "EINVAL" : status === 503 ? "EAGAIN" : "EIO";
    return reply.code(status).send({ error: { code, message: error.message } });
  });
  return api;
}

const FORMAT = { numeric: true, columns: "plain", exact: true, nosort: true } as const;
const CONNECTIONS: DirectorCommand = { kind: "list", what: "connections", format: FORMAT };

/** The texts of /proc/net, for what reads a kernel director there. */
function addProc(api: FastifyInstance, director: Director): void {
  api.get("/v1/proc/ip_vs", (_, reply) => {
    const result = director.execute({ kind: "save", numeric: true });
    if (!result.ok || result.listing?.kind !== "services") return reply.code(500).send();
    const { services, info } = result.listing;
    return sendPieces(reply.type("text/plain"), procIpVs(services, info));
  });
  api.get("/v1/proc/ip_vs_stats", (_, reply) => {
    const { stats, rates } = director.total();
    return reply.type("text/plain").send(procIpVsStats(stats, rates));
  });
}

/** What changes by ipvsadm's verbs, and by taking a virtual address over. */
function addCommands(api: FastifyInstance, director: Director): void {
  api.post("/v1/ipvsadm", (request, reply) => {
    const parsed = requestSchema.safeParse(request.body);
    if (!parsed.success) return refuse(reply, { code: "EINVAL", message: requestFault(parsed.error) });
    const asked = parsed.data as Request;
    return "command" in asked
      ? carryOut(director, asked.command, reply)
      : carryOutAll(director, asked.commands);
  });
  api.post("/v1/vips", (request, reply) => {
    const parsed = activationSchema.safeParse(request.body);
    if (!parsed.success) return refuse(reply, { code: "EINVAL", message: requestFault(parsed.error) });
    const { address, active }: Activation = parsed.data;
    if (director.setVipActive(address, active)) return { ok: true };
    return refuse(reply, { code: "ESRCH", message: `the director owns no virtual address ${address}` });
  });
}

/** A whole config: what it would change, and the change. */
function addConfig(api: FastifyInstance, director: Director): void {
  const take = (body: unknown): Config => {
    const { text, file = "config" } = documentSchema.parse(body);
    return parseConfig(text, file);
  };
  const answer = (reply: FastifyReply, work: () => unknown): unknown => {
    try {
      return work();
    } catch (error) {
      if (error instanceof ZodError) return refuse(reply, { code: "EINVAL", message: requestFault(error) });
      if (!(error instanceof ConfigError)) throw error;
      const { problems, message } = error;
      return reply.code(400).send({ error: { code: "EINVAL", message }, problems });
    }
  };
  api.post("/v1/plan", (request, reply) =>
    answer(reply, () => ({ commands: director.plan(take(request.body)) })),
  );
  api.post("/v1/apply", (request, reply) =>
    answer(reply, () => {
      const config = take(request.body);
      const commands = director.plan(config);
      return { commands, refused: director.reload(config).map(refusedRow) };
    }),
  );
}

const refusedRow = (refused: Refused) => ({ ...refused, message: refusalText(refused) });

function refuse(reply: FastifyReply, error: CommandError): FastifyReply {
  return reply.code(STATUS[error.code] ?? 500).send({ error });
}

function carryOut(director: Director, command: DirectorCommand, reply: FastifyReply): unknown {
  const result = director.execute(command);
  director.settle();
  if (!result.ok) return refuse(reply, result.error);
  if (result.listing === undefined) return { ok: true };
  return sendPieces(reply.type("application/x-ndjson"), lines(result.listing));
}

/** Goes on after a failure, as a script of ipvsadm commands would. */
function carryOutAll(director: Director, commands: readonly DirectorCommand[]): unknown {
  const errors: { index: number; error: CommandError }[] = [];
  for (const [index, command] of commands.entries()) {
    const result = director.execute(command);
    if (!result.ok) errors.push({ index, error: result.error });
  }
  director.settle();
  return { errors };
}

function rows(listing: Listing): Iterable<unknown> {
  return "services" in listing ? listing.services : "connections" in listing ? listing.connections : [];
}

/** Sent as fast as it is read; a client that stops reading is given up, and with it the listing. */
function sendPieces(reply: FastifyReply, pieces: Iterable<string>): FastifyReply {
  reply.raw.setTimeout(PATIENCE_MS, () => reply.raw.destroy());
  return reply.send(Readable.from(pieces));
}

/** A listing as JSON lines: its head, a line a row, and a last one that says how many there were. */
function* lines(listing: Listing): Generator<string> {
  const head = { ...listing, services: undefined, connections: undefined };
  let count = 0;
  yield `${JSON.stringify(head)}\n`;
  for (const row of rows(listing)) {
    yield `${JSON.stringify(row)}\n`;
    count++;
  }
  yield `${JSON.stringify({ end: count })}\n`;
}

/** A listing as one JSON array, written row by row: a million connections never stand in memory as text. */
function rowsOf(director: Director, command: DirectorCommand, reply: FastifyReply): FastifyReply {
  const result = director.execute(command);
  if (!result.ok || result.listing === undefined) return reply.code(500).send();
  return sendPieces(reply.type("application/json"), array(result.listing));
}

function* array(listing: Listing): Generator<string> {
  let before = "[";
  for (const row of rows(listing)) {
    yield before + JSON.stringify(row);
    before = ",";
  }
  yield before === "[" ? "[]" : "]";
}
