/** The daemon's own capture file, when `run --capture` asks for one. */
import { CaptureStream, captureHead, captureSchema } from "../control/capture-stream.ts";
import type { Director } from "../control/director.ts";
import { RotatingFile } from "../control/rotating-file.ts";
import { type CaptureFlags, captureRequest, DEFAULT_SIZE } from "./capture-options.ts";
import type { Logger } from "./log.ts";

export interface DaemonCaptureFlags extends CaptureFlags {
  capture?: string;
}

/** Returns what ends it. Throws the file system's error, or CaptureRequestError for a filter of what is not there. */
export async function openDaemonCapture(
  director: Director,
  flags: DaemonCaptureFlags,
  logger: Logger,
): Promise<() => Promise<void>> {
  const path = flags.capture;
  if (path === undefined) return async () => {};
  const { taps } = director;
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
    goOn: director.hasPredecessor, // it may capture to the same file
    head: captureHead(director.config.interface ?? "", wish.snap),
    full: () => stop("capture-full", `${path} is full: the capture is over`),
    failed: (error) => stop("capture-failed", `${path}: ${error.message}: the capture is over`),
  });
  const stream = new CaptureStream(director.region, wish, {
    write: (block) => file.write(block),
    end: () => stop("capture-done", `${path} has its ${wish.count} packets: the capture is over`),
  });
  end = taps.subscribe(stream);
  logger.info({ event: "capture", file: path }, `captures to ${path}`);
  return async () => {
    taps.empty();
    end();
    await file.close(stream.statistics());
    const { packets, missed } = stream;
    logger.info(
      { event: "captured", file: path, packets, missed },
      `${packets} packets in ${path}, ${missed} missed`,
    );
  };
}
