/**
 * The director's whole state as JSON lines, for people and for bug reports: services, real servers (deleted ones too
 * while connections refer to them), connections, persistence templates, counters. state-dump.ts writes them,
 * state-load.ts makes a state file of them.
 */
import { z } from "zod";
import { serverSpecSchema, serviceKeySchema, serviceSpecSchema } from "./api-schema.ts";

/** Moves when a line means something else than before. */
export const FORMAT = 1;

const number = z.number();
const counters = z.tuple([number, number, number]).describe("Connections, packets, bytes");
const end = z.string().max(64);

const flow = {
  protocol: z.int().min(0).max(255),
  client: end,
  cport: z.int().min(0).max(65_535),
  virtual: end,
  vport: z.int().min(0).max(65_535),
  family: z.literal([4, 6]),
  /** `id` of a server line. */
  server: z.int().min(0),
  rport: z.int(),
  /** As ipvsadm names it; `status` is what counts. */
  state: z.string().optional(),
  /** State, flags and first frames, as in the table (table/connections.ts). */
  status: z.int(),
  /** Milliseconds left. */
  expires: number,
  /** Milliseconds a template is prolonged by. */
  timeout: number,
  mark: z.int().min(0),
};

export const stateLine = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("state"),
    format: z.literal(FORMAT),
    shards: z.int().min(1).max(256),
    services: z.int().min(1),
    destinations: z.int().min(1),
    connections: z.int().min(1).describe("Per shard"),
    templates: z.int().min(1),
    neighbours: z.int().min(1),
  }),
  z.object({ kind: z.literal("timeouts"), tcp: z.int(), tcpfin: z.int(), udp: z.int() }),
  z.object({
    kind: z.literal("service"),
    service: serviceSpecSchema,
    departed: counters.describe("What real servers that are gone for good had counted"),
    /** The scheduler's own words; where they tell a destination (Scheduler.destinationWords) it is `id` + 1. */
    position: z.array(z.int()).optional(),
  }),
  z.object({
    kind: z.literal("server"),
    id: z.int().min(0),
    service: serviceKeySchema,
    server: serverSpecSchema,
    deleted: z.boolean(),
    /** Takes no new connections since it reached its upper threshold. */
    overloaded: z.boolean().optional(),
    /** The last weight that was not 0, where it is 0 now. */
    lastWeight: z.int().min(0).optional(),
    counters,
  }),
  z.object({ kind: z.literal("template"), id: z.int().min(0), ...flow }),
  z.object({ kind: z.literal("connection"), template: z.int().min(0).optional(), ...flow }),
  z.object({
    kind: z.literal("frames"),
    verdicts: z.record(z.string(), number),
    counts: z.record(z.string(), number),
  }),
  z.object({ kind: z.literal("neighbour"), address: end, state: z.string(), mac: z.string().optional() }),
  z.object({ kind: z.literal("end"), lines: z.int().min(0) }),
]);

export type StateLine = z.output<typeof stateLine>;
