/**
 * The rate limit of ICMP errors, as Linux has it: a token bucket for the whole host (net.ipv4.icmp_msgs_per_sec and
 * icmp_msgs_burst) and one for each client (icmp_ratelimit ms a token, six at the most: XRLIM_BURST_FACTOR). Clients
 * share a table of fixed size by hash, so memory is bounded; two that collide share a bucket.
 */
import { Setting } from "../table/settings.ts";

const CLIENTS = 4096;
const CLIENT_BURST = 6;

export class Limiter {
  #tokens = 0;
  #stamp = Number.NEGATIVE_INFINITY;
  #identification = 0;
  readonly #clientTokens = new Float64Array(CLIENTS);
  readonly #clientStamp = new Float64Array(CLIENTS);
  readonly #client = new Int32Array(CLIENTS);

  /**
   * May an error go to `client` (an address or its fold) at `now`, one in `each` ms? Takes the tokens if so. 0 is no
   * limit for a client.
   */
  allows(settings: Int32Array, client: number, each: number, now: number): boolean {
    const perSecond = settings[Setting.icmp_msgs_per_sec]!;
    if (perSecond > 0 && !this.#hasToken(perSecond, settings[Setting.icmp_msgs_burst]!, now)) return false;
    if (each > 0 && !this.#clientMay(client, each, now)) return false;
    if (perSecond > 0) this.#tokens--;
    return true;
  }

  /** The next value for the IP header's identification. */
  identification(): number {
    this.#identification = (this.#identification + 1) & 0xffff;
    return this.#identification;
  }

  #hasToken(perSecond: number, burst: number, now: number): boolean {
    const grown = ((now - this.#stamp) * perSecond) / 1000;
    if (grown >= 1 || this.#tokens < 1) {
      this.#tokens = Math.min(burst, this.#tokens + grown);
      this.#stamp = now;
    }
    return this.#tokens >= 1;
  }

  #clientMay(client: number, each: number, now: number): boolean {
    const slot = (Math.imul(client, 0x9e3779b1) >>> 20) & (CLIENTS - 1);
    if (this.#client[slot] !== client) {
      this.#client[slot] = client;
      this.#clientTokens[slot] = CLIENT_BURST * each;
      this.#clientStamp[slot] = now;
    }
    const tokens = Math.min(CLIENT_BURST * each, this.#clientTokens[slot]! + now - this.#clientStamp[slot]!);
    this.#clientStamp[slot] = now;
    const may = tokens >= each;
    this.#clientTokens[slot] = may ? tokens - each : tokens;
    return may;
  }
}
