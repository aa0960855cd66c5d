/**
 * Frames that join the next burst without coming from the ring: taken over from other shards, and fragments that
 * waited for their first one. They lie in reserved places of the ring's memory and must be submitted or given back.
 */
import { ShardCount } from "../table/counters.ts";
import type { Context } from "./context.ts";
import { Verdict } from "./verdict.ts";

const MOST = 128;

export class Extras {
  /** Frames [first, burst.count) of this burst are extras; those from `released` on had the verdict Waiting. */
  first = 0;
  released = 0;
  #waiting = 0;
  readonly #at = new Int32Array(MOST);
  readonly #length = new Int32Array(MOST);

  /** A frame that waited, in a reserved place, takes part in the next burst. False when there is no room. */
  add(at: number, length: number): boolean {
    if (this.#waiting === MOST) return false;
    this.#at[this.#waiting] = at;
    this.#length[this.#waiting++] = length;
    return true;
  }

  /** Fills the burst up behind the ring's own frames. */
  join(context: Context): void {
    const { burst } = context.frames;
    this.first = burst.count;
    if (context.shards > 1) this.#takeOver(context);
    this.released = burst.count;
    let taken = 0;
    while (taken < this.#waiting && burst.count < burst.capacity) {
      burst.at[burst.count] = this.#at[taken]!;
      burst.length[burst.count++] = this.#length[taken++]!;
      context.counters.verdict[Verdict.Waiting]!--;
    }
    this.#at.copyWithin(0, taken, this.#waiting);
    this.#length.copyWithin(0, taken, this.#waiting);
    this.#waiting -= taken;
  }

  #takeOver(context: Context): void {
    const { ring, region, index, counters } = context;
    const { burst } = context.frames;
    const { inbox } = region.shards[index]!;
    for (let from = 0; from < inbox.length; from++) {
      const queue = inbox[from]!;
      for (let bytes = queue.peek(); bytes > 0 && burst.count < burst.capacity; bytes = queue.peek()) {
        const length = bytes - ring.headroom;
        const at = ring.reserve(length);
        if (at < 0) return;
        queue.pop(ring.bytes, at - ring.headroom);
        burst.at[burst.count] = at;
        burst.length[burst.count++] = length;
        counters.shard[ShardCount.FromShards]!++;
      }
    }
  }
}

/** Gives frame `i` to the shard it belongs to. */
export function handOver(context: Context, i: number, to: number): Verdict {
  const { ring, region, index } = context;
  const { burst } = context.frames;
  const at = burst.at[i]! - ring.headroom;
  const target = region.shards[to]!;
  if (!target.inbox[index]!.push(ring.bytes, at, burst.length[i]! + ring.headroom))
    return Verdict.HandoverFull;
  context.wake(to);
  return Verdict.HandedOver;
}
