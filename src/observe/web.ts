/**
 * The page over HTTP: three files and a stream of events, to look at only. A browser on this machine is the only one
 * that is expected: the loopback by default, the Host header is checked so that no other site's name can be made to
 * point here (DNS rebinding), and the page may load nothing from anywhere else. Whoever serves it may add commands;
 * they need the token of this run.
 */
import { randomBytes, timingSafeEqual } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { fileURLToPath } from "node:url";
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from "fastify";
import type { Live, LiveSink } from "./live.ts";

export class WebError extends Error {
  override readonly name = "WebError";
}

/** Brings events to a reader until what it returns is called. */
export type Events = (sink: LiveSink) => () => void;

export interface WebOptions {
  readonly host: string;
  /** 0 takes any. */
  readonly port: number;
  /** A unix socket to listen on instead, for somebody who relays `port` to it. */
  readonly path?: string;
  /** "live" is to look at only. */
  readonly mode: "live" | "lab";
  readonly events: Events;
  /** What a POST /command does; rejects with an Error whose message the page shows. */
  readonly command?: (body: unknown) => Promise<unknown>;
  /** Where the page's files are; dist/web by default. */
  readonly folder?: string;
}

export interface WebServer {
  /** Where to point a browser; with commands it ends in the token, which never leaves the browser's own memory. */
  readonly url: string;
  readonly token: string;
  close(): Promise<void>;
}

const READERS = 16;
const BODY_LIMIT = 16 * 1024;

const FILES: Readonly<Record<string, string>> = {
  "index.html": "text/html; charset=utf-8",
  "style.css": "text/css; charset=utf-8",
  "page.js": "text/javascript; charset=utf-8",
};

const HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), microphone=(), geolocation=()",
  "cache-control": "no-store",
};

/** Serves the page; rejects with WebError when it cannot. */
export async function serveWeb(options: WebOptions): Promise<WebServer> {
  const files = readPage(options.folder ?? fileURLToPath(new URL("../web/", import.meta.url)), options.mode);
  const token = randomBytes(16).toString("hex");
  const web = fastify({ bodyLimit: BODY_LIMIT, forceCloseConnections: true, exposeHeadRoutes: true });
  let isOwn = (_host: string): boolean => false;
  web.addHook("onRequest", async (request, reply) => guard(request, reply, (host) => isOwn(host)));
  for (const [name, body] of files) {
    const serve = (_: FastifyRequest, reply: FastifyReply) => reply.type(FILES[name]!).send(body);
    web.get(`/${name}`, serve);
    if (name === "index.html") web.get("/", serve);
  }
  addEvents(web, "/events", options.events);
  if (options.command !== undefined) addCommand(web, options.command, token);
  await listening(web, options);
  const address = web.server.address();
  const port = typeof address === "object" && address !== null ? address.port : options.port;
  isOwn = ownNames(options.host, port);
  const secret = options.command === undefined ? "" : `#token=${token}`;
  return {
    url: `http://${bracketed(options.host)}:${port}/${secret}`,
    token,
    close: () => web.close(),
  };
}

function readPage(folder: string, mode: WebOptions["mode"]): Map<string, string> {
  if (!existsSync(`${folder}/index.html`))
    throw new WebError(`the page is not built: ${folder} has no index.html (npm run build)`);
  const files = new Map(Object.keys(FILES).map((name) => [name, readFileSync(`${folder}/${name}`, "utf8")]));
  const index = files.get("index.html")!.replace('data-source="browser"', `data-source="${mode}"`);
  return files.set("index.html", index);
}

/**
 * Is a Host header one of this server's? Its own address and the loopback's; where it listens on every address, any
 * address, but never another name: rebinding needs one.
 */
function ownNames(host: string, port: number): (host: string) => boolean {
  const end = port === 80 ? "(?::80)?" : `:${port}`;
  const names = [host, "localhost", "127.0.0.1", "::1"].map((name) =>
    bracketed(name).replace(/[.[\]]/g, "\\$&"),
  );
  if (host === "0.0.0.0" || host === "::") names.push("[0-9.]+", "\\[[0-9a-f:.]+\\]");
  const own = new RegExp(`^(?:${names.join("|")})${end}$`, "i");
  return (given) => own.test(given);
}

/** Refuses requests under a name that is not this server's, and gives every answer its headers. */
async function guard(
  request: FastifyRequest,
  reply: FastifyReply,
  isOwn: (host: string) => boolean,
): Promise<void> {
  reply.headers(HEADERS);
  const { host, origin } = request.headers;
  if (host === undefined || !isOwn(host)) {
    await reply.code(421).send({ error: "this page is served under another name" });
  } else if (origin !== undefined && origin !== `http://${host}`) {
    await reply.code(403).send({ error: "only this page itself may ask" });
  }
}

/** GET `path` as a stream of events on any server of ours. */
export function addEvents(web: FastifyInstance, path: string, events: Events): void {
  let readers = 0;
  web.get(path, { exposeHeadRoute: false }, (_request, reply) => {
    if (readers >= READERS)
      return reply.code(503).send({ error: `${READERS} readers are connected already` });
    readers++;
    reply.hijack();
    const { raw } = reply;
    const headers = {
      ...reply.getHeaders(),
      "content-type": "text/event-stream",
      "cache-control": "no-store",
    };
    raw.writeHead(200, headers as Record<string, string>);
    raw.flushHeaders();
    const leave = events(sinkOf(raw));
    raw.once("close", () => {
      readers--;
      leave();
    });
    return reply;
  });
}

/** Live's own events. */
export function eventsOf(live: Live): Events {
  return (sink) => live.attach(sink);
}

function sinkOf(raw: ServerResponse): LiveSink {
  return {
    write(text) {
      if (!raw.writableEnded && !raw.destroyed) raw.write(text);
    },
    get waiting() {
      return raw.writableLength;
    },
  };
}

function addCommand(web: FastifyInstance, command: (body: unknown) => Promise<unknown>, token: string): void {
  const wanted = Buffer.from(token);
  web.post("/command", async (request, reply) => {
    const given = Buffer.from(String(request.headers["x-dr-director-token"] ?? ""));
    if (given.length !== wanted.length || !timingSafeEqual(given, wanted))
      return reply.code(403).send({ error: "this needs the token that the lab printed" });
    try {
      return { ok: true, result: (await command(request.body)) ?? null };
    } catch (error) {
      return reply.code(400).send({ error: error instanceof Error ? error.message : String(error) });
    }
  });
}

async function listening(web: FastifyInstance, { host, port, path }: WebOptions): Promise<void> {
  try {
    await web.listen(path === undefined ? { host, port } : { path });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === "EADDRINUSE" ? "somebody else listens there" : message;
    throw new WebError(`the page cannot be served on ${host} port ${port}: ${reason}`);
  }
}

const bracketed = (host: string): string =>
  host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
