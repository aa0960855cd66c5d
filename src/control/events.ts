/** What happens in a director that somebody may want to know: logs, the API's event stream, tests. */
export interface DirectorEvent {
  readonly level: "debug" | "info" | "warn" | "error";
  /** Stable name for programs: "shard-died", "neighbour-failed", "vip-conflict" … */
  readonly name: string;
  /** A sentence for people. */
  readonly message: string;
  readonly details: Readonly<Record<string, string | number | boolean | undefined>>;
}

export type DirectorListener = (event: DirectorEvent) => void;

/** Tells every listener of every event; a listener that throws harms nobody else. */
export class Events {
  readonly #listeners = new Set<DirectorListener>();

  /** Returns what takes the listener off again. */
  on(listener: DirectorListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  tell(
    level: DirectorEvent["level"],
    name: string,
    message: string,
    details: DirectorEvent["details"] = {},
  ): void {
    for (const listener of this.#listeners) {
      try {
        listener({ level, name, message, details });
      } catch {
        // Somebody's listener is broken; the director is not.
      }
    }
  }
}
