/**
 * A capture file that is bounded: when it is full the next one begins, and of a ring of files the oldest is overwritten
 * (tcpdump's -C and -W). Written behind the caller's back, so that a slow disk holds nobody up; what is not written
 * yet is bounded too.
 */
import { constants, statSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";

export interface RotatingFileOptions {
  readonly path: string;
  /** Bytes of each file at the most. */
  readonly size: number;
  /** 1: one file, and the end when it is full. More: a ring of them, path0, path1 …. */
  readonly files: number;
  /** Every file begins with this. */
  readonly head: Uint8Array;
  /**
   * Goes on behind what another process has written, and may still be writing, instead of beginning anew. Both write
   * whole blocks at the end of the same file, as O_APPEND sees to.
   */
  readonly goOn?: boolean;
  /** The only file is full. */
  readonly full: () => void;
  /** It cannot be written any more. */
  readonly failed: (error: Error) => void;
}

/** A file begun anew; O_APPEND, because a successor may go on with it while our last blocks are on their way. */
const BEGIN = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_APPEND;

/** Bytes that may wait for the disk. */
const PENDING = 16 * 1024 * 1024;

export class RotatingFile {
  readonly #options: RotatingFileOptions;
  readonly #waiting: (Uint8Array | "next")[] = [];
  #waitingBytes = 0;
  #used: number;
  #index = 0;
  #handle: FileHandle;
  #writing: Promise<void> | undefined;
  #over = false;

  private constructor(options: RotatingFileOptions, handle: FileHandle, index: number, used: number) {
    this.#options = options;
    this.#handle = handle;
    this.#index = index;
    this.#used = used + options.head.length;
    this.#add(options.head);
  }

  /** Begins the first file, or goes on with the newest; throws the file system's error when it cannot be made. */
  static async open(options: RotatingFileOptions): Promise<RotatingFile> {
    const index = options.goOn === true ? newest(options) : 0;
    const handle = await open(nameOf(options, index), options.goOn === true ? "a" : BEGIN);
    return new RotatingFile(options, handle, index, (await handle.stat()).size);
  }

  /** The file that is written now. */
  get current(): string {
    return nameOf(this.#options, this.#index);
  }

  /** Takes a block; false when it is lost: the disk is too slow, or all is over. */
  write(block: Uint8Array): boolean {
    const { size, files, head, full } = this.#options;
    if (this.#over || this.#waitingBytes + block.length > PENDING) return false;
    if (this.#used + block.length > size) {
      if (files === 1) {
        this.#over = true;
        full();
        return false;
      }
      this.#waiting.push("next");
      this.#used = head.length;
      this.#add(head);
    }
    this.#used += block.length;
    this.#add(block);
    return true;
  }

  /** Everything is written and closed when it resolves. */
  async close(last?: Uint8Array): Promise<void> {
    if (last !== undefined && !this.#over) this.#add(last);
    this.#over = true;
    await this.#writing;
    await this.#handle.close();
  }

  #add(bytes: Uint8Array): void {
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#writing ??= this.#drain();
  }

  async #drain(): Promise<void> {
    try {
      // Blocks that come within this turn of the event loop are written together.
      await new Promise((resolve) => setImmediate(resolve));
      while (this.#waiting.length > 0) {
        if (this.#waiting[0] === "next") {
          this.#waiting.shift();
          await this.#next();
          continue;
        }
        await this.#writeSome();
      }
    } catch (error) {
      this.#over = true;
      this.#waiting.length = 0;
      this.#options.failed(error as Error);
    } finally {
      this.#writing = undefined;
    }
  }

  /** The blocks up to the next change of file. */
  async #writeSome(): Promise<void> {
    const end = this.#waiting.indexOf("next");
    const some = this.#waiting.splice(0, end < 0 ? this.#waiting.length : end) as Uint8Array[];
    const bytes = Buffer.concat(some);
    for (let at = 0; at < bytes.length; ) at += (await this.#handle.write(bytes, at)).bytesWritten;
    this.#waitingBytes -= bytes.length;
  }

  async #next(): Promise<void> {
    await this.#handle.close();
    this.#index = (this.#index + 1) % this.#options.files;
    this.#handle = await open(this.current, BEGIN);
  }
}

/** Which of the files was written last. */
function newest(options: RotatingFileOptions): number {
  const times = Array.from(
    { length: options.files },
    (_, index) => statSync(nameOf(options, index), { throwIfNoEntry: false })?.mtimeMs ?? 0,
  );
  return times.indexOf(Math.max(...times));
}

/** Numbers as wide as the last one's, so that the names sort. */
function nameOf({ path, files }: RotatingFileOptions, index: number): string {
  return files === 1 ? path : `${path}${String(index).padStart(String(files - 1).length, "0")}`;
}

/** "100" (millions of bytes, as tcpdump -C), "64k", "10M", "1G" (1024 each). undefined for anything else. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d{1,9})([kmg])?$/i.exec(text);
  if (match === null) return undefined;
  const units: Readonly<Record<string, number>> = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };
  const bytes = Number(match[1]) * (match[2] === undefined ? 1_000_000 : units[match[2].toLowerCase()]!);
  return bytes >= 4096 ? bytes : undefined;
}
