/**
 * What two directors say to each other while one takes over from the other: JSON messages with open descriptors beside
 * them (SCM_RIGHTS), over a unix socket that keeps their boundaries.
 */
import { native, Watch } from "../ring/native.ts";

export interface Message {
  readonly step: string;
  readonly [key: string]: unknown;
}

export interface Received {
  readonly message: Message;
  /** Ours to close from now on. */
  readonly fds: readonly number[];
}

export interface Peer {
  readonly pid: number;
  readonly uid: number;
}

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const LONGEST = 65_536;
/** SCM_MAX_FD of the kernel. */
export const MOST_FDS = 253;

export class Channel {
  readonly #fd: number;
  readonly #watch: Watch;
  readonly #waiting: Received[] = [];
  #ended = false;
  #closed = false;
  #wake: () => void = () => {};

  /** Takes the connected socket over. */
  constructor(fd: number) {
    this.#fd = fd;
    this.#watch = new Watch(fd, () => this.#read());
  }

  /** Who is at the other end (unix(7), SO_PEERCRED). */
  get peer(): Peer {
    const credentials = new Int32Array(3);
    native().getOption(this.#fd, SOL_SOCKET, SO_PEERCRED, credentials);
    return { pid: credentials[0]!, uid: credentials[1]! };
  }

  /** Throws a NativeError when the other end is gone. */
  send(message: Message, fds: readonly number[] = []): void {
    const bytes = Buffer.from(JSON.stringify(message));
    if (fds.length === 0) native().send(this.#fd, bytes);
    else native().sendFds(this.#fd, Int32Array.from(fds), bytes);
  }

  /** The next message; undefined when the other end is gone or silent for so long. */
  async receive(milliseconds: number): Promise<Received | undefined> {
    const deadline = native().monotonic() + milliseconds;
    for (;;) {
      const next = this.#waiting.shift();
      if (next !== undefined) return next;
      const left = deadline - native().monotonic();
      if (this.#ended || left <= 0) return undefined;
      await this.#something(left);
    }
  }

  /** Has the other end closed, so that nothing will come any more? */
  get ended(): boolean {
    return this.#ended;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ended = true;
    this.#watch.end();
    native().close(this.#fd);
    for (const { fds } of this.#waiting) for (const fd of fds) native().close(fd);
    this.#wake();
  }

  #something(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #read(): void {
    if (this.#ended) return;
    const bytes = new Uint8Array(LONGEST);
    const fds = new Int32Array(MOST_FDS);
    try {
      for (;;) {
        const came = native().receiveFds(this.#fd, fds, bytes);
        if (came.bytes < 0) break;
        if (came.bytes === 0) {
          this.#end();
          break;
        }
        this.#take(bytes.subarray(0, came.bytes), Array.from(fds.subarray(0, came.fds)));
      }
    } catch {
      this.#end(); // ECONNRESET: it is gone
    }
    this.#wake();
  }

  #take(bytes: Uint8Array, fds: number[]): void {
    try {
      const message = JSON.parse(Buffer.from(bytes).toString("utf8")) as Message;
      this.#waiting.push({ message, fds });
    } catch {
      for (const fd of fds) native().close(fd); // no language of ours
      this.#end();
    }
  }

  /** Nothing more is read: a closed socket is readable for ever, and the watch would call back for ever. */
  #end(): void {
    this.#ended = true;
    setImmediate(() => this.#watch.end());
  }
}
