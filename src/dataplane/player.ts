/**
 * A director to play frames to, one at a time: what each led to, and on demand why. For the page and for lessons; the
 * shard, its tables and its schedulers are the real ones, the clock is the caller's.
 */
import { MemoryRing } from "../ring/memory-ring.ts";
import type { Region } from "../table/region.ts";
import type { Context } from "./context.ts";
import { explainTurn } from "./explain.ts";
import type { Explanation } from "./explanation.ts";
import { createEnding, type Ending, endingText, knownBefore, readEnding } from "./outcome.ts";
import { Shard } from "./shard.ts";
import type { Tap } from "./tap.ts";
import { Verdict } from "./verdict.ts";

export interface PlayedFrame {
  /** "released": a piece or frame that had waited and went out with this one. */
  readonly what: "forwarded" | "answer" | "released";
  readonly bytes: Uint8Array;
}

export interface Played {
  readonly ending: Readonly<Ending>;
  /** The ending in words. */
  readonly text: string;
  readonly sent: readonly PlayedFrame[];
  /** Only when asked for. */
  readonly explanation: Explanation | undefined;
}

export interface PlayOptions {
  /** Explain it too: some hundred times the cost. */
  readonly explain?: boolean;
  /** The kernel would still cut it, so its length says nothing about the MTU. */
  readonly superFrame?: boolean;
}

const SLOT = 131_072;

/** Sees one frame a turn. */
class Witness implements Tap {
  ending: Ending | undefined;
  #known = -1;

  before(context: Context): void {
    this.#known = knownBefore(context, 0);
  }

  after(context: Context): void {
    if (context.extras.first === 0) return;
    this.ending = createEnding();
    readEnding(context, 0, this.#known, this.ending);
  }

  late(): void {}
  end(): void {}
}

export class Player {
  readonly region: Region;
  readonly #ring = new MemoryRing({ slots: 2, slotBytes: SLOT, arena: { small: 256, big: 4 } });
  readonly #witness = new Witness();
  readonly #shard: Shard;

  /** `region` has one shard; whoever made it may change it by commands between two frames. */
  constructor(region: Region) {
    this.region = region;
    this.#shard = new Shard(region, 0, this.#ring, { tap: this.#witness });
  }

  /** Lets time pass with no frame: timers fire. Frames that waited and now go out are returned. */
  wait(now: number): PlayedFrame[] {
    this.#shard.turn(now);
    return this.#ring.takeSent().map((bytes) => ({ what: "released", bytes }));
  }

  /** One frame at `now` (ms, never going back). */
  play(frame: Uint8Array, now: number, options: PlayOptions = {}): Played {
    const early = this.wait(now);
    this.#ring.inject(frame, options.superFrame ?? false);
    let explanation: Explanation | undefined;
    let own: Uint8Array[];
    if (options.explain === true) {
      explanation = explainTurn(this.#shard, this.#ring, frame, { now, way: [0] });
      own = explanation.sent.map(({ bytes }) => bytesOf(bytes));
    } else {
      this.#shard.turn(now);
      own = this.#ring.takeSent();
    }
    const ending = this.#witness.ending!;
    const sent = own.map((bytes, i): PlayedFrame => {
      const forwarded = ending.verdict === Verdict.Forwarded && i === 0;
      return { what: forwarded ? "forwarded" : "answer", bytes };
    });
    // Pieces that waited for this one go out in a turn of their own.
    const after = this.wait(now);
    return {
      ending,
      text: endingText(this.region, ending),
      sent: [...early, ...sent, ...after],
      explanation,
    };
  }
}

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
