/**
 * The passes over a burst: all frames are classified, all flows looked up, each frame decided, each sent on its way.
 * Short loops of one purpose let the processor overlap the frames' cache misses, and each fits V8's budget for
 * inlining.
 *
 * A pass is a closure over its shard's tables. A thread has one shard, so that to V8 they are constants: a column's
 * access is one load, where by way of objects it would be six (measured: bench/README.md).
 */
import { C_CLIENT4, C_KIND, C_NEXT, C_PORTS, C_VIRTUAL4, FAMILY6, ROW_SHIFT } from "../table/connections.ts";
import { shardOf } from "../table/hash.ts";
import { Setting } from "../table/settings.ts";
import { checksumIsRight } from "../wire/ipv4.ts";
import { answerUnreachable } from "./answer.ts";
import type { Context } from "./context.ts";
import { livesElsewhere } from "./elsewhere.ts";
import { handOver } from "./extras.ts";
import { fillFlow } from "./flow.ts";
import { ANEW, follow } from "./follow.ts";
import type { FragmentStore } from "./fragments.ts";
import { FrameKind } from "./frames.ts";
import { icmp4, icmp6 } from "./icmp.ts";
import { makeDispatchOne } from "./rewrite.ts";
import { schedule } from "./schedule.ts";
import { Verdict } from "./verdict.ts";
import type { WaitingRoom } from "./waiting.ts";

export type Pass = () => void;

/**
 * Looks all flows of the burst up before any is acted on: the look-ups do not depend on each other, so the processor
 * overlaps their cache misses. First the buckets, then the first row of each, which is only touched, because a
 * comparison that waits for memory holds up everything behind it; then they are compared. A frame that is no flow's has
 * an old hash in its column and is looked up too: that costs less than to ask each frame what it is.
 */
export function makeLookUp(context: Context): Pass {
  const { frames, connections } = context;
  const { burst, head, row, hash, flowKind, client, virtual, ports } = frames;
  const { heads, rows, shift } = connections;
  const touched = new Int32Array(burst.capacity);

  /** Nearly always it is the first of its bucket. */
  function find(i: number, link: number): number {
    if (link === 0) return -1;
    const at = (link - 1) << ROW_SHIFT;
    return rows[at + C_CLIENT4] === client[i] &&
      rows[at + C_PORTS] === ports[i] &&
      rows[at + C_VIRTUAL4] === virtual[i] &&
      rows[at + C_KIND] === flowKind[i]
      ? link - 1
      : connections.follow4(rows[at + C_NEXT]!, flowKind[i]!, client[i]!, virtual[i]!, ports[i]!);
  }

  return () => {
    const { count } = burst;
    for (let i = 0; i < count; i++) head[i] = heads[hash[i]! >>> shift]!;
    for (let i = 0; i < count; i++) {
      const link = head[i]!;
      if (link !== 0) touched[i] = rows[(link - 1) << ROW_SHIFT]!;
    }
    for (let i = 0; i < count; i++) row[i] = find(i, head[i]!);
  };
}

/** Decides frame `i` as a frame of a flow that is looked up now: for fragments. */
export type DecideOne = (i: number) => Verdict;

