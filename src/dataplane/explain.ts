/**
 * Why a frame ends as it does, told by the data path itself: the frame goes through a real shard over a copy of the
 * region, and what the shard read and wrote on the way is looked at. The region is not changed.
 */
import type { ArenaSize } from "../ring/arena.ts";
import { MemoryRing } from "../ring/memory-ring.ts";
import { C_KIND, FAMILY6, ROW_SHIFT } from "../table/connections.ts";
import { ShardCount } from "../table/counters.ts";
import { shardOf } from "../table/hash.ts";
import type { Region } from "../table/region.ts";
import { NONE } from "../table/services.ts";
import { describeFrame, summarizeFrame } from "../wire/value/frame.ts";
import { makeClassify } from "./classify.ts";
import type { Context } from "./context.ts";
import { SchedulerWatch } from "./explain-scheduler.ts";
import { noSearch, searchService } from "./explain-service.ts";
import { explanationNotes, explanationWords, type Told } from "./explain-words.ts";
import type { ConnectionTold, Explanation, FlowTold, SentTold, TemplateTold } from "./explanation.ts";
import { fillFlow } from "./flow.ts";
import { createFrames, FrameKind } from "./frames.ts";
import { markOf } from "./mark.ts";
import { addressText, protocolText } from "./naming.ts";
import {
  connectionPicture,
  copyRows,
  destinationPicture,
  isLive,
  neighbourPicture,
  sameFlow,
  templatePicture,
} from "./pictures.ts";
import { Shard } from "./shard.ts";
import { copyRegion } from "./snapshot.ts";
import { connectionOf, destinationOf, hasFlow } from "./tap.ts";
import { VERDICT_NAMES, Verdict } from "./verdict.ts";
import { verdictSentence } from "./verdict-words.ts";

export interface ExplainOptions {
  /** ms of the clock that the region's shards turn by. */
  readonly now: number;
  /** Other threads write the region right now; its tables' links are then laid anew in the copy. */
  readonly running?: boolean;
  /** Frames that come first, in order: pieces of the same datagram, or all of a capture up to this one. */
  readonly before?: readonly Uint8Array[];
  /** Sentences about what was assumed to make the region: they stand among the notes. */
  readonly assumed?: readonly string[];
}

/** The longest frame that can be explained: a super-frame. */
export const LONGEST_FRAME = 65_550;

const SLOT = 65_568;
/** Room for a datagram's pieces that wait for the first one, and for one frame of any length. */
const ARENA: ArenaSize = { small: 64, big: 1 };

/** A frame's shard hops: its arrival, the datagram's meeting point, its home. */
const MOST_HOPS = 4;

/** Explains what `region`'s director would do with `frame` now. Throws RangeError when the frame is too long. */
export function explain(region: Region, frame: Uint8Array, options: ExplainOptions): Explanation {
  if (frame.length > LONGEST_FRAME) throw new RangeError(`a frame has ${LONGEST_FRAME} bytes at the most`);
  const { now } = options;
  const copy = copyRegion(region, { now, running: options.running ?? false });
  const stage = new Stage(copy, now);
  for (const earlier of options.before ?? []) stage.play(earlier);
  return stage.explain(frame, options);
}

interface Place {
  readonly shard: Shard;
  readonly ring: MemoryRing;
}

/** The shards that frames pass on this stage, made when a frame first may come to them. */
class Stage {
  readonly #region: Region;
  readonly #now: number;
  readonly #places = new Map<number, Place>();

  constructor(region: Region, now: number) {
    this.#region = region;
    this.#now = now;
  }

  play(frame: Uint8Array): void {
    this.#pass(frame, ({ shard }) => {
      shard.turn(this.#now);
      return shard.context.frames.verdict[0] as Verdict;
    });
    for (const { ring } of this.#places.values()) ring.takeSent();
  }

