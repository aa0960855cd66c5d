/** The daemon's log: JSON lines, or on a terminal something to read. */
import pino from "pino";
import pretty from "pino-pretty";
import type { DirectorEvent } from "../control/events.ts";

export type Logger = pino.Logger;

export function createLogger(level: string): Logger {
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime };
  if (!process.stderr.isTTY) return pino(options, pino.destination({ dest: 2, sync: true }));
  return pino(
    options,
    pretty({ destination: 2, sync: true, ignore: "pid,hostname", translateTime: "SYS:HH:MM:ss.l" }),
  );
}

export function logEvent(logger: Logger, { level, name, message, details }: DirectorEvent): void {
  logger[level]({ event: name, ...details }, message);
}
