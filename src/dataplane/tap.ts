/**
 * A tap: somebody who looks on while a shard works. It is told of every burst before it is decided (the frames lie in
 * the ring as they came) and after (as they go), and may read everything in the context, but changes nothing. Capture,
 * replay and the page's live events are taps. Without one a shard pays for one look a turn.
 */
import { C_DESTINATION, FAMILY6, ROW_SHIFT } from "../table/connections.ts";
import { NONE } from "../table/services.ts";
import { hasPorts } from "./classify.ts";
import type { Context } from "./context.ts";
import { fillFlow } from "./flow.ts";
import { FrameKind } from "./frames.ts";
import { Verdict } from "./verdict.ts";

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

/**
 * Was a flow's key read from frame `i`, which ended in `verdict`? Of ICMP only errors have one (its protocol then stands
 * in place of ICMP's), and of fragments the first.
 */
export function hasFlow({ frames }: Context, i: number, verdict: Verdict): boolean {
  const kind = frames.kind[i]!;
  if (kind === FrameKind.Done || !hasPorts(frames.flowKind[i]! & 0xff)) return false;
  return kind !== FrameKind.Fragment || (frames.fragmentOffset[i] === 0 && verdict !== Verdict.Malformed);
}

/** The connection that frame `i` belongs to now, -1 for none. Only for frames that have a flow. */
export function connectionOf(context: Context, i: number): number {
  const { connections, frames } = context;
  const kind = frames.flowKind[i]! & (0xff | FAMILY6);
  const hash = frames.hash[i]!;
  if ((kind & FAMILY6) === 0)
    return connections.find4(hash, kind, frames.client[i]!, frames.virtual[i]!, frames.ports[i]!);
  fillFlow(context, i);
  return connections.find6(hash, kind, context.flow.words, 0, frames.ports[i]!);
}

/** Verdicts of a frame whose destination was chosen, however it then ended. */
const CHOSEN: readonly Verdict[] = [
  Verdict.Forwarded,
  Verdict.TtlExceeded,
  Verdict.TooBig,
  Verdict.NeighbourFailed,
  Verdict.WaitingFull,
];

/** The destination that was chosen for frame `i`, or that of its connection (`row`, -1 for none), or NONE. */
export function destinationOf(context: Context, i: number, verdict: Verdict, row: number): number {
  const { frames, connections } = context;
  if (CHOSEN.includes(verdict)) return frames.destination[i]!;
  if (row >= 0) return connections.rows[(row << ROW_SHIFT) + C_DESTINATION]!;
  const forNeighbour = verdict === Verdict.Waiting && frames.kind[i] !== FrameKind.Fragment;
  return forNeighbour ? frames.destination[i]! : NONE;
}