  explain(frame: Uint8Array, options: ExplainOptions): Explanation {
    let explanation: Explanation | undefined;
    this.#pass(frame, ({ shard, ring }, way) => {
      explanation = explainTurn(shard, ring, frame, { ...options, way });
      return explanation.verdict.number;
    });
    return explanation!;
  }

  /** A shard, whose timers have been brought up to now. */
  #at(index: number): Place {
    const known = this.#places.get(index);
    if (known !== undefined) return known;
    const ring = new MemoryRing({ slots: 2, slotBytes: SLOT, arena: ARENA });
    const place = { shard: new Shard(this.#region, index, ring), ring };
    this.#places.set(index, place);
    place.shard.turn(this.#now);
    return place;
  }

  /**
   * Where the kernel's fanout would bring it: to its flow's home. What has no ports (fragments, ICMP) may come
   * anywhere, here to shard 0, and may be handed over to any.
   */
  #arrival(frame: Uint8Array): number {
    const { context } = this.#at(0).shard;
    const { shards, counters } = context;
    if (shards === 1) return 0;
    const frames = createFrames(1);
    const ring = new MemoryRing({ slots: 1, slotBytes: SLOT, arena: { small: 1, big: 0 } });
    ring.inject(frame);
    ring.peek(frames.burst);
    // The data path's own first pass, over a ring and counters of its own.
    makeClassify({ ...context, frames, ring, counters: { ...counters, shard: counters.shard.slice() } })();
    const kind = frames.kind[0]!;
    if (kind === FrameKind.Flow4 || kind === FrameKind.Flow6) return shardOf(frames.hash[0]!, shards);
    for (let index = 1; index < shards; index++) this.#at(index);
    return 0;
  }

  /** Lets the frame arrive and follows it from shard to shard; `turn` does a turn and gives the frame's verdict. */
  #pass(frame: Uint8Array, turn: (place: Place, way: readonly number[]) => Verdict): void {
    const way = [this.#arrival(frame)];
    this.#at(way[0]!).ring.inject(frame);
    for (let hop = 0; hop < MOST_HOPS; hop++) {
      const verdict = turn(this.#at(way.at(-1)!), way);
      const next = verdict === Verdict.HandedOver ? this.#receiver() : -1;
      if (next < 0) break;
      way.push(next);
    }
    // Pieces that waited for this one go out now: they are part of its story, not of the next frame's.
    for (const { shard } of this.#places.values()) shard.turn(this.#now);
  }

  /** The shard that a frame was handed over to, or -1. */
  #receiver(): number {
    return this.#region.shards.findIndex(({ inbox }) => inbox.some((queue) => queue.peek() > 0));
  }
}

interface TurnOptions extends ExplainOptions {
  readonly way: readonly number[];
}

/**
 * One turn of a shard whose ring or inbox holds exactly this frame, explained. It really happens: the shard's tables
 * are changed as by any frame. What was sent is taken from the ring.
 */
export function explainTurn(
  shard: Shard,
  ring: MemoryRing,
  frame: Uint8Array,
  options: TurnOptions,
): Explanation {
  const { context } = shard;
  const { now } = options;
  context.directory.sync();
  ring.takeSent();
  const rows = copyRows(context.connections);
  const templates = copyRows(context.region.templates);
  const counts = context.counters.shard.slice();
  const watch = new SchedulerWatch(context.directory);
  try {
    shard.turn(now);
  } finally {
    watch.end();
  }
  const verdict = context.frames.verdict[0] as Verdict;
  const told: Told = {
    version: 1,
    time: now,
    frame: frameTold(frame),
    kind: kindOf(context),
    flow: flowOf(context, verdict),
    shards: { of: context.shards, way: [...options.way] },
    ...tablesTold(context, verdict, rows, templates),
    scheduling: watch.told,
    verdict: { name: VERDICT_NAMES[verdict]!, number: verdict, sentence: verdictSentence(verdict) },
    sent: sentTold(frame, ring.takeSent(), verdict),
  };
  const happened = (count: number): boolean => context.counters.shard[count]! > counts[count]!;
  const notes = [
    ...(options.assumed ?? []),
    ...explanationNotes(told, {
      running: options.running ?? false,
      evicted: happened(ShardCount.Evicted),
      rateLimited: happened(ShardCount.RateLimited),
    }),
  ];
  return { ...told, notes, words: explanationWords(told, context) };
}

export function hexText(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function frameTold(bytes: Uint8Array): Explanation["frame"] {
  return {
    bytes: hexText(bytes),
    length: bytes.length,
    summary: summarizeFrame(bytes),
    headers: describeFrame(bytes),
  };
}

function kindOf({ frames }: Context): Explanation["kind"] {
  const kind = frames.kind[0]!;
  if (kind === FrameKind.Flow4 || kind === FrameKind.Flow6) return "flow";
  if (kind === FrameKind.Fragment) return "fragment";
  return kind === FrameKind.Done ? "other" : "icmp";
}

function flowOf(context: Context, verdict: Verdict): FlowTold | null {
  if (!hasFlow(context, 0, verdict)) return null;
  const { frames, flow } = context;
  fillFlow(context, 0);
  const family = (frames.flowKind[0]! & FAMILY6) !== 0 ? 6 : 4;
  const protocol = frames.flowKind[0]! & 0xff;
  return {
    protocol: protocolText(protocol),
    family,
    client: addressText(family, flow.words, 0),
    clientPort: flow.clientPort,
    virtual: addressText(family, flow.words, 4),
    virtualPort: flow.virtualPort,
    mark: markOf(context, protocol),
    hash: frames.hash[0]!,
  };
}

type Tables = Pick<Explanation, "service" | "connection" | "template" | "destination" | "neighbour">;

function tablesTold(context: Context, verdict: Verdict, rows: Int32Array, templates: Int32Array): Tables {
  const { frames, region, now } = context;
  const flow = verdict !== Verdict.HandedOver && hasFlow(context, 0, verdict);
  const row = flow ? connectionOf(context, 0) : -1;
  const d = destinationOf(context, 0, verdict, row);
  const n = d < 0 ? NONE : region.destinations.neighbour[d]!;
  const connection = connectionTold(context, rows, row);
  if (flow) fillFlow(context, 0);
  return {
    service: flow
      ? searchService(context, frames.flowKind[0]! & 0xff, connection.what !== "found")
      : noSearch(region),
    connection,
    template: row < 0 ? null : templateTold(context, templates, row),
    destination: d < 0 ? null : destinationPicture(region, d),
    neighbour: n === NONE ? null : neighbourPicture(region, n, now),
  };
}

function connectionTold(context: Context, rows: Int32Array, row: number): ConnectionTold {
  const { connections, region, tick } = context;
  if (row < 0) return { what: "none", before: null, after: null };
  const now = connections.rows;
  const after = connectionPicture(region, now, row, tick);
  if (isLive(rows, row) && sameFlow(rows, now, row))
    return { what: "found", before: connectionPicture(region, rows, row, tick), after };
  const old = otherRow(rows, now, row);
  if (old < 0) return { what: "made", before: null, after };
  return { what: "replaced", before: connectionPicture(region, rows, old, tick), after };
}

/** The row that held the same flow before, or -1. */
function otherRow(rows: Int32Array, now: Int32Array, row: number): number {
  const at = row << ROW_SHIFT;
  next: for (let other = 0; other << ROW_SHIFT < rows.length; other++) {
    if (!isLive(rows, other)) continue;
    for (let w = 0; w <= C_KIND; w++) if (rows[(other << ROW_SHIFT) + w] !== now[at + w]) continue next;
    return other;
  }
  return -1;
}

function templateTold(context: Context, templates: Int32Array, row: number): TemplateTold | null {
  const { connections, region, tick } = context;
  const parent = connections.parent[row]!;
  if (parent === 0) return null;
  const known = isLive(templates, parent - 1) && sameFlow(templates, region.templates.rows, parent - 1);
  return templatePicture(region, parent - 1, tick, known ? "found" : "made");
}

function sentTold(frame: Uint8Array, sent: readonly Uint8Array[], verdict: Verdict): SentTold[] {
  return sent.map((bytes, i) => {
    const forwarded = verdict === Verdict.Forwarded && i === 0;
    const changed: number[] = [];
    if (forwarded) bytes.forEach((byte, at) => void (byte !== frame[at] && changed.push(at)));
    return { what: forwarded ? ("forwarded" as const) : ("answer" as const), ...frameTold(bytes), changed };
  });
}
