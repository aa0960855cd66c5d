/** What an idle shard does between two looks at its ring. */
export type WaitStrategy = "poll" | "busy" | "adaptive";

/**
 * Milliseconds an adaptive shard goes on looking after its last frame: about what falling asleep and being woken
 * costs (IO-FACTS: a poll() wake-up 30–50 µs), so spinning never costs more than twice the sleep it saves.
 */
const SPIN = 0.05;

export class Waiting {
  readonly #strategy: WaitStrategy;
  #busyUntil = 0;

  constructor(strategy: WaitStrategy) {
    this.#strategy = strategy;
  }

  /** After a turn at `now` that handled `frames` frames: may the shard sleep? */
  maySleep(frames: number, now: number): boolean {
    if (this.#strategy === "busy") return false;
    if (frames > 0) this.#busyUntil = now + SPIN;
    return frames === 0 && (this.#strategy === "poll" || now >= this.#busyUntil);
  }
}
