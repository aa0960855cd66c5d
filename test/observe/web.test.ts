/** Who may ask what of the page's server. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { LiveSink } from "../../src/observe/live.ts";
import { serveWeb, WebError, type WebOptions } from "../../src/observe/web.ts";

function pageFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "dr-director-web-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, "index.html"), '<!doctype html><html lang="en" data-source="browser"></html>');
  writeFileSync(join(folder, "style.css"), "p{}");
  writeFileSync(join(folder, "page.js"), "0");
  return folder;
}

async function serve(options: Partial<WebOptions> = {}) {
  const sinks: LiveSink[] = [];
  const events = (sink: LiveSink) => {
    sinks.push(sink);
    sink.write("event: hello\ndata: {}\n\n");
    return () => void sinks.splice(sinks.indexOf(sink), 1);
  };
  const web = await serveWeb({
    host: "127.0.0.1",
    port: 0,
    mode: "live",
    folder: pageFolder(),
    events,
    ...options,
  });
  onTestFinished(() => web.close());
  return { web, sinks, port: Number(new URL(web.url).port), at: new URL(web.url).origin };
}

/** fetch() sets Host itself. */
function ask(
  port: number,
  path: string,
  headers: Record<string, string>,
  method = "GET",
  body = "",
): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: "127.0.0.1", port, path, method, headers }, (response) => {
      response.resume();
      resolve(response.statusCode!);
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

test("the page, its two files and nothing else; it learns who serves it", async () => {
  const { at } = await serve({ mode: "lab" });
  const index = await fetch(`${at}/`);
  expect(index.headers.get("content-type")).toBe("text/html; charset=utf-8");
  expect(await index.text()).toContain('data-source="lab"');
  expect((await fetch(`${at}/style.css`)).headers.get("content-type")).toBe("text/css; charset=utf-8");
  expect((await fetch(`${at}/page.js`)).headers.get("content-type")).toBe("text/javascript; charset=utf-8");
  for (const path of ["/x", "/../package.json", "/%2e%2e/package.json", "/command", "/v1/services"])
    expect((await fetch(`${at}${path}`)).status, path).toBe(404);
});

test("every answer forbids what the page does not need, errors too", async () => {
  const { at } = await serve();
  for (const path of ["/", "/page.js", "/nothing"]) {
    const { headers } = await fetch(`${at}${path}`);
    const policy = headers.get("content-security-policy")!;
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    expect(headers.get("x-content-type-options")).toBe("nosniff");
  }
});

test("it answers to its own names only: another site's name pointed here gets nothing", async () => {
  const { port } = await serve();
  for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `LOCALHOST:${port}`, `[::1]:${port}`])
    expect(await ask(port, "/", { host }), host).toBe(200);
  for (const host of [
    "evil.example",
    `evil.example:${port}`,
    "127.0.0.1",
    `127.0.0.1:${port + 1}`,
    `127.0.0.1.evil.example:${port}`,
    `x127.0.0.1:${port}`,
    `127x0.0.1:${port}`,
  ])
    expect(await ask(port, "/events", { host }), host).toBe(421);
});

test("listening on every address it answers to any address, still to no other name", async () => {
  const { port } = await serve({ host: "0.0.0.0" });
  expect(await ask(port, "/", { host: `192.0.2.7:${port}` })).toBe(200);
  expect(await ask(port, "/", { host: `evil.example:${port}` })).toBe(421);
});

test("a page of another origin may not ask", async () => {
  const { port } = await serve();
  const host = `127.0.0.1:${port}`;
  expect(await ask(port, "/", { host, origin: `http://${host}` })).toBe(200);
  expect(await ask(port, "/", { host, origin: "http://evil.example" })).toBe(403);
  expect(await ask(port, "/", { host, origin: "null" })).toBe(403);
});

test("to look at only: there is no command without somebody who carries it out", async () => {
  const { at, web } = await serve();
  const headers = { "x-dr-director-token": web.token, "content-type": "application/json" };
  expect((await fetch(`${at}/command`, { method: "POST", headers, body: "{}" })).status).toBe(404);
  expect(web.url).not.toContain("token");
});

test("a command needs this run's token, and its refusal is told", async () => {
  const asked: unknown[] = [];
  const command = async (body: unknown) => {
    asked.push(body);
    if ((body as { bad?: true }).bad) throw new Error("no such service");
  };
  const { at, port, web } = await serve({ command, mode: "lab" });
  expect(web.url).toBe(`${at}/#token=${web.token}`);
  const post = (token: string, body: object) =>
    fetch(`${at}/command`, {
      method: "POST",
      headers: { "x-dr-director-token": token, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  expect((await post("", {})).status).toBe(403);
  expect((await post(web.token.replace(/.$/, "x"), {})).status).toBe(403);
  expect(asked).toEqual([]);
  expect((await post(web.token, { kind: "weight" })).status).toBe(200);
  expect(asked).toEqual([{ kind: "weight" }]);
  const refused = await post(web.token, { bad: true });
  expect([refused.status, await refused.json()]).toEqual([400, { error: "no such service" }]);
  // What a form of another site could send is not JSON, and has no token.
  expect(
    await ask(port, "/command", { host: `127.0.0.1:${port}`, "content-type": "text/plain" }, "POST", "{}"),
  ).toBeGreaterThanOrEqual(400);
  expect((await post(web.token, { long: "x".repeat(20_000) })).status).toBe(413);
});

test("events come at once, and the reader that hangs up is forgotten", async () => {
  const { at, sinks } = await serve();
  const abort = new AbortController();
  const response = await fetch(`${at}/events`, { signal: abort.signal });
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
  const { value } = await response.body!.getReader().read();
  expect(new TextDecoder().decode(value)).toBe("event: hello\ndata: {}\n\n");
  expect(sinks).toHaveLength(1);
  abort.abort();
  await expect.poll(() => sinks.length).toBe(0);
});

test("so many readers and no more", async () => {
  const { at, sinks } = await serve();
  const abort = new AbortController();
  onTestFinished(() => abort.abort());
  const answers = await Promise.all(
    Array.from({ length: 18 }, () => fetch(`${at}/events`, { signal: abort.signal })),
  );
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(16);
  expect(answers.filter(({ status }) => status === 503)).toHaveLength(2);
  expect(sinks).toHaveLength(16);
});

test("a port that is taken and a page that is not built are errors with a sentence", async () => {
  const { port } = await serve();
  await expect(serve({ port })).rejects.toThrow(/somebody else listens there/);
  await expect(serve({ folder: "/nowhere" })).rejects.toThrow(WebError);
  await expect(serve({ folder: "/nowhere" })).rejects.toThrow(/npm run build/);
});
