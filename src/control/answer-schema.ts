/** The shapes of what the control API answers, told in its OpenAPI document and held to real answers by the tests. */
import { z } from "zod";
import { VERDICT_NAMES } from "../dataplane/verdict.ts";
import { ShardCount } from "../table/counters.ts";
import { NEIGHBOUR_STATE_NAMES } from "../table/neighbours.ts";
import { commandSchema } from "./api-schema.ts";

const count = z.number().min(0);
const whole = z.int();

const stats = z
  .strictObject({ conns: count, inPkts: count, outPkts: count, inBytes: count, outBytes: count })
  .describe("Counted since start or the last --zero; nothing is seen of the way back");
const rates = z
  .strictObject({ cps: count, inPps: count, outPps: count, inBps: count, outBps: count })
  .describe("Per second, by the kernel's estimator");

const key = z.strictObject({
  protocol: z.enum(["tcp", "udp", "sctp", "fwm"]),
  family: z.literal([4, 6]),
  address: z.string(),
  port: whole,
  mark: whole.describe("0 unless protocol is fwm"),
});

const server = z.strictObject({
  address: z.string(),
  port: whole,
  weight: whole,
  method: z.enum(["route", "tunnel", "masq"]),
  upper: whole,
  lower: whole,
  activeConns: count,
  inactiveConns: count,
  persistentConns: count,
  stats,
  rates,
});

export const servicesAnswer = z.array(
  z.strictObject({
    key,
    scheduler: z.string(),
    flags: whole.describe("IP_VS_SVC_F_SCHED1 to 3: 8, 16, 32"),
    persistence: whole.describe("Seconds, 0 for none"),
    netmask: z.string(),
    onePacket: z.boolean(),
    pe: z.string().optional(),
    stats,
    rates,
    servers: z.array(server),
  }),
);

export const connectionsAnswer = z.array(
  z.strictObject({
    protocol: z.string().describe("TCP, UDP, SCTP, or IP for a mark's template"),
    expiresSeconds: whole,
    state: z.string(),
    client: z.string(),
    cport: whole.describe("0 for a persistence template"),
    virtual: z.string(),
    vport: whole,
    server: z.string(),
    rport: whole,
    pe: z.strictObject({ name: z.string(), data: z.string() }).optional(),
  }),
);

const verdicts = z.strictObject(
  Object.fromEntries(VERDICT_NAMES.map((name) => [name, count])) as Record<string, typeof count>,
);
const counts = z.strictObject(
  Object.fromEntries(
    Object.keys(ShardCount)
      .filter((name) => name !== "Received")
      .map((name) => [name, count]),
  ) as Record<string, typeof count>,
);

export const countersAnswer = z.strictObject({
  received: count.describe("Frames received: the sum of the verdicts"),
  verdicts,
  ringDrops: count.describe("Frames that the kernel dropped before the rings"),
  ring: z
    .string()
    .describe("The path that frames really take: af_packet, af_xdp zero-copy, af_xdp native copy, …"),
  shards: z.array(z.strictObject({ received: count, verdicts, counts })),
});

export const neighboursAnswer = z.array(
  z.strictObject({
    address: z.string(),
    state: z.enum(NEIGHBOUR_STATE_NAMES as unknown as [string, ...string[]]),
    mac: z.string().optional().describe("Absent while it is not known"),
    age: count.describe("Seconds in this state"),
    users: count.describe("Destinations that use it"),
  }),
);

export const vipsAnswer = z.array(
  z.strictObject({
    address: z.string(),
    own: z.boolean(),
    active: z.boolean(),
    onHost: z.boolean().describe("The host's own stack has it, and answers for it"),
    conflicts: count,
  }),
);

const error = z.strictObject({
  code: z.string().describe("The kernel's errno, by name"),
  message: z.string().describe("A sentence for people"),
});

export const doneAnswer = z.strictObject({ ok: z.literal(true) });
export const batchAnswer = z.strictObject({ errors: z.array(z.strictObject({ index: whole, error })) });
export const planAnswer = z.strictObject({ commands: z.array(commandSchema) });
export const applyAnswer = planAnswer.extend({
  refused: z.array(z.strictObject({ command: commandSchema, error, message: z.string() })),
});

export const errorAnswer = z.strictObject({
  error,
  problems: z
    .array(z.strictObject({ line: whole, column: whole, key: z.string(), message: z.string() }))
    .optional()
    .describe("Of a config: everything that is wrong with it"),
});
