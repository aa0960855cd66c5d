/** What is measured of a simulated scheduler: fairness, and whom a removal disturbs. */
import { NO_DESTINATION } from "../../schedulers/scheduler.ts";
import type { Words } from "../../wire/address.ts";

/**
 * Jain's fairness index (Jain, Chiu, Hawe, DEC-TR-301, 1984): 1 when all are equal, 1 / n when one has everything.
 * With nothing to share out it is 1.
 */
export function jain(values: readonly number[]): number {
  let sum = 0;
  let squares = 0;
  for (const value of values) {
    sum += value;
    squares += value * value;
  }
  return squares === 0 ? 1 : (sum * sum) / (values.length * squares);
}

export interface DisruptionReport {
  readonly server: number;
  /** Connections that were active on the server when it went. */
  readonly broken: number;
  /** Clients that came both before and after. */
  readonly returning: number;
  /** Of these, those who had been with the server that went: they had to move. */
  readonly displaced: number;
  /** Of the returning ones, those whose server was still there and who got another one, or none, all the same. */
  readonly movedNeedlessly: number;
}

/** Compares each client's last server before the removal with its first one after it. */
export class Disruption {
  readonly #server: number;
  readonly #before = new Map<string, number>();
  readonly #seenAfter = new Set<string>();
  #gone = false;
  #broken = 0;
  #displaced = 0;
  #needless = 0;

  constructor(server: number) {
    this.#server = server;
  }

  scheduled(client: Words, d: number): void {
    const key = client.join();
    if (!this.#gone) {
      if (d !== NO_DESTINATION) this.#before.set(key, d);
      return;
    }
    const before = this.#before.get(key);
    if (before === undefined || this.#seenAfter.has(key)) return;
    this.#seenAfter.add(key);
    if (before === this.#server) this.#displaced++;
    else if (d !== before) this.#needless++;
  }

  removed(active: number): void {
    this.#gone = true;
    this.#broken = active;
  }

  report(): DisruptionReport {
    return {
      server: this.#server,
      broken: this.#broken,
      returning: this.#seenAfter.size,
      displaced: this.#displaced,
      movedNeedlessly: this.#needless,
    };
  }
}
