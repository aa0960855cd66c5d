import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FastifyInstance } from "fastify";
import { beforeEach, describe, expect, test } from "vitest";
import { createApi } from "../../src/control/api.ts";
import { carryOut, planConfig } from "../../src/control/apply.ts";
import type { Config } from "../../src/control/config.ts";
import { listen, SocketError } from "../../src/control/control-socket.ts";
import { readCounters } from "../../src/control/counters.ts";
import type { Director } from "../../src/control/director.ts";
import { client, tcp, World } from "../dataplane/world.ts";

const KEY = { protocol: "tcp", family: 4, address: "10.0.0.100", port: 80, mark: 0 };

let world: World;
let api: FastifyInstance;
let settled: number;

beforeEach(() => {
  world = new World();
  settled = 0;
  const director = {
    execute: (command) => world.commands.execute(command),
    settle: () => {
      settled++;
    },
    counters: () => readCounters(world.region),
    neighbours: () => [],
    vips: () => [],
    setVipActive: (address: string) => address === "10.0.0.100",
    plan: (config: Config) => planConfig(world.commands, config),
    reload: (config: Config) => carryOut(world.commands, planConfig(world.commands, config)),
  } satisfies Partial<Director>;
  api = createApi(director as unknown as Director);
});

async function post(url: string, body: unknown): Promise<{ status: number; body: Record<string, never> }> {
  const answer = await api.inject({ method: "POST", url, payload: body as object });
  return { status: answer.statusCode, body: answer.json() };
}

async function get(url: string): Promise<unknown> {
  const answer = await api.inject({ method: "GET", url });
  expect(answer.statusCode).toBe(200);
  return answer.json();
}

describe("POST /v1/ipvsadm", () => {
  test("carries a command out and has filter and silence follow before it answers", async () => {
    const server = { address: "10.0.0.19", port: 80, weight: 1, method: "route", upper: 0, lower: 0 };
    const command = { kind: "addServer", service: KEY, server };
    expect(await post("/v1/ipvsadm", { command })).toEqual({ status: 200, body: { ok: true } });
    expect(settled).toBe(1);
    expect(await post("/v1/ipvsadm", { command })).toMatchObject({
      status: 409,
      body: { error: { code: "EEXIST" } },
    });
  });

  test("goes on after a failure, and says which of them failed", async () => {
    const missing = { kind: "deleteServer", service: KEY, server: { address: "10.0.0.99", port: 80 } };
    const clear = { kind: "clear" };
    const { body } = await post("/v1/ipvsadm", { commands: [missing, clear, missing] });
    expect(body).toMatchObject({
      errors: [
        { index: 0, error: { code: "ENOENT" } },
        { index: 2, error: { code: "ESRCH" } },
      ],
    });
    expect(await get("/v1/services")).toEqual([]);
  });

  test.each([
    [{}],
    [{ command: { kind: "format-disk" } }],
    [{ command: { kind: "addService" } }],
    [{ command: { kind: "addServer", service: KEY, server: { address: 7 } } }],
    [{ commands: "all" }],
    [null],
    [[1, 2]],
  ])("%j is refused as malformed, with nothing done", async (body) => {
    const before = await get("/v1/services");
    const answer = await api.inject({
      method: "POST",
      url: "/v1/ipvsadm",
      headers: { "content-type": "application/json" },
      payload: JSON.stringify(body),
    });
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({ error: { code: "EINVAL" } });
    expect(await get("/v1/services")).toEqual(before);
  });
});

describe("questions", () => {
  test("services and connections come as arrays", async () => {
    world.send(tcp({ source: client(1), sourcePort: 7, flags: 2 }));
    expect(await get("/v1/services")).toMatchObject([{ scheduler: "rr", servers: [{}, {}, {}] }]);
    expect(await get("/v1/connections")).toMatchObject([
      { protocol: "TCP", cport: 7, vport: 80, state: "SYN_RECV" },
    ]);
    expect(await get("/v1/counters")).toMatchObject({ received: 1, verdicts: { Forwarded: 1 } });
  });

  test("what is not there is 404", async () => {
    expect((await api.inject({ method: "GET", url: "/v1/nothing" })).statusCode).toBe(404);
  });
});

