/** Frames seen on an interface of the lab, by our own witness in that namespace (tap.ts), never by the director. */
import { built } from "./built.ts";
import type { Lab } from "./lab.ts";
import type { Program } from "./program.ts";

/** One frame as tap.ts tells it. */
export interface TapLine {
  /** Milliseconds, monotonic, when it was read. */
  time: number;
  /** True when it left by this interface, false when it came in. */
  sent: boolean;
  /** Its whole length in bytes; `hex` may hold less. */
  length: number;
  hex: string;
}

export interface CapturedFrame {
  time: number;
  /** Seen from the interface that was listened on: on the switch's port "director", sent means towards the director. */
  sent: boolean;
  length: number;
  bytes: Uint8Array;
}

export interface CaptureOptions {
  /** Bytes kept of each frame, default all. */
  snap?: number;
  /** Frames kept at most, default 100 000; the rest is only counted. */
  most?: number;
}

export class Capture {
  readonly frames: CapturedFrame[] = [];
  /** All that were seen, kept or not. */
  seen = 0;
  readonly #program: Program;
  #dropped = -1;

  private constructor(program: Program, most: number) {
    this.#program = program;
    program.onLine((line) => {
      if (!line.startsWith("{")) return;
      const frame = JSON.parse(line) as TapLine | { dropped: number };
      if ("dropped" in frame) {
        this.#dropped = frame.dropped;
        return;
      }
      this.seen++;
      const { time, sent, length, hex } = frame;
      if (this.frames.length < most) this.frames.push({ time, sent, length, bytes: Buffer.from(hex, "hex") });
    });
  }

  /** Listens on an interface of a namespace; on "switch", a port is named after the host it leads to. */
  static async start(
    lab: Lab,
    namespace: string,
    device: string,
    options: CaptureOptions = {},
  ): Promise<Capture> {
    const argv = [process.execPath, built("lab/tap.js"), device, String(options.snap ?? 65_600)];
    const program = lab.spawn(namespace, argv);
    const capture = new Capture(program, options.most ?? 100_000);
    await program.line(/^ready$/);
    return capture;
  }

  /** Waits until a frame that matches has been seen. */
  async until(matches: (frame: CapturedFrame) => boolean, timeout = 5_000): Promise<CapturedFrame> {
    const end = performance.now() + timeout;
    for (;;) {
      const found = this.frames.find(matches);
      if (found !== undefined) return found;
      if (performance.now() > end) throw new Error(`no such frame among ${this.seen} in ${timeout} ms`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** Waits until nothing has come for a while: what is still on its way would look lost. */
  async quiet(milliseconds = 100, timeout = 5_000): Promise<void> {
    const end = performance.now() + timeout;
    for (let before = -1; before !== this.seen && performance.now() < end; ) {
      before = this.seen;
      await new Promise((resolve) => setTimeout(resolve, milliseconds));
    }
  }

  /** Ends listening after everything that has arrived was read; returns how many frames the kernel dropped. */
  async stop(): Promise<number> {
    this.#program.stdin.end();
    await this.#program.ended;
    return this.#dropped;
  }
}
