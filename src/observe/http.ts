/** Metrics over TCP, for a Prometheus on another machine; the control socket serves them in any case. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Metrics } from "./metrics.ts";

export class MetricsServerError extends Error {
  override readonly name = "MetricsServerError";
}

/** Scrapers that may be connected at once. */
const CONNECTIONS = 32;
const PATIENCE_MS = 10_000;

export interface MetricsServer {
  /** As listened on: the port is a real one even when 0 was asked for. */
  readonly address: AddressInfo;
  close(): Promise<void>;
}

/** Listens at once; rejects with MetricsServerError when it cannot. Nothing but GET /metrics is answered. */
export async function serveMetrics(
  metrics: Metrics,
  { host, port }: { host: string; port: number },
): Promise<MetricsServer> {
  const server = createServer(
    { requestTimeout: PATIENCE_MS, headersTimeout: PATIENCE_MS },
    (request, reply) => {
      request.resume();
      const head = request.method === "HEAD";
      if (request.url?.split("?")[0] !== "/metrics") return void reply.writeHead(404).end("see /metrics\n");
      if (request.method !== "GET" && !head) return void reply.writeHead(405, { allow: "GET, HEAD" }).end();
      metrics.text().then(
        (text) => reply.writeHead(200, { "content-type": metrics.contentType }).end(head ? undefined : text),
        (error: Error) => reply.writeHead(500).end(`${error.message}\n`),
      );
    },
  );
  server.maxConnections = CONNECTIONS;
  // One that takes its answer too slowly, or never, is given up.
  server.setTimeout(PATIENCE_MS);
  await listening(server, host, port);
  return {
    address: server.address() as AddressInfo,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const reason = error.code === "EADDRINUSE" ? "somebody else listens there" : error.message;
      reject(new MetricsServerError(`metrics cannot be served on ${host} port ${port}: ${reason}`));
    });
    server.listen({ host, port }, resolve);
  });
}
