/** A raw socket of the control thread's own for one kind of frame: what ARP and neighbour discovery speak through. */
import { native, Watch } from "../ring/native.ts";

/** At the most so many frames are read at once, so that a storm cannot keep the event loop. */
const MOST = 256;
/** Longer ones are cut off: no message of either protocol comes near. */
const LONGEST = 2048;

export class FrameSocket {
  readonly fd: number;
  readonly #heard: (frame: DataView, length: number) => void;
  readonly #failed: ((error: Error) => void) | undefined;
  readonly #in = new DataView(new ArrayBuffer(LONGEST));
  #watch: Watch | undefined;

  /**
   * Takes the descriptor over; reads nothing before `listen`.
   * @param heard gets each frame from its Ethernet header on, for the time of the call
   * @param failed hears that the interface refused a frame or went down; ENETDOWN comes once, then all goes on
   */
  constructor(
    fd: number,
    heard: (frame: DataView, length: number) => void,
    failed: ((error: Error) => void) | undefined,
  ) {
    this.fd = fd;
    this.#heard = heard;
    this.#failed = failed;
  }

  listen(): void {
    this.#watch ??= new Watch(this.fd, () => this.#read());
  }

  /** Leaves what comes in where it is, until `listen`. */
  rest(): void {
    this.#watch?.end();
    this.#watch = undefined;
  }

  /** Sends the first `length` bytes of `frame`. */
  send(frame: DataView, length: number): void {
    try {
      native().send(this.fd, new Uint8Array(frame.buffer, 0, length));
    } catch (error) {
      this.#failed?.(error as Error);
    }
  }

  close(): void {
    this.rest();
    native().close(this.fd);
  }

  #read(): void {
    const bytes = new Uint8Array(this.#in.buffer);
    for (let n = 0; n < MOST; n++) {
      let length: number;
      try {
        length = native().recv(this.fd, bytes);
      } catch (error) {
        this.#failed?.(error as Error);
        return;
      }
      if (length < 0) return;
      this.#heard(this.#in, Math.min(length, LONGEST));
    }
  }
}
