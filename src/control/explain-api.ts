/** POST /v1/explain: what the running director would do with a frame, and why. Changes nothing. */
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { explain, LONGEST_FRAME } from "../dataplane/explain.ts";
import { native } from "../ring/native.ts";
import type { Region } from "../table/region.ts";
import { Setting } from "../table/settings.ts";
import { writeMac } from "../wire/ethernet.ts";
import { AskedFrameError, askedPacketSchema, buildFrame, parseHex } from "./asked-frame.ts";
import { requestFault } from "./request-fault.ts";

export const explainSchema = z.union([
  z.strictObject({
    frame: z
      .string()
      .max(4 * LONGEST_FRAME)
      .describe("The frame as hex"),
    toUs: z.boolean().default(false).describe("Give it the director's MAC address as destination first"),
  }),
  z.strictObject({ packet: askedPacketSchema }),
]);
export type ExplainRequest = z.input<typeof explainSchema>;

export function addExplain(api: FastifyInstance, director: { readonly region: Region }): void {
  api.post("/v1/explain", (request, reply) => {
    const parsed = explainSchema.safeParse(request.body);
    const refuse = (message: string) => reply.code(400).send({ error: { code: "EINVAL", message } });
    if (!parsed.success) return refuse(requestFault(parsed.error));
    const { region } = director;
    try {
      const frame = askedFrame(region, parsed.data);
      return explain(region, frame, { now: native().monotonic(), running: true });
    } catch (error) {
      if (error instanceof AskedFrameError || error instanceof RangeError) return refuse(error.message);
      throw error;
    }
  });
}

function askedFrame({ settings }: Region, asked: z.output<typeof explainSchema>): Uint8Array {
  const mac = { hi: settings[Setting.mac_hi]!, lo: settings[Setting.mac_lo]! >>> 0 };
  if ("packet" in asked) return buildFrame(asked.packet, mac);
  const frame = parseHex(asked.frame);
  if (asked.toUs && frame.length >= 6) writeMac(new DataView(frame.buffer), 0, mac.hi, mac.lo);
  return frame;
}
