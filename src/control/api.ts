/**
 * The control API: HTTP and JSON on a unix socket. Everything that changes goes through POST /v1/ipvsadm, one request
 * after the other, so two clients never interleave half a change.
 */
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, unlinkSync } from "node:fs";
import { connect } from "node:net";
import { dirname } from "node:path";
import { Readable } from "node:stream";
import { type FastifyInstance, type FastifyReply, fastify } from "fastify";
import { type Request, requestSchema } from "./api-schema.ts";
import type { Director } from "./director.ts";
import type { CommandError, CommandErrorCode, DirectorCommand, Listing } from "./model.ts";
import { requestFault } from "./request-fault.ts";

export const DEFAULT_SOCKET = "/run/dr-director/control.sock";

export class SocketError extends Error {
  override readonly name = "SocketError";
}

/** Two thousand services of fifty servers each, as JSON, and as much again. */
const BODY_LIMIT = 128 * 1024 * 1024;

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

/** The API over a director, not yet listening. */
export function createApi(director: Director): FastifyInstance {
  const api = fastify({ bodyLimit: BODY_LIMIT, forceCloseConnections: true });
  api.post("/v1/ipvsadm", (request, reply) => {
    const parsed = requestSchema.safeParse(request.body);
    if (!parsed.success) {
      return refuse(reply, { code: "EINVAL", message: requestFault(parsed.error) });
    }
    const asked = parsed.data as Request;
    return "command" in asked
      ? carryOut(director, asked.command, reply)
      : carryOutAll(director, asked.commands);
  });
  api.get("/v1/counters", () => director.counters());
  api.get("/v1/neighbours", () => director.neighbours());
  api.get("/v1/vips", () => director.vips());
  api.get("/v1/services", (_request, reply) => {
    const listing = director.execute({ kind: "save", numeric: true });
    return listing.ok && listing.listing?.kind === "services"
      ? [...listing.listing.services]
      : reply.code(500).send();
  });
  api.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
    const status = error.statusCode ?? 500;
    return reply
      .code(status)
      .send({ error: { code: status < 500 ? "EINVAL" : "EIO", message: error.message } });
  });
  return api;
}

function refuse(reply: FastifyReply, error: CommandError): FastifyReply {
  return reply.code(STATUS[error.code] ?? 500).send({ error });
}

function carryOut(director: Director, command: DirectorCommand, reply: FastifyReply): unknown {
  const result = director.execute(command);
  director.settle();
  if (!result.ok) return refuse(reply, result.error);
  if (result.listing === undefined) return { ok: true };
  return reply.type("application/x-ndjson").send(Readable.from(lines(result.listing)));
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

/** A listing as JSON lines: its head, a line a row, and a last one that says how many there were. */
function* lines(listing: Listing): Generator<string> {
  const rows = "services" in listing ? listing.services : "connections" in listing ? listing.connections : [];
  const head = { ...listing, services: undefined, connections: undefined };
  let count = 0;
  yield `${JSON.stringify(head)}\n`;
  for (const row of rows) {
    yield `${JSON.stringify(row)}\n`;
    count++;
  }
  yield `${JSON.stringify({ end: count })}\n`;
}

/** Listens on the socket with mode 0660; returns what closes it and takes it away. Throws SocketError. */
export async function listen(
  api: FastifyInstance,
  path: string,
  group?: string,
): Promise<() => Promise<void>> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  if (existsSync(path)) {
    if (await answers(path))
      throw new SocketError(`${path} is in use: a director runs already; give --socket another path`);
    unlinkSync(path);
  }
  const gid = group === undefined ? undefined : groupId(group);
  // From its first moment nobody else may open it.
  const before = process.umask(0o177);
  try {
    await api.listen({ path });
  } finally {
    process.umask(before);
  }
  if (gid !== undefined) chownSync(path, -1, gid);
  chmodSync(path, 0o660);
  return async () => {
    await api.close();
    if (existsSync(path)) unlinkSync(path);
  };
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

function groupId(name: string): number {
  const line = readFileSync("/etc/group", "utf8")
    .split("\n")
    .find((entry) => entry.startsWith(`${name}:`));
  const id = Number(line?.split(":")[2]);
  if (!Number.isInteger(id)) throw new SocketError(`there is no group ${name} (config key \`group\`)`);
  return id;
}
