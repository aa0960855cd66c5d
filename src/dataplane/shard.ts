/**
 * A shard: the loop that takes a burst from its ring and brings every frame of it to a verdict. The same code runs
 * in the daemon's worker threads, in replay and explain, in the tests and in the browser; it knows no clock and no
 * operating system.
 */

import type { Ring } from "../ring/ring.ts";
import { C_STATUS, type DueHandler, FAMILY6, ROW_SHIFT, STATE_MASK, TICK } from "../table/connections.ts";
import { ShardCount } from "../table/counters.ts";
import { shardOf } from "../table/hash.ts";
import { lock, type Relax, unlock } from "../table/lock.ts";
import { Header, type Region, ShardCell } from "../table/region.ts";
import { Setting } from "../table/settings.ts";
import { checksumIsRight } from "../wire/ipv4.ts";
import { answerUnreachable } from "./answer.ts";
import { Answers } from "./answers.ts";
import { classify } from "./classify.ts";
import type { Context } from "./context.ts";
import { Directory } from "./directory.ts";
import { DropEntry } from "./drop-entry.ts";
import { Extras, handOver } from "./extras.ts";
import { fillFlow } from "./flow.ts";
import { ANEW, follow } from "./follow.ts";
import { FragmentStore } from "./fragments.ts";
import { createFrames, FrameKind } from "./frames.ts";
import { icmp4, icmp6 } from "./icmp.ts";
import { bury, hashOfRow } from "./life.ts";
import { Limiter } from "./limiter.ts";
import { templateDue } from "./persist.ts";
import { dispatch } from "./rewrite.ts";
import { schedule } from "./schedule.ts";
import { TcpState } from "./tcp-state.ts";
import { Verdict } from "./verdict.ts";
import { WaitingRoom } from "./waiting.ts";

export interface ShardOptions {
  /** Lets another thread run while we wait for its lock. */
  readonly relax?: Relax;
  /** Wakes the control thread. */
  readonly kick?: () => void;
  /** Wakes a sleeping shard. */
  readonly wake?: (shard: number) => void;
}

const nothing = (): void => {};

export class Shard {
  readonly context: Context;
  readonly waiting = new WaitingRoom();
  readonly fragments = new FragmentStore();
  #reviewAt = 0;
  #defendAt = 0;
  readonly #dropEntry: DropEntry;
  readonly #decide: (i: number) => Verdict;
  readonly #connectionDue: DueHandler;
  readonly #templateDue: DueHandler;

