/**
 * The waiting room: frames whose real server's MAC is not known yet wait here instead of being lost. Bounded in all
 * and per neighbour, so that one dead real server cannot fill it; frames leave in the order they came.
 */
import { ShardCount } from "../table/counters.ts";
import type { Context } from "./context.ts";
import { address } from "./rewrite.ts";
import { Verdict } from "./verdict.ts";

/** Places in all, and for one neighbour (the kernel holds about a hundred small frames, unres_qlen_bytes). */
const PLACES = 128;
const PLACES_EACH = 64;
/** Longest wait, ms: three ARP requests a second apart, then the neighbour has failed. */
const PATIENCE = 3_500;

export class WaitingRoom {
  count = 0;
  readonly #at = new Int32Array(PLACES);
  readonly #length = new Int32Array(PLACES);
  readonly #neighbour = new Int32Array(PLACES);
  readonly #since = new Float64Array(PLACES);

  /** Keeps a copy of the frame for neighbour `n` and asks control to resolve it. */
  hold(context: Context, at: number, length: number, n: number): Verdict {
    if (context.directory.failed[n] !== 0) {
      this.want(context, n);
      return Verdict.NeighbourFailed;
    }
    let waiting = 0;
    for (let p = 0; p < this.count; p++) if (this.#neighbour[p] === n) waiting++;
    if (this.count === PLACES || waiting >= PLACES_EACH) return Verdict.WaitingFull;
    const place = copyFrame(context, at, length);
    if (place < 0) return Verdict.WaitingFull;
    const p = this.count++;
    this.#at[p] = place;
    this.#length[p] = length;
    this.#neighbour[p] = n;
    this.#since[p] = context.now;
    this.want(context, n);
    return Verdict.Waiting;
  }

  /** Tells control that this shard needs neighbour `n`, once until control has looked. */
  want(context: Context, n: number): void {
    const { wanted, capacity } = context.region.neighbours;
    const cell = context.index * capacity + n;
    context.directory.stale[n] = 0;
    if (wanted[cell] !== 0) return;
    Atomics.store(wanted, cell, 1);
    context.kick();
  }

  /** Sends off the frames whose neighbour has answered, gives up those whose neighbour failed or who waited too long. */
  review(context: Context): void {
    const { verdict, shard } = context.counters;
    let kept = 0;
    for (let p = 0; p < this.count; p++) {
      const n = this.#neighbour[p]!;
      const at = this.#at[p]!;
      if (context.directory.reachable[n] !== 0) {
        address(context, at, n);
        context.ring.submit(at, this.#length[p]!);
        context.tap?.late(context, at, this.#length[p]!, n, Verdict.Forwarded);
        verdict[Verdict.Waiting]!--;
        verdict[Verdict.Forwarded]!++;
        shard[ShardCount.Late]!++;
      } else if (context.directory.failed[n] !== 0 || context.now - this.#since[p]! > PATIENCE) {
        context.tap?.late(context, at, this.#length[p]!, n, Verdict.NeighbourFailed);
        context.ring.cancel(at);
        verdict[Verdict.Waiting]!--;
        verdict[Verdict.NeighbourFailed]!++;
      } else {
        this.#at[kept] = at;
        this.#length[kept] = this.#length[p]!;
        this.#neighbour[kept] = n;
        this.#since[kept++] = this.#since[p]!;
      }
    }
    this.count = kept;
  }
}

/** Copies a frame, with its ring's headroom, to a place of our own; -1 when there is none. */
export function copyFrame(context: Context, at: number, length: number): number {
  const { ring } = context;
  const place = ring.reserve(length);
  if (place >= 0) ring.bytes.copyWithin(place - ring.headroom, at - ring.headroom, at + length);
  return place;
}
