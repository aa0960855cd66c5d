/** Capture files, read in pieces so that their size does not matter, and written block by block. */
import { closeSync, fstatSync, openSync, readSync, writeSync } from "node:fs";
import type { CapturedPacket, CaptureInterface } from "../wire/capture.ts";
import { CaptureReader } from "../wire/capture-reader.ts";

const CHUNK = 1 << 20;

export interface OpenCapture {
  /** Every packet that is readable, once; views into memory that is not used again. */
  readonly packets: Iterable<CapturedPacket>;
  /** Grows while the file is read. */
  readonly interfaces: readonly CaptureInterface[];
  readonly bytes: number;
  /** Bytes read so far. */
  read(): number;
  /** After the last packet: what is wrong with the file, if anything. */
  warning(): string | undefined;
  close(): void;
}

/** Opens a capture. Throws CaptureError when its beginning is none, or the file system's error. */
export function openCapture(file: string): OpenCapture {
  const fd = openSync(file, "r");
  const reader = new CaptureReader();
  let read = 0;
  let over = false;

  /** The next packet, reading on where the reader needs more. */
  function next(): CapturedPacket | undefined {
    for (;;) {
      const packet = reader.next();
      if (packet !== undefined || over || reader.warning !== undefined) return packet;
      const chunk = new Uint8Array(CHUNK);
      const length = readSync(fd, chunk);
      read += length;
      if (length > 0) reader.push(chunk.subarray(0, length));
      else {
        over = true;
        reader.end();
      }
    }
  }

  try {
    // The first packet's interface must be known to whoever is given the list.
    const first = next();
    return {
      packets: rest(first, next),
      interfaces: reader.interfaces,
      bytes: fstatSync(fd).size,
      read: () => read,
      warning: () => reader.warning,
      close: () => closeSync(fd),
    };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function* rest(
  first: CapturedPacket | undefined,
  next: () => CapturedPacket | undefined,
): Generator<CapturedPacket> {
  for (let packet = first; packet !== undefined; packet = next()) yield packet;
}

/** Writes small pieces as large ones. */
export class PieceWriter {
  readonly #fd: number;
  readonly #buffer = new Uint8Array(CHUNK);
  #used = 0;

  constructor(file: string) {
    this.#fd = openSync(file, "w");
  }

  write(piece: Uint8Array): void {
    if (this.#used + piece.length > this.#buffer.length) this.#flush();
    if (piece.length > this.#buffer.length) {
      this.#writeAll(piece);
      return;
    }
    this.#buffer.set(piece, this.#used);
    this.#used += piece.length;
  }

  close(): void {
    try {
      this.#flush();
    } finally {
      closeSync(this.#fd);
    }
  }

  #flush(): void {
    this.#writeAll(this.#buffer.subarray(0, this.#used));
    this.#used = 0;
  }

  #writeAll(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at);
  }
}