  constructor(region: Region, index: number, ring: Ring, options: ShardOptions = {}) {
    const { connections, counters } = region.shards[index]!;
    const context: Context = {
      region,
      index,
      shards: region.sizes.shards,
      ring,
      directory: new Directory(region),
      connections,
      counters,
      settings: region.settings,
      seed: region.header[Header.Seed]!,
      frames: createFrames(),
      flow: { family: 4, words: new Int32Array(8), clientPort: 0, virtualPort: 0, now: 0 },
      answers: new Answers(ring),
      limiter: new Limiter(),
      relax: options.relax ?? nothing,
      kick: options.kick ?? nothing,
      wake: options.wake ?? nothing,
      extras: new Extras(),
      now: 0,
      tick: 0,
      changes: 0,
    };
    this.context = context;
    this.#dropEntry = new DropEntry(context.seed);
    this.#decide = (i) => this.#connect(i, false);
    this.#connectionDue = {
      due(row) {
        bury(context, row);
        counters.shard[ShardCount.Expired]!++;
      },
    };
    this.#templateDue = { due: (row) => templateDue(context, row) };
  }

  /**
   * One turn at time `now` (ms): timers first, then a burst. Returns how many frames it handled; with 0 the caller
   * may sleep.
   */
  turn(now: number): number {
    const { context } = this;
    const { frames, ring, counters } = context;
    const { burst } = frames;
    this.#tell(now);
    ring.peek(burst);
    context.extras.join(context);
    const handled = burst.count;
    if (handled > 0) {
      this.#classify();
      this.#lookUp();
      this.#bringHome();
    }
    this.#send(handled);
    ring.release();
    counters.shard[ShardCount.Turns]!++;
    return handled;
  }

  /** Gives up everything that is kept for later: before the shard ends. */
  rest(): void {
    this.context.ring.flush();
  }

  /** After an unclean end: this shard's table is put in order from its whole rows. */
  recover(now: number): void {
    const { connections, seed } = this.context;
    connections.rebuild(
      Math.floor(now / TICK) | 0,
      (row) => hashOfRow(connections, row, seed),
      (row) => {
        const state = connections.rows[(row << ROW_SHIFT) + C_STATUS]! & STATE_MASK;
        return state === TcpState.SynRecv || state === TcpState.SynAck;
      },
    );
  }

  /** Time and changes: what control has told, and what is due. */
  #tell(now: number): void {
    const { context } = this;
    const tick = Math.floor(now / TICK) | 0;
    context.now = now;
    if (context.directory.sync() && this.waiting.count > 0) this.waiting.review(context);
    if (tick !== context.tick || context.connections.clock !== tick) {
      context.tick = tick;
      context.connections.advance(tick, this.#connectionDue);
      if (context.index === 0) this.#advanceTemplates(tick);
    }
    if (now >= this.#defendAt) {
      this.#defendAt = now + 1000;
      this.#dropEntry.defend(context);
    }
    if (now >= this.#reviewAt) {
      this.#reviewAt = now + 100;
      if (this.waiting.count > 0) this.waiting.review(context);
      if (this.fragments.waiting > 0) this.fragments.review(context);
      context.counters.shard[ShardCount.Live] = context.connections.live;
      context.counters.shard[ShardCount.RingDrops] = context.ring.drops();
    }
  }

  #advanceTemplates(tick: number): void {
    const { region, shards, index, relax } = this.context;
    if (region.templates.live === 0) {
      region.templates.startClock(tick);
      return;
    }
    if (shards > 1) lock(region.header, Header.TemplateLock, index, relax);
    region.templates.advance(tick, this.#templateDue);
    if (shards > 1) unlock(region.header, Header.TemplateLock);
  }

  #classify(): void {
    const { frames, ring, directory, seed, counters } = this.context;
    const { burst } = frames;
    let bytes = 0;
    for (let i = 0; i < burst.count; i++) {
      classify(frames, i, ring.view, directory.station, seed);
      if (i < this.context.extras.released) bytes += burst.length[i]!;
    }
    counters.shard[ShardCount.Received]! += this.context.extras.released;
    counters.shard[ShardCount.Bytes]! += bytes;
    counters.shard[ShardCount.Bursts]!++;
    if (burst.count === burst.capacity) counters.shard[ShardCount.FullBursts]!++;
  }

  /**
   * Looks all flows of the burst up before any is acted on: the look-ups do not depend on each other, so the
   * processor overlaps their cache misses. First the buckets, then the rows.
   */
  #lookUp(): void {
    const { frames, connections } = this.context;
    const { burst, kind, row, hash } = frames;
    const { heads, shift } = connections;
    const n = burst.count;
    for (let i = 0; i < n; i++) {
      if (kind[i] === FrameKind.Flow4) row[i] = heads[hash[i]! >>> shift]!;
    }
    for (let i = 0; i < n; i++) {
      if (kind[i] !== FrameKind.Flow4) continue;
      row[i] =
        row[i] === 0
          ? -1
          : connections.find4(
              hash[i]!,
              frames.flowKind[i]!,
              frames.client[i]!,
              frames.virtual[i]!,
              frames.ports[i]!,
            );
    }
  }

  /** Each frame in the order it came: decide, dispatch, count. */
  #bringHome(): void {
    const { context } = this;
    const { frames, counters, extras, ring } = context;
    const { burst } = frames;
    const lookedUp = context.changes;
    for (let i = 0; i < burst.count; i++) {
      let verdict = frames.verdict[i] as Verdict;
      const kind = frames.kind[i]!;
      if (kind === FrameKind.Flow4) verdict = this.#flow(i, context.changes === lookedUp);
      else if (kind !== FrameKind.Done) verdict = this.#special(i, kind);
      if (verdict === Verdict.Forwarded) verdict = dispatch(context, i, this.waiting);
      if (i >= extras.first && verdict !== Verdict.Forwarded && verdict !== Verdict.Answered) {
        ring.cancel(burst.at[i]!);
      }
      if (verdict === Verdict.Answered) context.answers.push(burst.at[i]!, burst.length[i]!);
      frames.verdict[i] = verdict;
      counters.verdict[verdict]!++;
    }
  }

  /** A whole frame of a flow: in its home shard it is decided, elsewhere handed over. */
  #flow(i: number, fresh: boolean): Verdict {
    const { context } = this;
    if (context.shards > 1) {
      const home = shardOf(context.frames.hash[i]!, context.shards);
      if (home !== context.index) return handOver(context, i, home);
    }
    return this.#connect(i, fresh);
  }

  /** What is not a whole IPv4 flow's frame: IPv6, fragments, ICMP. */
  #special(i: number, kind: number): Verdict {
    const { context } = this;
    if (kind === FrameKind.Flow6) return this.#flow(i, false);
    const taken = i >= context.extras.first;
    if (kind === FrameKind.Fragment) return this.fragments.take(context, i, taken, this.#decide);
    return kind === FrameKind.Icmp4 ? icmp4(context, i) : icmp6(context, i);
  }

  /**
   * The connection that exists, or a new one. `fresh`: what #lookUp found still holds. With `ttl: decrement` the
   * director is a router and as such must check the header's checksum (RFC 1812 §5.2.2).
   */
  #connect(i: number, fresh: boolean): Verdict {
    const { context } = this;
    const { frames, connections, directory, settings, ring } = context;
    const kind = frames.flowKind[i]!;
    const six = (kind & FAMILY6) !== 0;
    if ((six ? directory.services6 : directory.services4) === 0) return Verdict.NotOurs;
    if (six) fillFlow(context, i);
    else if (settings[Setting.ttl] !== 0 && !checksumIsRight(ring.view, frames.ip[i]!))
      return Verdict.Malformed;
    const hash = frames.hash[i]!;
    const row = fresh
      ? frames.row[i]!
      : six
        ? connections.find6(hash, kind, context.flow.words, 0, frames.ports[i]!)
        : connections.find4(hash, kind, frames.client[i]!, frames.virtual[i]!, frames.ports[i]!);
    if (row >= 0) {
      const verdict = follow(context, i, row);
      if (verdict !== ANEW) return verdict as Verdict;
    }
    fillFlow(context, i);
    const verdict = schedule(context, i);
    if (verdict === Verdict.NoDestination) answerUnreachable(context, i);
    return verdict;
  }

  /** Forwarded frames first, so that what the wire refuses of them is known; then our own answers. */
  #send(handled: number): void {
    const { ring, counters, answers } = this.context;
    const refused = ring.flush();
    if (refused > 0) {
      counters.verdict[Verdict.Forwarded]! -= refused;
      counters.verdict[Verdict.TransmitFailed]! += refused;
    }
    if (handled > 0 || answers.count > 0) counters.shard[ShardCount.Answers]! += answers.send();
    this.context.region.shards[this.context.index]!.cells[ShardCell.Beat]!++;
  }
}
