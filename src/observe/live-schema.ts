/** The live events' shapes (live-events.ts), told in the API's OpenAPI document and held to real events by the tests. */
import { z } from "zod";
import {
  connectionsAnswer,
  countersAnswer,
  neighboursAnswer,
  servicesAnswer,
} from "../control/answer-schema.ts";
import type { EventStream } from "../control/openapi.ts";
import { VERDICT_NAMES } from "../dataplane/verdict.ts";

const count = z.number().min(0);

const hello = z.strictObject({ version: z.literal(1), label: z.string().describe("The interface's name") });

const picture = z.strictObject({
  time: count.describe("ms of the shards' clock"),
  services: servicesAnswer.describe("The first 64"),
  neighbours: neighboursAnswer.describe("The first 64"),
  connections: connectionsAnswer.describe("60 of them, those that last longest first"),
  connectionCount: count,
  received: count,
  verdicts: countersAnswer.shape.verdicts,
  frames: count.describe("Frames received since the first reader came"),
  told: count.describe("Of these, how many were told as events: fewer when frames are sampled"),
});

const member = z.strictObject({
  server: z.strictObject({ address: z.string(), port: z.int(), text: z.string() }),
  weight: z.int(),
  active: count,
  inactive: count,
  overloaded: z.boolean(),
  available: z.boolean().describe("Neither quiesced nor overloaded"),
  chosen: z.boolean(),
});

const neighbour = z.strictObject({
  address: z.string(),
  mac: z.string().nullable(),
  state: z.string(),
  usable: z.boolean(),
  since: count.describe("ms in this state"),
});

const frame = z.strictObject({
  id: z.int(),
  time: count.describe("ms of the shards' clock"),
  shard: z.int(),
  kind: z.enum(["request", "icmp"]).describe("A client's frame, or the director's own answer to one"),
  late: z.boolean().describe("It had waited for its neighbour and goes on now"),
  verdict: z.enum(VERDICT_NAMES as unknown as [string, ...string[]]),
  length: count.describe("Bytes on the wire"),
  before: z.string().describe("The first 256 bytes, in base64"),
  after: z.string().nullable().describe("The same as it went; null when it did not"),
  service: z.string().nullable().describe("tcp 10.0.0.100:80"),
  server: z.string().nullable().describe("The real server's address"),
  connection: z
    .strictObject({ what: z.enum(["found", "made"]), state: z.string(), active: z.boolean() })
    .nullable(),
  scheduling: z
    .strictObject({ scheduler: z.string(), members: z.array(member) })
    .nullable()
    .describe("Of a new connection: who could be chosen, counted a moment after the choice"),
  neighbour: neighbour.nullable(),
});

/** By the event's name. */
export const LIVE_EVENTS = {
  hello,
  picture,
  frames: z.strictObject({ frames: z.array(frame) }),
  notice: z.strictObject({ level: z.string(), name: z.string(), message: z.string() }),
  skipped: z.strictObject({ frames: count.describe("Left out because this reader is slow") }),
} as const;

export const LIVE_STREAM: EventStream = {
  path: "/v1/live",
  summary:
    "The running director as server-sent events until the client hangs up: hello and a picture at once, a picture twice a second, a sample of the frames ten times a second. A slow reader loses frames and is told how many; 16 readers at most.",
  events: LIVE_EVENTS,
};