/** The verdict of each frame in the order they came, Forwarded until it turns out otherwise on the way out. */
export function makeDecide(context: Context, fragments: FragmentStore): { all: Pass; one: DecideOne } {
  const { frames, connections, shards, index, byArrival, directory, settings, extras, ring } = context;
  const allHere = shards === 1 || byArrival;
  const { burst, kind, head, row, hash, verdict, flowKind, client, virtual, ports, ip } = frames;
  const { heads, shift } = connections;
  let changes = 0;
  let departures = 0;

  /** What the look-up found, if it still holds; else what is found now. */
  function found4(i: number): number {
    if (context.changes === changes) return row[i]!;
    const same = context.departures === departures && heads[hash[i]! >>> shift] === head[i];
    return same ? row[i]! : find(i);
  }

  function find(i: number): number {
    return connections.find4(hash[i]!, flowKind[i]!, client[i]!, virtual[i]!, ports[i]!);
  }

  /** A frame of IPv4. With `ttl: decrement` the director is a router and checks the header (RFC 1812 §5.2.2). */
  function decide4(i: number, found: number): Verdict {
    if (directory.services4 === 0) return Verdict.NotOurs;
    if (settings[Setting.ttl] !== 0 && !checksumIsRight(ring.view, ip[i]!)) return Verdict.Malformed;
    const outcome = found >= 0 ? follow(context, i, found) : ANEW;
    return outcome === ANEW ? open(i) : (outcome as Verdict);
  }

  function decide6(i: number): Verdict {
    if (directory.services6 === 0) return Verdict.NotOurs;
    fillFlow(context, i);
    const found = connections.find6(hash[i]!, flowKind[i]!, context.flow.words, 0, ports[i]!);
    const outcome = found >= 0 ? follow(context, i, found) : ANEW;
    return outcome === ANEW ? open(i) : (outcome as Verdict);
  }

  function open(i: number): Verdict {
    // What was handed over is asked for no more; where a fragment's flow lives, fragments.ts has asked.
    if (byArrival && i < extras.first && kind[i] !== FrameKind.Fragment) {
      const home = livesElsewhere(context, i);
      if (home >= 0) return handOver(context, i, home);
    }
    fillFlow(context, i);
    const outcome = schedule(context, i);
    if (outcome === Verdict.NoDestination) answerUnreachable(context, i);
    return outcome;
  }

  function one(i: number): Verdict {
    return (flowKind[i]! & FAMILY6) === 0 ? decide4(i, find(i)) : decide6(i);
  }

  /** What is not a whole IPv4 flow's frame at home: IPv6, fragments, ICMP, and what belongs to another shard. */
  function special(i: number): Verdict {
    const itsKind = kind[i]!;
    if (itsKind === FrameKind.Fragment) return fragments.take(context, i, i >= extras.first, one);
    if (itsKind === FrameKind.Icmp4) return icmp4(context, i);
    if (itsKind === FrameKind.Icmp6) return icmp6(context, i);
    const home = allHere ? index : shardOf(hash[i]!, shards);
    return home === index ? one(i) : handOver(context, i, home);
  }

  function all(): void {
    const { count } = burst;
    changes = context.changes;
    departures = context.departures;
    for (let i = 0; i < count; i++) {
      const itsKind = kind[i]!;
      if (itsKind === FrameKind.Flow4 && (allHere || shardOf(hash[i]!, shards) === index)) {
        verdict[i] = decide4(i, found4(i));
      } else if (itsKind !== FrameKind.Done) {
        verdict[i] = special(i);
      }
    }
  }

  return { all, one };
}

/** Sends what is to be forwarded to its real server, gives the rest back, and counts every verdict. */
export function makeDispatch(context: Context, waiting: WaitingRoom): Pass {
  const { frames, counters, extras, ring, answers } = context;
  const { burst, verdict } = frames;
  const dispatch = makeDispatchOne(context, waiting);

  function leave(i: number, outcome: Verdict): void {
    if (outcome === Verdict.Answered) answers.push(burst.at[i]!, burst.length[i]!);
    else if (i >= extras.first) ring.cancel(burst.at[i]!);
    counters.verdict[outcome]!++;
  }

  return () => {
    const { count } = burst;
    let forwarded = 0;
    for (let i = 0; i < count; i++) {
      let outcome = verdict[i] as Verdict;
      if (outcome === Verdict.Forwarded) verdict[i] = outcome = dispatch(i);
      if (outcome === Verdict.Forwarded) forwarded++;
      else leave(i, outcome);
    }
    counters.verdict[Verdict.Forwarded]! += forwarded;
  };
}
