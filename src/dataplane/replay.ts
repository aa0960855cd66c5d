/**
 * A capture through the data path, with the capture's own time: what became of each frame, and what went out. Pure:
 * packets come as an iterable, results go to callbacks; the same input gives the same output to the byte.
 */
import { type Burst, createBurst } from "../ring/burst.ts";
import { RingMiddleware } from "../ring/middleware.ts";
import { createPcapRing, type PcapRing, type Sent, type Timestamp } from "../ring/pcap-ring.ts";
import { TICK } from "../table/connections.ts";
import type { Region } from "../table/region.ts";
import type { CapturedPacket, CaptureInterface } from "../wire/capture.ts";
import type { Context } from "./context.ts";
import { FrameKind } from "./frames.ts";
import { createEnding, type Ending, knownBefore, readEnding } from "./outcome.ts";
import { Shard } from "./shard.ts";
import type { Tap } from "./tap.ts";
import { Verdict } from "./verdict.ts";

/** A frame that went out. */
export interface ReplayedFrame {
  /** "released": a piece that had waited for its datagram's first one. */
  readonly what: "forwarded" | "answer" | "released";
  /** A view of the ring's memory: copy it to keep it. Of a frame that the capture had cut it holds what it had. */
  readonly bytes: Uint8Array;
  readonly originalLength: number;
  readonly time: Timestamp;
}

export interface ReplayOptions {
  readonly packets: Iterable<CapturedPacket>;
  readonly interfaces: readonly CaptureInterface[];
  /** Every frame of the capture in order. `ending` is good until the next call. */
  readonly decided?: (packet: CapturedPacket, ending: Readonly<Ending>) => void;
  /** Every frame that goes out, after `decided` was told of the frame that led to it. */
  readonly sent?: (frame: ReplayedFrame, ending: Readonly<Ending>) => void;
}

/** Time starts here, in ms; not at 0, which tables take for "never". */
export const REPLAY_BEGIN = 1_000_000;

/** Takes one frame a turn from a ring, or none. */
class OneAtATime extends RingMiddleware<PcapRing> {
  /** False holds the next frame back. */
  open = true;
  readonly #one = createBurst(1);

  override peek(burst: Burst): number {
    burst.count = 0;
    if (!this.open || this.inner.peek(this.#one) === 0) return 0;
    burst.at[0] = this.#one.at[0]!;
    burst.length[0] = this.#one.length[0]!;
    burst.count = 1;
    return 1;
  }
}

export class Replay implements Tap {
  readonly #options: ReplayOptions;
  readonly #ring: OneAtATime;
  readonly #shard: Shard;
  readonly #ending = createEnding();
  #known = -1;
  #fragment = false;
  /** What the turn now sends besides the captured frame itself. */
  #besides: ReplayedFrame["what"] = "answer";

  /** `region` has one shard, made at tick REPLAY_BEGIN / TICK. */
  constructor(region: Region, options: ReplayOptions) {
    this.#options = options;
    const inner = createPcapRing(options.packets, options.interfaces, (sent) => this.#send(sent));
    this.#ring = new OneAtATime(inner);
    this.#shard = new Shard(region, 0, this.#ring, { tap: this });
  }

  /** Frames left out because their interface is not Ethernet. */
  get skipped(): number {
    return this.#ring.inner.skipped;
  }

  /** Plays the next frame; false when there was none. */
  step(): boolean {
    const { inner } = this.#ring;
    if (inner.isOver()) return false;
    // The clock of a turn is that of its frame, which is known once it has been looked at.
    this.#shard.turn(REPLAY_BEGIN + inner.nextNow());
    if (!this.#fragment) return true;
    this.#ring.open = false;
    this.#besides = "released";
    this.#shard.turn(REPLAY_BEGIN + inner.now());
    this.#besides = "answer";
    this.#ring.open = true;
    return true;
  }

  before(context: Context): void {
    this.#known = knownBefore(context, 0);
  }

  after(context: Context): void {
    const { frames, extras, ring } = context;
    this.#fragment = frames.kind[0] === FrameKind.Fragment && extras.first > 0;
    if (extras.first === 0) return;
    readEnding(context, 0, this.#known, this.#ending);
    const packet = (ring as OneAtATime).inner.packetAt(frames.burst.at[0]!);
    if (packet !== undefined) this.#options.decided?.(packet, this.#ending);
  }

  late(): void {}
  end(): void {}

  #send({ bytes, originalLength, time, received }: Sent): void {
    const forwarded = received !== undefined && this.#ending.verdict === Verdict.Forwarded;
    const what = forwarded ? "forwarded" : this.#besides;
    this.#options.sent?.({ what, bytes, originalLength, time }, this.#ending);
  }
}

/** The tick at which a region for a replay begins. */
export const REPLAY_TICK = REPLAY_BEGIN / TICK;
