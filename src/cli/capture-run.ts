/** What `dr-director capture` does: asks the running director for frames and writes them down. */
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { CaptureRequest } from "../control/capture-stream.ts";
import { RotatingFile } from "../control/rotating-file.ts";
import { BlockType } from "../wire/pcapng.ts";
import { BlockSplitter, blockType, droppedPackets } from "../wire/pcapng-blocks.ts";
import { ApiClient } from "./api-client.ts";
import { type CaptureFlags, captureRequest, DEFAULT_SIZE } from "./capture-options.ts";
import { DirectorUnreachable } from "./director-client.ts";
import { EXIT_USAGE } from "./usage-error.ts";

export interface CaptureCommandFlags extends CaptureFlags {
  write: string;
  socket?: string;
}

/** How long whoever takes over may be on its way, and how often we look. */
const SUCCESSION_MS = 3_000;
const ASK_AGAIN_MS = 100;

/** Where blocks go here. */
interface Target {
  write(block: Uint8Array): boolean | Promise<boolean>;
  close(): Promise<void>;
}

export async function runCapture(flags: CaptureCommandFlags): Promise<number> {
  if (flags.write === "-" && process.stdout.isTTY) {
    process.stderr.write("pcapng is nothing for a terminal: give -w a file, or pipe it into tshark -r -\n");
    return EXIT_USAGE;
  }
  const client = new ApiClient(flags.socket);
  const wish = captureRequest(flags);
  const capture = new Capture(flags);
  try {
    await capture.take(await client.stream("/v1/capture", wish));
    while (!capture.over) {
      const count = wish.count === undefined ? {} : { count: wish.count - capture.packets };
      const next = await successor(client, { ...wish, ...count });
      if (next === undefined) break;
      process.stderr.write("another director goes on: frames in between are missing\n");
      await capture.take(next);
    }
  } finally {
    await capture.close();
  }
  if (!capture.over) process.stderr.write("the director has ended, and so has the capture\n");
  process.stderr.write(`${capture.packets} packets captured, ${capture.missed} missed\n`);
  return 0;
}

/** Whoever answers where the director did that has hung up on us; undefined when nobody does before long. */
async function successor(client: ApiClient, wish: CaptureRequest): Promise<IncomingMessage | undefined> {
  for (let wait = 0; wait < SUCCESSION_MS; wait += ASK_AGAIN_MS) {
    try {
      return await client.stream("/v1/capture", wish);
    } catch (error) {
      if (!(error instanceof DirectorUnreachable)) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
  }
  return undefined;
}

/** One capture, though one director after another may answer it. */
class Capture {
  packets = 0;
  readonly #flags: CaptureCommandFlags;
  #target: Target | undefined;
  #answer: IncomingMessage | undefined;
  /** Missed by directors before this one, and by this one. */
  #before = 0;
  #missed = 0;
  #over = false;

  constructor(flags: CaptureCommandFlags) {
    this.#flags = flags;
    process.once("SIGINT", this.#stop);
    process.once("SIGTERM", this.#stop);
  }

  readonly #stop = (): void => {
    this.#over = true;
    this.#answer?.destroy();
  };

  get missed(): number {
    return this.#before + this.#missed;
  }

  /** All that was wanted is there, or somebody has stopped us; else the director is gone. */
  get over(): boolean {
    return this.#over;
  }

  /** Takes what the answer brings until it ends. */
  async take(answer: IncomingMessage): Promise<void> {
    this.#answer = answer;
    if (this.#over) answer.destroy();
    this.#before += this.#missed;
    this.#missed = 0;
    const splitter = new BlockSplitter();
    const head: Uint8Array[] = [];
    let begun = false;
    for await (const chunk of this.#chunksOf(answer)) {
      for (const block of splitter.push(chunk)) {
        if (begun) {
          await this.#takeBlock(block);
          continue;
        }
        // The section and its interface go to the beginning of every file.
        head.push(block);
        begun = blockType(block) === BlockType.InterfaceDescription;
        if (begun) this.#target ??= await openTarget(this.#flags, Buffer.concat(head), this.#stop);
      }
    }
  }

  close(): Promise<void> | undefined {
    return this.#target?.close();
  }

  async #takeBlock(block: Uint8Array): Promise<void> {
    const dropped = droppedPackets(block);
    if (dropped !== undefined) this.#missed = dropped;
    const written = await this.#target!.write(block);
    if (blockType(block) === BlockType.EnhancedPacket && written) this.packets++;
  }

  /** The answer's chunks until it ends: in order, because it was stopped, or because who sent it is gone. */
  async *#chunksOf(answer: IncomingMessage): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of answer) yield chunk as Uint8Array;
      this.#over = true;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? "";
      const gone = ["ERR_STREAM_PREMATURE_CLOSE", "ECONNRESET", "ABORT_ERR"].includes(code);
      if (!gone && !answer.destroyed) throw error;
    }
  }
}

async function openTarget(flags: CaptureCommandFlags, head: Uint8Array, stop: () => void): Promise<Target> {
  if (flags.write === "-") {
    process.stdout.on("error", stop);
    await toStandardOutput(head);
    return { write: toStandardOutput, close: async () => {} };
  }
  return RotatingFile.open({
    path: flags.write,
    size: flags.captureSize ?? DEFAULT_SIZE,
    files: flags.captureFiles ?? 1,
    head,
    full: () => {
      process.stderr.write(`${flags.write} is full\n`);
      stop();
    },
    failed: (error) => {
      process.stderr.write(`${flags.write}: ${error.message}\n`);
      stop();
    },
  });
}

async function toStandardOutput(block: Uint8Array): Promise<boolean> {
  if (!process.stdout.write(block)) await once(process.stdout, "drain");
  return true;
}
