/**
 * The daemon's signals, heard from its first moment on: one that comes while it starts must neither kill it by its
 * default action nor be lost.
 */
type Handled = "SIGHUP" | "SIGUSR1";

export class Signals {
  /** Resolves with the first SIGTERM or SIGINT. */
  readonly end: Promise<NodeJS.Signals>;
  readonly #handlers = new Map<Handled, () => void>();
  readonly #early = new Set<Handled>();

  constructor() {
    this.end = new Promise((resolve) => {
      process.once("SIGTERM", resolve);
      process.once("SIGINT", resolve);
    });
    for (const signal of ["SIGHUP", "SIGUSR1"] as const) {
      process.on(signal, () => {
        const handler = this.#handlers.get(signal);
        if (handler === undefined) this.#early.add(signal);
        else handler();
      });
    }
  }

  /** Handles this signal from now on; at once if it came before. */
  on(signal: Handled, handler: () => void): void {
    this.#handlers.set(signal, handler);
    if (this.#early.delete(signal)) handler();
  }
}