describe("a whole config", () => {
  const text =
    "services: [{address: 10.0.0.100, port: 80, scheduler: rr, servers: [{address: 10.0.0.11, weight: 9}]}]";

  test("is planned without any change, then applied as that difference", async () => {
    const planned = await post("/v1/plan", { text });
    expect(planned.body.commands).toMatchObject([
      { kind: "editServer" },
      { kind: "deleteServer" },
      { kind: "deleteServer" },
    ]);
    expect(await post("/v1/plan", { text })).toEqual(planned);
    expect((await post("/v1/apply", { text })).body).toEqual({ ...planned.body, refused: [] });
    expect((await post("/v1/plan", { text })).body).toEqual({ commands: [] });
  });

  test("with errors tells each with its place", async () => {
    const { status, body } = await post("/v1/apply", { text: "shards: 0\nttl: no\n", file: "mine.yaml" });
    expect(status).toBe(400);
    expect(body).toMatchObject({
      error: { message: expect.stringContaining("mine.yaml:1:9: shards: expected 1 or more") },
      problems: [
        { line: 1, column: 9, key: "shards" },
        { line: 2, column: 6, key: "ttl" },
      ],
    });
  });

  test("that is no document at all is refused", async () => {
    expect((await post("/v1/plan", { txt: "" })).status).toBe(400);
  });
});

test("a virtual address is taken over and given up", async () => {
  expect((await post("/v1/vips", { address: "10.0.0.100", active: false })).status).toBe(200);
  expect((await post("/v1/vips", { address: "10.0.0.1", active: false })).status).toBe(404);
  expect((await post("/v1/vips", { address: "10.0.0.1" })).status).toBe(400);
});

test("the OpenAPI document names every route, and none that is not there", async () => {
  api = createApi({ region: world.region } as Director);
  const { paths } = (await get("/v1/openapi.json")) as { paths: Record<string, object> };
  for (const [path, methods] of Object.entries(paths)) {
    for (const method of Object.keys(methods)) {
      expect(api.hasRoute({ method: method.toUpperCase() as "GET", url: path }), `${method} ${path}`).toBe(
        true,
      );
    }
  }
  const routes = api.printRoutes({ commonPrefix: false }).match(/\((?:GET|POST)[^)]*\)/g) ?? [];
  const named = Object.values(paths).map((methods) => Object.keys(methods).length);
  const served = routes.flatMap((methods) => methods.match(/GET|POST/g)!);
  expect(served.length).toBe(named.reduce((sum, count) => sum + count, 0));
});

describe("the control socket", () => {
  const folder = () => mkdtempSync(join(tmpdir(), "dr-director-socket-"));

  test("is for owner and group alone, and gone after the end", async () => {
    const path = join(folder(), "run", "s");
    const close = await listen(api, path);
    expect(statSync(path).mode & 0o777).toBe(0o660);
    const status = await new Promise((resolve) => {
      request({ socketPath: path, path: "/v1/counters" }, (answer) => resolve(answer.statusCode)).end();
    });
    expect(status).toBe(200);
    await expect(listen(createApi({} as Director), path)).rejects.toThrow(SocketError);
    await close();
    expect(existsSync(path)).toBe(false);
    rmSync(join(path, "..", ".."), { recursive: true });
  });

  test("takes the place of one that a killed director left", async () => {
    const path = join(folder(), "s");
    writeFileSync(path, "");
    await (await listen(api, path))();
    expect(existsSync(path)).toBe(false);
  });

  test("a group that is not there is named", async () => {
    await expect(listen(api, join(folder(), "s"), "no-such-group")).rejects.toThrow(/no group no-such-group/);
  });
});
