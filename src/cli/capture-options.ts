/** The words by which a capture is described, on `run` and on `capture`. */
import { InvalidArgumentError } from "commander";
import type { CaptureRequest } from "../control/capture-stream.ts";
import { parseSize } from "../control/rotating-file.ts";
import { VERDICT_NAMES } from "../dataplane/verdict.ts";

export function size(text: string): number {
  const bytes = parseSize(text);
  if (bytes === undefined)
    throw new InvalidArgumentError("millions of bytes, or a number with k, M or G; at least 4k");
  return bytes;
}

/** "NoDestination,TooBig", in any case; "dropped" for all that neither left nor was the host's. */
export function verdicts(text: string): string[] {
  return text.split(",").flatMap((word) => {
    if (word.toLowerCase() === "dropped") return DROPPED;
    const name = VERDICT_NAMES.find((one) => one.toLowerCase() === word.toLowerCase());
    if (name === undefined)
      throw new InvalidArgumentError(
        `there is no verdict ${word}; there are ${VERDICT_NAMES.join(", ")}, dropped`,
      );
    return [name];
  });
}

const LEFT: readonly string[] = [
  "Forwarded",
  "Answered",
  "Waiting",
  "HandedOver",
  "NotIp",
  "NotOurs",
  "NoConnection",
  "NotScheduled",
  "OtherHost",
];
const DROPPED = VERDICT_NAMES.filter((name) => !LEFT.includes(name));

/** One file of a hundred million bytes: a forgotten capture fills no disk. */
export const DEFAULT_SIZE = 100_000_000;

export interface CaptureFlags {
  captureSize?: number;
  captureFiles?: number;
  captureCount?: number;
  captureSnap?: number;
  captureService?: string;
  captureClient?: string;
  captureVerdict?: string[];
}

export function captureRequest(flags: CaptureFlags): CaptureRequest {
  const { captureService, captureClient, captureVerdict, captureSnap, captureCount } = flags;
  return {
    ...(captureService === undefined ? {} : { service: captureService }),
    ...(captureClient === undefined ? {} : { client: captureClient }),
    ...(captureVerdict === undefined ? {} : { verdicts: captureVerdict }),
    ...(captureSnap === undefined ? {} : { snap: captureSnap }),
    ...(captureCount === undefined ? {} : { count: captureCount }),
  };
}
