import { connect } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { parseListenAddress } from "../../src/control/listen-address.ts";
import { MetricsServerError, serveMetrics } from "../../src/observe/http.ts";
import type { Metrics } from "../../src/observe/metrics.ts";

const METRICS = { contentType: "text/plain; version=0.0.4", text: async () => "one 1\n" } as Metrics;

async function serve(metrics = METRICS) {
  const server = await serveMetrics(metrics, { host: "127.0.0.1", port: 0 });
  onTestFinished(() => server.close());
  return server;
}

test("GET /metrics and nothing else is answered", async () => {
  const { address } = await serve();
  const at = `http://127.0.0.1:${address.port}`;
  const answer = await fetch(`${at}/metrics`);
  expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4");
  expect(await answer.text()).toBe("one 1\n");
  expect(await (await fetch(`${at}/metrics`, { method: "HEAD" })).text()).toBe("");
  expect((await fetch(`${at}/metrics`, { method: "POST", body: "x" })).status).toBe(405);
  expect((await fetch(`${at}/v1/services`)).status).toBe(404);
});

test("a failure while metrics are made is an answer, not the end", async () => {
  const { address } = await serve({
    ...METRICS,
    text: () => Promise.reject(new Error("torn")),
  } as unknown as Metrics);
  expect((await fetch(`http://127.0.0.1:${address.port}/metrics`)).status).toBe(500);
});

test("a port that is taken is an error with a sentence", async () => {
  const { address } = await serve();
  const again = serveMetrics(METRICS, { host: "127.0.0.1", port: address.port });
  await expect(again).rejects.toThrow(MetricsServerError);
  await expect(again).rejects.toThrow(/somebody else listens there/);
});

test("it closes although somebody is in the middle of a word", async () => {
  const server = await serve();
  const silent = connect(server.address.port, "127.0.0.1");
  silent.on("error", () => {});
  await new Promise((resolve) => silent.once("connect", resolve));
  await new Promise((resolve) => silent.write("GET /metr", resolve));
  await new Promise((resolve) => setTimeout(resolve, 20));
  const late = new Promise((resolve) => setTimeout(resolve, 2_000, "late"));
  expect(await Promise.race([server.close(), late])).toBeUndefined();
});

test.each([
  ["9107", "127.0.0.1", 9107],
  ["127.0.0.1:9107", "127.0.0.1", 9107],
  ["0.0.0.0:0", "0.0.0.0", 0],
  ["[::1]:65535", "::1", 65535],
])("%s is where it says", (text, host, port) => {
  expect(parseListenAddress(text)).toEqual({ host, port });
});

test.each(["", ":9107", "localhost:80", "127.0.0.1", "1.2.3.4:65536", "[::1]", "::1:80", "1.2.3:80"])(
  "%s is not where a server could listen",
  (text) => expect(parseListenAddress(text)).toBeUndefined(),
);
