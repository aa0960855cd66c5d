/** The API's description of itself, held to what it really answers: every route, every schema. */
import { Ajv2020 } from "ajv/dist/2020.js";
import type { FastifyInstance } from "fastify";
import { beforeEach, describe, expect, test } from "vitest";
import { createApi } from "../../src/control/api.ts";
import { openApiDocument } from "../../src/control/openapi.ts";
import { LIVE_STREAM } from "../../src/observe/live-schema.ts";
import { TCP_FLAGS } from "../../src/wire/tcp.ts";
import { client, tcp, World } from "../dataplane/world.ts";
import { directorOf } from "../helpers/api.ts";

type Schema = Readonly<Record<string, unknown>>;
type Content = Readonly<Record<string, { readonly schema: Schema }>>;

interface Operation {
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly content: Content }>>;
}

const KEY = { protocol: "tcp", family: 4, address: "10.0.0.100", port: 80, mark: 0 };
const SERVER = { address: "10.0.0.19", port: 80, weight: 1, method: "route", upper: 0, lower: 0 };
const LIST = { kind: "list", what: "services", format: {} };
const TEXT = "services: [{address: 10.0.0.100, port: 81}, {address: 10.0.0.100, port: 80, scheduler: nope}]";

/** Requests of each kind, good and bad. A route that is described and has none here fails the test below. */
const BODIES: Readonly<Record<string, readonly { body: unknown; status: number }[]>> = {
  "/v1/ipvsadm": [
    { body: { command: { kind: "addServer", service: KEY, server: SERVER } }, status: 200 },
    { body: { command: LIST }, status: 200 },
    { body: { commands: [{ kind: "clear" }, { kind: "deleteService", service: KEY }] }, status: 200 },
    { body: { command: { kind: "deleteService", service: { ...KEY, port: 9 } } }, status: 404 },
    { body: { command: { kind: "dance" } }, status: 400 },
    { body: {}, status: 400 },
  ],
  "/v1/plan": [
    { body: { text: TEXT }, status: 200 },
    { body: { text: "services: 5" }, status: 400 },
    { body: { file: "x" }, status: 400 },
  ],
  "/v1/apply": [
    { body: { text: TEXT, file: "d.yaml" }, status: 200 },
    { body: { text: "a: [" }, status: 400 },
  ],
  "/v1/vips": [
    { body: { address: "10.0.0.100", active: false }, status: 200 },
    { body: { address: "10.0.0.1", active: false }, status: 404 },
    { body: { address: 5 }, status: 400 },
  ],
  "/v1/explain": [
    { body: { frame: "020000000001020000000002080045000014" }, status: 200 },
    { body: { frame: "no hex" }, status: 400 },
    { body: {}, status: 400 },
  ],
};

/** Streams and more: tested where they are made. */
const ELSEWHERE = ["/v1/capture"];

let api: FastifyInstance;
let paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
const ajv = new Ajv2020({ strict: false, allErrors: true });

beforeEach(async () => {
  const world = new World({ persistence: 60 });
  world.send(tcp({ source: client(1), sourcePort: 1000, flags: TCP_FLAGS.SYN }));
  const page = {
    path: "/metrics",
    summary: "Metrics",
    type: "text/plain; charset=utf-8",
    text: () => "up 1\n",
  };
  api = createApi(directorOf(world), [page]);
  const document = (await api.inject("/v1/openapi.json")).json();
  expect(document.openapi).toBe("3.1.0");
  ({ paths } = document);
});

/** Holds an answer to its description. */
function hold(
  operation: Operation,
  answer: Awaited<ReturnType<FastifyInstance["inject"]>>,
  what: string,
): void {
  const described = operation.responses[answer.statusCode] ?? operation.responses.default;
  expect(described, `${what}: ${answer.statusCode} is not described`).toBeDefined();
  const type = String(answer.headers["content-type"]).split(";")[0]!;
  const content = described!.content[type];
  expect(content, `${what}: ${type} is not described`).toBeDefined();
  const value: unknown = type === "application/json" ? answer.json() : answer.body;
  const fits = ajv.validate({ ...content!.schema }, value);
  expect(fits, `${what}: ${ajv.errorsText()}\n${answer.body.slice(0, 500)}`).toBe(true);
}

describe("what is answered is as described", () => {
  test("to every GET", async () => {
    const gets = Object.entries(paths).filter(([, methods]) => methods.get !== undefined);
    expect(gets.length).toBeGreaterThan(8);
    for (const [path, { get }] of gets) {
      const answer = await api.inject(path);
      expect(answer.statusCode, path).toBe(200);
      hold(get!, answer, path);
    }
  });

  test("to every POST, good or bad; and what was taken was as described too", async () => {
    const posts = Object.entries(paths).filter(([, methods]) => methods.post !== undefined);
    for (const [path, { post }] of posts) {
      if (ELSEWHERE.includes(path)) continue;
      expect(BODIES[path], `${path} has no requests here`).toBeDefined();
      for (const { body, status } of BODIES[path]!) {
        const what = `${path} ${JSON.stringify(body)}`;
        const answer = await api.inject({ method: "POST", url: path, payload: body as object });
        expect(answer.statusCode, `${what}: ${answer.body}`).toBe(status);
        hold(post!, answer, what);
        const schema = post!.requestBody!.content["application/json"]!.schema;
        if (status === 200)
          expect(ajv.validate({ ...schema }, body), `${what}: ${ajv.errorsText()}`).toBe(true);
      }
    }
  });

  test("an answer with a key that nobody described would be found", () => {
    const { get } = paths["/v1/vips"]!;
    const schema = get!.responses["200"]!.content["application/json"]!.schema;
    const vip = { address: "10.0.0.1", own: true, active: true, onHost: false, conflicts: 0 };
    expect(ajv.validate({ ...schema }, [vip])).toBe(true);
    expect(ajv.validate({ ...schema }, [{ ...vip, secret: 1 }])).toBe(false);
  });
});

test("a stream of events is described with each event's data", () => {
  const { paths: all } = openApiDocument([], [LIVE_STREAM]) as unknown as {
    paths: Record<string, { get: { responses: Record<string, { content: Content }> } }>;
  };
  const stream = all["/v1/live"]!.get.responses["200"]!.content["text/event-stream"]!;
  const events = (stream as unknown as { "x-events": Record<string, Schema> })["x-events"];
  expect(Object.keys(events).sort()).toEqual(["frames", "hello", "notice", "picture", "skipped"]);
  expect(ajv.validate({ ...events.hello }, { version: 1, label: "eth0" })).toBe(true);
  expect(ajv.validate({ ...events.hello }, { version: 1 })).toBe(false);
});

test("a route that is not there, and a body that is no JSON, are answered in the same shape", async () => {
  const wrong = await api.inject({
    method: "POST",
    url: "/v1/plan",
    payload: "{",
    headers: { "content-type": "application/json" },
  });
  expect(wrong).toMatchObject({ statusCode: 400 });
  expect(wrong.json()).toMatchObject({ error: { code: "EINVAL" } });
  const nowhere = await api.inject("/v1/nowhere");
  expect(nowhere).toMatchObject({ statusCode: 404 });
});
