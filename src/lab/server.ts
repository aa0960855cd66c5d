/**
 * A real server of the lab, a process of its own: `node server.js NAME VIP [VIP6]`. HTTP on port 80 and on the
 * schedulers' ports of every address, UDP echo on port 7 of the VIPs. Says "ready" when it listens and ends when its stdin does.
 *
 *     GET /           its name, one line
 *     GET /bytes/N    N known bytes (pattern.ts)
 *     POST /upload    the SHA-256 of what was sent, as hex
 */
import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { patternBytes } from "./pattern.ts";
import { ECHO_PORT, HTTP_PORT, SCHEDULER_PORT, SCHEDULER_PORTS } from "./topology.ts";

const [name = "rs", vip = "0.0.0.0", vip6] = process.argv.slice(2);

function answer(request: IncomingMessage, response: ServerResponse): void {
  response.setHeader("X-Real-Server", name);
  const bytes = /^\/bytes\/(\d{1,12})$/.exec(request.url ?? "");
  if (bytes !== null) {
    const length = Number(bytes[1]);
    response.setHeader("Content-Type", "application/octet-stream");
    response.setHeader("Content-Length", length);
    Readable.from(patternBytes(length)).pipe(response);
  } else if (request.method === "POST" && request.url === "/upload") {
    const hash = createHash("sha256");
    request.on("data", (piece: Buffer) => hash.update(piece));
    request.on("end", () => response.end(`${hash.digest("hex")}\n`));
  } else if (request.url === "/") {
    request.resume();
    response.setHeader("Content-Type", "text/plain");
    response.end(`${name}\n`);
  } else {
    request.resume();
    response.statusCode = 404;
    response.end("not found\n");
  }
}

function listen(port: number): Promise<void> {
  const http = createServer(answer);
  http.keepAliveTimeout = 120_000;
  http.on("clientError", (_error, socket) => socket.destroy());
  return new Promise((resolve) => http.listen(port, vip6 === undefined ? "0.0.0.0" : "::", 1024, resolve));
}

// Bound to the VIP itself, or the kernel would answer with the real server's own address as source.
function echo(type: "udp4" | "udp6", address: string): Promise<void> {
  const socket = createSocket(type);
  socket.on("message", (message, from) => socket.send([`${name}: `, message], from.port, from.address));
  return new Promise((resolve) => socket.bind(ECHO_PORT, address, resolve));
}

const ports = Array.from({ length: SCHEDULER_PORTS }, (_, i) => SCHEDULER_PORT + i);
await Promise.all([HTTP_PORT, ...ports].map(listen));
await echo("udp4", vip);
if (vip6 !== undefined) await echo("udp6", vip6);
process.stdout.write("ready\n");
process.stdin.resume().on("end", () => process.exit(0));
