/** What `dr-director capture` does: asks the running director for frames and writes them down. */
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { RotatingFile } from "../control/rotating-file.ts";
import { BlockType } from "../wire/pcapng.ts";
import { BlockSplitter, blockType, droppedPackets } from "../wire/pcapng-blocks.ts";
import { ApiClient } from "./api-client.ts";
import { type CaptureFlags, captureRequest, DEFAULT_SIZE } from "./capture-options.ts";
import { EXIT_USAGE } from "./usage-error.ts";

export interface CaptureCommandFlags extends CaptureFlags {
  write: string;
  socket?: string;
}

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
  const answer = await new ApiClient(flags.socket).stream("/v1/capture", captureRequest(flags));
  const stop = (): void => void answer.destroy();
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  const counts = { packets: 0, missed: 0 };
  let target: Target | undefined;
  try {
    const splitter = new BlockSplitter();
    const head: Uint8Array[] = [];
    for await (const chunk of chunksOf(answer)) {
      for (const block of splitter.push(chunk)) {
        // The section and its interface go to the beginning of every file.
        if (target === undefined) {
          head.push(block);
          if (blockType(block) === BlockType.InterfaceDescription)
            target = await openTarget(flags, Buffer.concat(head), stop);
          continue;
        }
        await take(target, block, counts);
      }
    }
  } finally {
    await target?.close();
  }
  process.stderr.write(`${counts.packets} packets captured, ${counts.missed} missed\n`);
  return 0;
}

async function take(
  target: Target,
  block: Uint8Array,
  counts: { packets: number; missed: number },
): Promise<void> {
  const dropped = droppedPackets(block);
  if (dropped !== undefined) counts.missed = dropped;
  const written = await target.write(block);
  if (blockType(block) !== BlockType.EnhancedPacket) return;
  if (written) counts.packets++;
}

/** Its chunks until it ends, by itself or because it was stopped. */
async function* chunksOf(answer: IncomingMessage): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of answer) yield chunk as Uint8Array;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    const over = ["ERR_STREAM_PREMATURE_CLOSE", "ECONNRESET", "ABORT_ERR"].includes(code);
    if (!over && !answer.destroyed) throw error;
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
