/**
 * A recording: frames with their times, and what a director must be set up like to play them. One JSON document, for
 * the page and for lessons: nothing but a browser is needed to run it through the pure core.
 */
import type { CapturedPacket } from "../wire/capture.ts";

export const RECORDING_FORMAT = "dr-director-recording/1";

export interface RecordedFrame {
  /** Milliseconds since the recording's begin, fraction kept. */
  readonly at: number;
  readonly bytes: Uint8Array;
  /** Bytes on the wire when the capture had cut the frame; else its length. */
  readonly originalLength: number;
}

/** `Setup` is the set-up's type (control/offline.ts); `Command` that of the commands given on the way. */
export interface Recording<Setup = unknown, Command = unknown> {
  readonly format: typeof RECORDING_FORMAT;
  readonly title: string;
  /** When it began, seconds since 1970, fraction kept; 0 when nobody knows. */
  readonly begin: number;
  readonly setup: Setup;
  readonly frames: readonly RecordedFrame[];
  /** Changes on the way, in order of their times. */
  readonly commands: readonly { readonly at: number; readonly command: Command }[];
}

export class RecordingError extends Error {
  override readonly name = "RecordingError";
}

/** Frames of a capture; times count from the first and never go back. */
export function recordedFrames(packets: Iterable<CapturedPacket>): RecordedFrame[] {
  const frames: RecordedFrame[] = [];
  let first: CapturedPacket | undefined;
  let at = 0;
  for (const packet of packets) {
    first ??= packet;
    const since = (packet.seconds - first.seconds) * 1000 + (packet.nanoseconds - first.nanoseconds) / 1e6;
    at = Math.max(at, since);
    frames.push({ at, bytes: packet.bytes.slice(), originalLength: packet.originalLength });
  }
  return frames;
}

/** The recording as JSON text; frames as base64. */
export function writeRecording(recording: Recording): string {
  const frames = recording.frames.map(({ at, bytes, originalLength }) => ({
    at,
    bytes: toBase64(bytes),
    ...(originalLength === bytes.length ? {} : { originalLength }),
  }));
  return JSON.stringify({ ...recording, frames });
}

/** Reads one. Throws RecordingError, which says what is wrong with it. The set-up is not looked at. */
export function readRecording(text: string): Recording {
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    throw new RecordingError(`it is no JSON: ${(error as Error).message}`);
  }
  if (value?.format !== RECORDING_FORMAT) throw new RecordingError(`its format is not ${RECORDING_FORMAT}`);
  if (!Array.isArray(value.frames)) throw new RecordingError("it has no frames");
  return {
    format: RECORDING_FORMAT,
    title: String(value.title ?? ""),
    begin: Number(value.begin ?? 0),
    setup: value.setup,
    frames: value.frames.map(readFrame),
    commands: Array.isArray(value.commands) ? (value.commands as Recording["commands"]) : [],
  };
}

function readFrame(frame: unknown, i: number): RecordedFrame {
  const { at, bytes, originalLength } = (frame ?? {}) as Record<string, unknown>;
  if (typeof at !== "number" || typeof bytes !== "string")
    throw new RecordingError(`frame ${i + 1} has no time or no bytes`);
  const decoded = fromBase64(bytes);
  if (decoded === undefined) throw new RecordingError(`frame ${i + 1} is no base64`);
  return {
    at,
    bytes: decoded,
    originalLength: typeof originalLength === "number" ? originalLength : decoded.length,
  };
}

/** RFC 4648 §4. Neither Node's Buffer nor the browser's btoa, so that both read the same. */
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

export function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const word = (bytes[i]! << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    const left = bytes.length - i;
    text += ALPHABET[word >>> 18]! + ALPHABET[(word >>> 12) & 63]!;
    text += left > 1 ? ALPHABET[(word >>> 6) & 63]! : "=";
    text += left > 2 ? ALPHABET[word & 63]! : "=";
  }
  return text;
}

/** undefined when it is no base64. */
export function fromBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  const digits = text.replace(/=+$/, "");
  const bytes = new Uint8Array(Math.floor((digits.length * 3) / 4));
  let word = 0;
  let bits = 0;
  let at = 0;
  for (const digit of digits) {
    word = ((word << 6) | ALPHABET.indexOf(digit)) & 0xffff;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes[at++] = (word >>> bits) & 0xff;
  }
  return bytes;
}
