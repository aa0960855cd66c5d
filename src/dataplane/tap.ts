/**
 * A tap: somebody who looks on while a shard works. It is told of every burst before it is decided (the frames lie in
 * the ring as they came) and after (as they go), and may read everything in the context, but changes nothing. Capture,
 * replay and the page's live events are taps. Without one a shard pays for one look a turn.
 */
import { FAMILY6 } from "../table/connections.ts";
import type { Context } from "./context.ts";
import { fillFlow } from "./flow.ts";
import type { Verdict } from "./verdict.ts";

export interface Tap {
  /** The burst is classified and its flows looked up; no frame has been changed yet. */
  before(context: Context): void;
  /**
   * Every frame of the burst has its verdict (`frames.verdict`). Those Forwarded lie in the ring as they will be sent,
   * what the director answers lies in `context.answers`. What the kernel then refuses was shown as sent all the same.
   */
  after(context: Context): void;
  /** A frame that waited for its neighbour leaves the waiting room: Forwarded (as it will be sent) or NeighbourFailed. */
  late(context: Context, at: number, length: number, neighbour: number, verdict: Verdict): void;
  /** The turn is over. */
  end(context: Context): void;
}

/** The connection that frame `i` belongs to now, -1 for none. Only for frames whose flow was read (kinds above Done). */
export function connectionOf(context: Context, i: number): number {
  const { connections, frames } = context;
  const kind = frames.flowKind[i]!;
  const hash = frames.hash[i]!;
  if ((kind & FAMILY6) === 0)
    return connections.find4(hash, kind, frames.client[i]!, frames.virtual[i]!, frames.ports[i]!);
  fillFlow(context, i);
  return connections.find6(hash, kind, context.flow.words, 0, frames.ports[i]!);
}
