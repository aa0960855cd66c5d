import { z } from "zod";
import type { CommandError, CommandErrorCode, CommandExecutor, DirectorCommand, Listing } from "./model.ts";

/**
 * The body of `POST /v1/ipvsadm` and what comes back, without any HTTP of its own.
 *
 * `{command}` → 200 `{ok: true}` or 4xx `{error: {code, message}}`; a listing comes as JSON lines (see
 * `listingLines`). `{commands: […]}` (changes only) carries them out in order, each whole or not at all, going on
 * after a failure → 200 `{ok, errors: [{index, error}]}`.
 */

const port = z.int().min(0).max(65_535);
const uint = z
  .int()
  .min(0)
  .max(2 ** 32 - 1);
const int31 = z
  .int()
  .min(0)
  .max(2 ** 31 - 1);
const seconds = z
  .int()
  .min(0)
  .max(31 * 86_400);
const address = z.union([z.ipv4(), z.ipv6()]);
const name = z.string().max(15);

const serviceKey = z.strictObject({
  protocol: z.enum(["tcp", "udp", "sctp", "fwm"]),
  family: z.union([z.literal(4), z.literal(6)]),
  address,
  port,
  mark: uint,
});

const service = z.strictObject({
  key: serviceKey,
  scheduler: name.min(1),
  flags: z.int().min(0).max(0x38),
  persistence: seconds,
  netmask: z.union([z.ipv4(), z.string().regex(/^\d{1,3}$/)]),
  onePacket: z.boolean(),
  pe: name.min(1).optional(),
});

const server = z.strictObject({
  address,
  port,
  weight: int31,
  method: z.enum(["route", "tunnel", "masq"]),
  upper: uint,
  lower: uint,
});

const change = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("addService"), service }),
  z.strictObject({ kind: z.literal("editService"), service }),
  z.strictObject({ kind: z.literal("deleteService"), service: serviceKey }),
  z.strictObject({ kind: z.literal("clear") }),
  z.strictObject({ kind: z.literal("addServer"), service: serviceKey, server }),
  z.strictObject({ kind: z.literal("editServer"), service: serviceKey, server }),
  z.strictObject({
    kind: z.literal("deleteServer"),
    service: serviceKey,
    server: z.strictObject({ address, port }),
  }),
  z.strictObject({ kind: z.literal("zero"), service: serviceKey.optional() }),
  z.strictObject({
    kind: z.literal("setTimeouts"),
    timeouts: z.strictObject({ tcp: seconds, tcpfin: seconds, udp: seconds }),
  }),
]);

const listing = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("list"),
    what: z.enum(["services", "connections", "timeouts", "daemons"]),
    service: serviceKey.optional(),
    format: z.strictObject({
      numeric: z.boolean(),
      columns: z.enum(["plain", "stats", "rate", "thresholds", "persistent", "tunnel"]),
      exact: z.boolean(),
      nosort: z.boolean(),
    }),
  }),
  z.strictObject({ kind: z.literal("save"), numeric: z.boolean() }),
]);

/** The request's shape, also for OpenAPI (`z.toJSONSchema`). */
export const ipvsadmRequest = z.union([
  z.strictObject({ command: z.union([change, listing]) }),
  z.strictObject({ commands: z.array(change) }),
]);

/** What to send back: JSON, or JSON lines one by one, never all in memory. */
export type IpvsadmAnswer =
  | { status: number; contentType: "application/json"; body: string }
  | { status: 200; contentType: "application/x-ndjson"; lines: Iterable<string> };

const STATUS: Readonly<Record<CommandErrorCode, number>> = {
  EEXIST: 409,
  ESRCH: 404,
  ENOENT: 404,
  EINVAL: 400,
  ERANGE: 400,
  EAFNOSUPPORT: 400,
  EOPNOTSUPP: 400,
  EPERM: 403,
  ENOMEM: 507,
};

/** Carries out a parsed JSON body. A body of the wrong shape is 400 with code "EBADMSG" and the place of the fault. */
export function answerIpvsadm(director: CommandExecutor, body: unknown): IpvsadmAnswer {
  const request = ipvsadmRequest.safeParse(body);
  if (!request.success) return json(400, { error: { code: "EBADMSG", message: fault(request.error) } });
  if ("commands" in request.data) return batch(director, request.data.commands as DirectorCommand[]);
  const result = director.execute(request.data.command as DirectorCommand);
  if (!result.ok) return json(STATUS[result.error.code] ?? 500, { error: result.error });
  if (result.listing === undefined) return json(200, { ok: true });
  return { status: 200, contentType: "application/x-ndjson", lines: listingLines(result.listing) };
}

function batch(director: CommandExecutor, commands: readonly DirectorCommand[]): IpvsadmAnswer {
  const errors: { index: number; error: CommandError }[] = [];
  for (const [index, command] of commands.entries()) {
    const result = director.execute(command);
    if (!result.ok) errors.push({ index, error: result.error });
  }
  return json(200, { ok: errors.length === 0, errors });
}

/**
 * A listing as JSON lines: first what it is (`{"kind":"services","info":{…}}`), then a service or a connection
 * each, last `{"end":<rows>}`, by which a reader knows that it has got everything.
 */
export function* listingLines(listing: Listing): Iterable<string> {
  let rows = 0;
  if (listing.kind === "services") {
    yield line({ kind: listing.kind, info: listing.info });
    for (const service of listing.services) {
      yield line(service);
      rows++;
    }
  } else if (listing.kind === "connections") {
    yield line({ kind: listing.kind });
    for (const connection of listing.connections) {
      yield line(connection);
      rows++;
    }
  } else {
    yield line(listing);
  }
  yield line({ end: rows });
}

function line(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}

function json(status: number, value: unknown): IpvsadmAnswer {
  return { status, contentType: "application/json", body: line(value) };
}

/** The deepest complaint of zod's, with its place: "command.server.weight: Invalid input: expected int". */
function fault(error: z.ZodError): string {
  let issue = error.issues[0];
  while (issue?.code === "invalid_union") {
    // of a union's branches, the one that got furthest tells what was meant
    const branches = issue.errors.map((issues) => issues[0]).filter((each) => each !== undefined);
    branches.sort((a, b) => b.path.length - a.path.length);
    const deeper = branches[0];
    if (deeper === undefined) break;
    issue = { ...deeper, path: [...issue.path, ...deeper.path] };
  }
  return issue === undefined ? "malformed request" : `${issue.path.join(".") || "body"}: ${issue.message}`;
}
