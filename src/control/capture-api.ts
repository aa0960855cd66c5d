/** POST /v1/capture: frames as they come and go, as a pcapng stream, until the client hangs up. */
import { PassThrough } from "node:stream";
import type { FastifyInstance } from "fastify";
import type { Region } from "../table/region.ts";
import { CaptureRequestError, CaptureStream, captureHead, captureSchema } from "./capture-stream.ts";
import { requestFault } from "./request-fault.ts";
import type { Taps } from "./taps.ts";

/** Bytes that may wait for a slow client; then packets are missed. */
const PENDING = 16 * 1024 * 1024;

export interface CaptureSource {
  readonly region: Region;
  readonly taps: Taps;
  readonly config: { readonly interface?: string | undefined };
}

export function addCapture(api: FastifyInstance, director: CaptureSource): void {
  api.post("/v1/capture", (request, reply) => {
    const parsed = captureSchema.safeParse(request.body ?? {});
    const refuse = (message: string) => reply.code(400).send({ error: { code: "EINVAL", message } });
    if (!parsed.success) return refuse(requestFault(parsed.error));
    const { region, taps, config } = director;
    const stream = new PassThrough();
    try {
      const capture = new CaptureStream(region, parsed.data, {
        write: (block) => {
          if (stream.writableEnded || stream.readableLength + stream.writableLength > PENDING) return false;
          stream.write(block);
          return true;
        },
        end: () => {
          if (!stream.writableEnded) stream.end(capture.statistics());
        },
      });
      const end = taps.subscribe(capture);
      stream.once("close", end);
      stream.once("end", end);
      stream.write(captureHead(config.interface ?? "", parsed.data.snap));
      return reply.type("application/x-pcapng").send(stream);
    } catch (error) {
      if (error instanceof CaptureRequestError) return refuse(error.message);
      throw error;
    }
  });
}
