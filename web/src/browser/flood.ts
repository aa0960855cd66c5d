/** Ten thousand frames a second through the core, of which a few are shown. */
import { SYN } from "../../../src/dataplane/tcp-state.ts";
import { tcpFrame } from "../../../src/wire/frame.ts";
import { TCP_FLAGS } from "../../../src/wire/tcp.ts";
import type { Frame } from "../model.ts";
import type { Cluster } from "./cluster.ts";
import { CLIENTS, clientAddress, DIRECTOR_MAC, HTTP, ip, ROUTER_MAC, VIP } from "./place.ts";

const PER_SECOND = 10_000;
/** Shown a second at the most: more cannot be told apart. */
const SHOWN_PER_SECOND = 14;
const FLOWS = 400;
/** Frames of a flow: SYN, ACK, some data, FIN. */
const LENGTH = 40;

interface FloodFlow {
  client: number;
  port: number;
  frame: number;
}

export class Flood {
  readonly #cluster: Cluster;
  readonly #random: () => number;
  readonly #flows: FloodFlow[] = [];
  #port = 10_000;
  #owed = 0;
  #shownAt = 0;

  constructor(cluster: Cluster, random: () => number) {
    this.#cluster = cluster;
    this.#random = random;
  }

  /** Plays so many milliseconds' frames; tells `show` of a few. Returns how many passed unseen. */
  play(milliseconds: number, show: (frame: Frame) => void): number {
    // A page that was in the background does not make up for the time it slept.
    this.#owed += (Math.min(milliseconds, 250) * PER_SECOND) / 1000;
    const count = Math.floor(this.#owed);
    this.#owed -= count;
    const shown = this.#isTime(milliseconds) ? 1 : 0;
    this.#cluster.director.receiveMany(this.#frames(count - shown), this.#cluster.now);
    if (shown === 1) this.#show(show);
    return count - shown;
  }

  #isTime(milliseconds: number): boolean {
    this.#shownAt += milliseconds;
    if (this.#shownAt < 1000 / SHOWN_PER_SECOND) return false;
    this.#shownAt = 0;
    return true;
  }

  *#frames(count: number): Generator<Uint8Array> {
    for (let i = 0; i < count; i++) yield this.#next().bytes;
  }

  #next(): { bytes: Uint8Array; opens: boolean } {
    const i = Math.floor(this.#random() * FLOWS);
    let flow = this.#flows[i];
    if (flow === undefined || flow.frame > LENGTH) {
      flow = { client: ip(clientAddress(i % CLIENTS)), port: this.#port++, frame: 0 };
      if (this.#port > 65_000) this.#port = 10_000;
      this.#flows[i] = flow;
    }
    const flags =
      flow.frame === 0 ? SYN : flow.frame === LENGTH ? TCP_FLAGS.FIN | TCP_FLAGS.ACK : TCP_FLAGS.ACK;
    const opens = flow.frame === 0;
    const bytes = tcpFrame({
      source: flow.client,
      destination: ip(VIP),
      sourceMac: ROUTER_MAC,
      destinationMac: DIRECTOR_MAC,
      sourcePort: flow.port,
      destinationPort: HTTP,
      flags,
      sequence: 1000 + flow.frame,
      ttl: 63,
      pad: true,
    });
    flow.frame++;
    return { bytes, opens };
  }

  #show(show: (frame: Frame) => void): void {
    const { bytes, opens } = this.#next();
    const { director, now } = this.#cluster;
    const { verdict, server, after, explanation } = director.receive(bytes, now, true);
    const way = ["client", "router", "director"];
    show({
      id: ++this.#cluster.frames,
      time: now,
      kind: "request",
      ways: [after === undefined || server === undefined ? way : [...way, server]],
      fate: after !== undefined ? "arrived" : verdict === "Waiting" ? "waits" : "refused",
      server,
      opens,
      before: bytes,
      length: bytes.length,
      after,
      verdict,
      explanation,
      late: false,
    });
  }
}
