/** A progress bar on a terminal's standard error, for work that takes long. */

/** Shorter work needs none. */
const PATIENCE_MS = 500;
const EVERY_MS = 100;
const WIDTH = 30;

export class Progress {
  readonly #what: string;
  readonly #terminal: boolean;
  readonly #begun = performance.now();
  #last = 0;
  #shown = false;

  constructor(what: string, terminal: boolean = process.stderr.isTTY === true) {
    this.#what = what;
    this.#terminal = terminal;
  }

  /** `share` from 0 to 1. */
  show(share: number): void {
    const now = performance.now();
    if (!this.#terminal || now - this.#begun < PATIENCE_MS || now - this.#last < EVERY_MS) return;
    this.#last = now;
    this.#shown = true;
    const full = Math.round(Math.min(1, Math.max(0, share)) * WIDTH);
    const bar = "█".repeat(full) + "░".repeat(WIDTH - full);
    process.stderr.write(`\r\x1b[K${this.#what} ${bar} ${Math.floor(share * 100)} %`);
  }

  /** Takes the bar away. */
  end(): void {
    if (this.#shown) process.stderr.write("\r\x1b[K");
    this.#shown = false;
  }
}
