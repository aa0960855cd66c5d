/** The shapes of what comes in over the control socket, as zod schemas: checked, and told in the OpenAPI document. */
import { z } from "zod";
import type { DirectorCommand } from "./model.ts";

const u16 = z.int().min(0).max(65_535);
const u32 = z
  .int()
  .min(0)
  .max(2 ** 32 - 1);
const i32 = z
  .int()
  .min(0)
  .max(2 ** 31 - 1);
const address = z.string().max(64);

export const serviceKeySchema = z.object({
  protocol: z.enum(["tcp", "udp", "sctp", "fwm"]),
  family: z.literal([4, 6]),
  address,
  port: u16,
  mark: u32,
});

export const serviceSpecSchema = z.object({
  key: serviceKeySchema,
  scheduler: z.string().max(64),
  flags: z.int().min(0).max(0xff),
  persistence: i32,
  netmask: z.string().max(64),
  onePacket: z.boolean(),
  pe: z.string().max(64).optional(),
});

const serverKey = z.object({ address, port: u16 });
export const serverSpecSchema = serverKey.extend({
  weight: z
    .int()
    .min(-(2 ** 31))
    .max(2 ** 31 - 1),
  method: z.enum(["route", "tunnel", "masq"]),
  upper: u32,
  lower: u32,
});
const timeouts = z.object({ tcp: z.int(), tcpfin: z.int(), udp: z.int() });

export const commandSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("addService"), service: serviceSpecSchema }),
  z.object({ kind: z.literal("editService"), service: serviceSpecSchema }),
  z.object({ kind: z.literal("deleteService"), service: serviceKeySchema }),
  z.object({ kind: z.literal("clear") }),
  z.object({ kind: z.literal("addServer"), service: serviceKeySchema, server: serverSpecSchema }),
  z.object({ kind: z.literal("editServer"), service: serviceKeySchema, server: serverSpecSchema }),
  z.object({ kind: z.literal("deleteServer"), service: serviceKeySchema, server: serverKey }),
  z.object({ kind: z.literal("zero"), service: serviceKeySchema.optional() }),
  z.object({ kind: z.literal("setTimeouts"), timeouts }),
  z.object({
    kind: z.literal("list"),
    what: z.enum(["services", "connections", "timeouts", "daemons"]),
    service: serviceKeySchema.optional(),
    format: z.unknown().optional(),
  }),
  z.object({ kind: z.literal("save"), numeric: z.boolean().optional() }),
]);

export const requestSchema = z.union([
  z.object({ command: commandSchema }),
  z.object({ commands: z.array(commandSchema).max(1_000_000) }),
]);

/** A checked request in the model's words; exactOptionalPropertyTypes is the only difference. */
export type Request =
  | { readonly command: DirectorCommand }
  | { readonly commands: readonly DirectorCommand[] };

/** A config as text, and the name under which its errors are told. */
export const documentSchema = z.object({ text: z.string(), file: z.string().max(4096).optional() });

export const activationSchema = z.object({ address, active: z.boolean() });
export type Activation = z.output<typeof activationSchema>;
