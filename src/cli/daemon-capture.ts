/** The daemon's taps, and its own capture file when `run --capture` asks for one. */
import { CaptureStream, captureHead, captureSchema } from "../control/capture-stream.ts";
import type { Director } from "../control/director.ts";
import { RotatingFile } from "../control/rotating-file.ts";
import { Taps } from "../control/taps.ts";
import { type CaptureFlags, captureRequest, DEFAULT_SIZE } from "./capture-options.ts";
import type { Logger } from "./log.ts";
import { version } from "./version.ts";

export interface DaemonCapture {
  readonly taps: Taps;
  close(): Promise<void>;
}

export interface DaemonCaptureFlags extends CaptureFlags {
  capture?: string;
}

/** Throws the file system's error, or CaptureRequestError when the filter names what is not there. */
export async function openDaemonCapture(
  director: Director,
  flags: DaemonCaptureFlags,
  logger: Logger,
): Promise<DaemonCapture> {
  const taps = new Taps(director.region);
  const path = flags.capture;
  if (path === undefined) return { taps, close: async () => taps.close() };
  const wish = captureSchema.parse(captureRequest(flags));
  let end = (): void => {};
  const stop = (event: string, message: string): void => {
    end();
    logger.warn({ event, file: path }, message);
  };
  const file = await RotatingFile.open({
    path,
    size: flags.captureSize ?? DEFAULT_SIZE,
    files: flags.captureFiles ?? 1,
    head: captureHead(director.config.interface ?? "", version(), wish.snap),
    full: () => stop("capture-full", `${path} is full: the capture is over`),
    failed: (error) => stop("capture-failed", `${path}: ${error.message}: the capture is over`),
  });
  const stream = new CaptureStream(director.region, wish, {
    write: (block) => file.write(block),
    end: () => stop("capture-done", `${path} has its ${wish.count} packets: the capture is over`),
  });
  end = taps.subscribe(stream);
  logger.info({ event: "capture", file: path }, `captures to ${path}`);
  return {
    taps,
    async close() {
      taps.empty();
      taps.close();
      await file.close(stream.statistics());
      const { packets, missed } = stream;
      logger.info(
        { event: "captured", file: path, packets, missed },
        `${packets} packets in ${path}, ${missed} missed`,
      );
    },
  };
}
