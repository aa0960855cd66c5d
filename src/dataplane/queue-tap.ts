/**
 * The tap that shows frames to another thread: it copies those that are wanted, with what became of them, into a queue
 * in shared memory (table/tap.ts) and never waits for the reader. At work only while somebody captures or watches.
 */
import { BURST } from "../ring/burst.ts";
import { NONE } from "../table/services.ts";
import { TapKind, type TapQueue } from "../table/tap.ts";
import * as ethernet from "../wire/ethernet.ts";
import type { Context } from "./context.ts";
import { fillFlow } from "./flow.ts";
import { FrameKind } from "./frames.ts";
import { createEnding, type Ending, knownBefore, readEnding } from "./outcome.ts";
import type { Tap } from "./tap.ts";
import { Verdict } from "./verdict.ts";

/** Verdicts of frames that the director answers. */
const ANSWERED: readonly Verdict[] = [
  Verdict.NoDestination,
  Verdict.TtlExceeded,
  Verdict.TooBig,
  Verdict.Answered,
];

type Shown = Ending & { kind: TapKind; time: number; length: number };

export class QueueTap implements Tap {
  readonly #queue: TapQueue;
  /** The burst's frames as they came. */
  #copies = new Uint8Array(BURST * 256);
  readonly #at = new Int32Array(BURST);
  readonly #kept = new Int32Array(BURST);
  readonly #known = new Int32Array(BURST);
  /** 1: wanted and answered, its answer not yet found. */
  readonly #asks = new Uint8Array(BURST);
  readonly #shown: Shown = { ...createEnding(), kind: 0, time: 0, length: 0 };
  readonly #client = new Int32Array(4);
  #seen = 0;

  constructor(queue: TapQueue) {
    this.#queue = queue;
  }

  before(context: Context): void {
    const { frames, ring } = context;
    const { burst } = frames;
    const { snap, every } = this.#queue;
    let used = 0;
    for (let i = 0; i < burst.count; i++) {
      this.#kept[i] = -1;
      if (this.#seen++ % every !== 0) continue;
      const kept = Math.min(burst.length[i]!, snap);
      if (used + kept > this.#copies.length) this.#grow(used + kept);
      this.#copies.set(ring.bytes.subarray(burst.at[i]!, burst.at[i]! + kept), used);
      this.#at[i] = used;
      this.#kept[i] = kept;
      this.#known[i] = knownBefore(context, i);
      used += kept;
    }
  }

  #grow(bytes: number): void {
    const larger = new Uint8Array(bytes * 2);
    larger.set(this.#copies);
    this.#copies = larger;
  }

  after(context: Context): void {
    const { frames, answers } = context;
    const { burst } = frames;
    for (let i = 0; i < burst.count; i++) {
      this.#asks[i] = 0;
      if (this.#kept[i]! >= 0) this.#show(context, i);
    }
    for (let a = 0; a < answers.count; a++) this.#showAnswer(context, answers.at(a), answers.length(a));
  }

  #show(context: Context, i: number): void {
    const { frames, ring, extras, now } = context;
    const { burst } = frames;
    const shown = this.#shown;
    readEnding(context, i, this.#known[i]!, shown);
    // The shard that got it shows it.
    if (shown.verdict === Verdict.HandedOver || !this.#isWanted(context, i)) return;
    shown.time = now;
    shown.length = burst.length[i]!;
    shown.kind = TapKind.Received;
    // A frame that waited was shown when it came.
    if (i < extras.released) this.#queue.push(shown, this.#copies, this.#at[i]!, this.#kept[i]!);
    if (ANSWERED.includes(shown.verdict)) this.#asks[i] = 1;
    if (shown.verdict !== Verdict.Forwarded) return;
    shown.kind = TapKind.Sent;
    this.#queue.push(shown, ring.bytes, burst.at[i]!, this.#kept[i]!);
  }

  #isWanted(context: Context, i: number): boolean {
    const queue = this.#queue;
    const { verdict, service } = this.#shown;
    if (!queue.wantsVerdict(verdict) || !queue.wantsService(service)) return false;
    if (queue.wantsAnyClient) return true;
    if (context.frames.kind[i] === FrameKind.Done) return false;
    fillFlow(context, i);
    return queue.wantsClient(context.flow.words, 0);
  }

  /** An answer goes to the sender of the frame that it answers: it is shown when that one was. */
  #showAnswer(context: Context, at: number, length: number): void {
    const { frames, ring, now } = context;
    for (let i = 0; i < frames.burst.count; i++) {
      if (this.#asks[i] === 0 || !this.#isSender(context, i, at)) continue;
      this.#asks[i] = 0;
      const shown = this.#shown;
      readEnding(context, i, this.#known[i]!, shown);
      shown.time = now;
      shown.kind = TapKind.Answer;
      shown.length = length;
      this.#queue.push(shown, ring.bytes, at, Math.min(length, this.#queue.snap));
      return;
    }
  }

  /** Is the answer at `at` for the station that sent frame `i`? */
  #isSender({ ring }: Context, i: number, at: number): boolean {
    if (this.#kept[i]! < ethernet.ETH_HEADER) return true;
    const from = this.#at[i]! + ethernet.ETH_SOURCE;
    for (let b = 0; b < 6; b++) if (this.#copies[from + b] !== ring.bytes[at + b]) return false;
    return true;
  }

  late(context: Context, at: number, length: number, _neighbour: number, verdict: Verdict): void {
    const queue = this.#queue;
    // The waiting room keeps no more of a frame than its bytes: it cannot be told by service.
    if (!queue.wantsVerdict(verdict) || !queue.wantsService(NONE) || !this.#isFromClient(context, at)) return;
    const shown = Object.assign(this.#shown, createEnding());
    shown.verdict = verdict;
    shown.kind = TapKind.Late;
    shown.time = context.now;
    shown.length = length;
    queue.push(shown, context.ring.bytes, at, Math.min(length, queue.snap));
  }

  #isFromClient({ ring }: Context, at: number): boolean {
    if (this.#queue.wantsAnyClient) return true;
    const { view } = ring;
    const ip = at + ethernet.ETH_HEADER;
    const four = ethernet.etherType(view, at) === ethernet.EtherType.Ipv4;
    const words = this.#client;
    if (four) words.set([0, 0, 0xffff, view.getInt32(ip + 12)]);
    else for (let w = 0; w < 4; w++) words[w] = view.getInt32(ip + 8 + w * 4);
    return this.#queue.wantsClient(words, 0);
  }

  end(): void {
    this.#queue.publish();
  }
}
