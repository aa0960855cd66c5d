/** The control API described for programs (OpenAPI 3.1); request bodies come from the schemas that check them. */
import { z } from "zod";
import {
  applyAnswer,
  batchAnswer,
  connectionsAnswer,
  countersAnswer,
  doneAnswer,
  errorAnswer,
  neighboursAnswer,
  planAnswer,
  servicesAnswer,
  vipsAnswer,
} from "./answer-schema.ts";
import { activationSchema, documentSchema, requestSchema } from "./api-schema.ts";
import { captureSchema } from "./capture-stream.ts";
import { configSchema } from "./config-schema.ts";
import { explainSchema } from "./explain-api.ts";

type Json = Readonly<Record<string, unknown>>;

const text = (description: string): Json => ({ type: "string", description });

/** What is answered, as JSON Schema. */
const shape = (schema: z.ZodType): Json => z.toJSONSchema(schema, { io: "output", unrepresentable: "any" });

const ERROR = shape(errorAnswer);

function answer(description: string, schema: Json, type = "application/json"): Json {
  return { description, content: { [type]: { schema } } };
}

function get(summary: string, schema: Json): Json {
  return { get: { summary, responses: { 200: answer(summary, schema) } } };
}

function post(summary: string, body: z.ZodType, ok: Json): Json {
  // What a request may leave out is optional in its schema, so "input" is what clients see.
  const schema = z.toJSONSchema(body, { io: "input", unrepresentable: "any" });
  const requestBody = { required: true, content: { "application/json": { schema } } };
  return { post: { summary, requestBody, responses: { 200: ok, default: answer("Refused", ERROR) } } };
}

const OBJECT: Json = { type: "object" };
const TEXT: Json = { type: "string" };

/** A text that somebody else makes (metrics, by observe/) and the API serves with its own. */
export interface Page {
  readonly path: string;
  readonly summary: string;
  /** Content type of the answer. */
  readonly type: string;
  text(): string | Promise<string>;
}

/** A stream of server-sent events that somebody else makes and hangs on the API. */
export interface EventStream {
  readonly path: string;
  readonly summary: string;
  /** What each event's data holds, by the event's name. */
  readonly events: Readonly<Record<string, z.ZodType>>;
}

/** OpenAPI 3.1 has no word for the events of a stream: `x-events` holds the schema of each one's data. */
function streamOf({ summary, events }: EventStream): Json {
  const shapes = Object.fromEntries(Object.entries(events).map(([name, schema]) => [name, shape(schema)]));
  const content = { "text/event-stream": { schema: text("WHATWG HTML §9.2"), "x-events": shapes } };
  const full = answer("So many readers are connected already", OBJECT);
  return { get: { summary, responses: { 200: { description: "Events", content }, 503: full } } };
}

function pageOf({ summary, type }: Pick<Page, "summary" | "type">): Json {
  const media = type.split(";")[0]!;
  return { get: { summary, responses: { 200: answer(summary, TEXT, media) } } };
}

export function openApiDocument(pages: readonly Page[] = [], streams: readonly EventStream[] = []): Json {
  return {
    openapi: "3.1.0",
    info: { title: "dr-director control API", version: "1" },
    paths: {
      "/v1/ipvsadm": post(
        "One of ipvsadm's commands, or several in order, going on after a failure",
        requestSchema,
        {
          description: "Done; a listing comes as JSON lines: a head, a line a row, and `{end: rows}`",
          content: {
            "application/json": { schema: shape(z.union([doneAnswer, batchAnswer])) },
            "application/x-ndjson": { schema: text("JSON lines") },
          },
        },
      ),
      "/v1/plan": post("What a config would change", documentSchema, answer("Commands", shape(planAnswer))),
      "/v1/apply": post(
        "Take a config over, as a difference",
        documentSchema,
        answer("What was done", shape(applyAnswer)),
      ),
      "/v1/vips": {
        ...get("Virtual addresses and whether they are active", shape(vipsAnswer)),
        ...post(
          "Make an owned virtual address active or standby",
          activationSchema,
          answer("Done", shape(doneAnswer)),
        ),
      },
      "/v1/explain": post(
        "What becomes of a frame and why; changes nothing (docs/explain-json.md)",
        explainSchema,
        answer("Explanation", OBJECT),
      ),
      "/v1/capture": post(
        "Frames, received and sent, as a pcapng stream that ends when the client hangs up",
        captureSchema,
        answer("pcapng", TEXT, "application/x-pcapng"),
      ),
      "/v1/counters": get("Frames received and what became of them", shape(countersAnswer)),
      "/v1/services": get("Virtual services with their real servers, newest first", shape(servicesAnswer)),
      "/v1/connections": get("Connections and persistence templates", shape(connectionsAnswer)),
      "/v1/config": get(
        "The config in force; services changed by command are not in it",
        shape(configSchema),
      ),
      "/v1/neighbours": get("Real servers' MAC addresses and their states", shape(neighboursAnswer)),
      "/v1/state": pageOf({
        summary:
          "Services, real servers, connections, templates and counters as JSON lines (dr-director export)",
        type: "application/x-ndjson",
      }),
      "/v1/proc/ip_vs": pageOf({ summary: "As /proc/net/ip_vs of a kernel director", type: "text/plain" }),
      "/v1/proc/ip_vs_stats": pageOf({ summary: "As /proc/net/ip_vs_stats", type: "text/plain" }),
      ...Object.fromEntries(pages.map((page) => [page.path, pageOf(page)])),
      ...Object.fromEntries(streams.map((stream) => [stream.path, streamOf(stream)])),
      "/v1/openapi.json": get("This document", OBJECT),
    },
  };
}
