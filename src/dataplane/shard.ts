/**
 * A shard: the loop that takes a burst from its ring and brings every frame of it to a verdict. The same code runs
 * in the daemon's worker threads, in replay and explain, in the tests and in the browser; it knows no clock and no
 * operating system.
 */

import type { Ring } from "../ring/ring.ts";
import { C_KIND, C_STATUS, type DueHandler, ROW_SHIFT, STATE_MASK, TICK } from "../table/connections.ts";
import { ShardCount } from "../table/counters.ts";
import { lock, type Relax, unlock } from "../table/lock.ts";
import { Header, type Region, ShardCell } from "../table/region.ts";
import { Answers } from "./answers.ts";
import { makeClassify } from "./classify.ts";
import type { Context } from "./context.ts";
import { Departed } from "./departed.ts";
import { Directory } from "./directory.ts";
import { DropEntry } from "./drop-entry.ts";
import { Extras } from "./extras.ts";
import { FragmentStore } from "./fragments.ts";
import { createFrames } from "./frames.ts";
import { bury, hashOfRow } from "./life.ts";
import { Limiter } from "./limiter.ts";
import { makeDecide, makeDispatch, makeLookUp, type Pass } from "./passes.ts";
import { templateDue } from "./persist.ts";
import { isHalfOpen } from "./states.ts";
import type { Tap } from "./tap.ts";
import { Verdict } from "./verdict.ts";
import { WaitingRoom } from "./waiting.ts";

export interface ShardOptions {
  /** Lets another thread run while we wait for its lock. */
  readonly relax?: Relax;
  /** Wakes the control thread. */
  readonly kick?: () => void;
  /** Wakes a sleeping shard. */
  readonly wake?: (shard: number) => void;
  /** Looks on from the beginning. */
  readonly tap?: Tap;
  /** Opens the tap that control has asked for by this word in ShardCell.Tap; 0 means none. */
  readonly openTap?: (word: number) => Tap | undefined;
}

const nothing = (): void => {};

/** Rows of Shard.#due. */
const REVIEW = 0;
const DEFENCE = 1;

export class Shard {
  readonly context: Context;
  readonly waiting = new WaitingRoom();
  readonly fragments = new FragmentStore();
  /** When what is done now and then is next due, ms: a column, because a property's number lies on the heap. */
  readonly #due = new Float64Array(2);
  #tapWord = 0;
  readonly #cells: Int32Array;
  readonly #openTap: ((word: number) => Tap | undefined) | undefined;
  readonly #dropEntry: DropEntry;
  readonly #departed: Departed;
  readonly #passes: readonly Pass[];
  readonly #connectionDue: DueHandler;
  readonly #templateDue: DueHandler;

  constructor(region: Region, index: number, ring: Ring, options: ShardOptions = {}) {
    const { connections, counters, cells } = region.shards[index]!;
    this.#cells = cells;
    this.#openTap = options.openTap;
    const context: Context = {
      region,
      index,
      shards: region.sizes.shards,
      byArrival: region.sizes.shards > 1 && region.header[Header.ByArrival] === 1,
      ring,
      directory: new Directory(region, cells),
      connections,
      counters,
      cells,
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
      tap: options.tap,
      now: 0,
      tick: 0,
      changes: 0,
      departures: 0,
    };
    this.context = context;
    this.#dropEntry = new DropEntry(context.seed);
    this.#departed = new Departed(Atomics.load(region.header, Header.Departures));
    // Called one after another out of a list, the passes stay functions of their own: V8 would put all of them into
    // turn() if it could, and then run out of its budget for inlining in the midst of the last one.
    this.#passes = [
      makeClassify(context),
      makeLookUp(context),
      () => context.tap?.before(context),
      makeDecide(context, this.fragments).all,
      makeDispatch(context, this.waiting),
      () => context.tap?.after(context),
    ];
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
    if (this.#cells[ShardCell.Tap] !== this.#tapWord) this.#changeTap();
    this.#tell(now);
    ring.peek(burst);
    context.extras.join(context);
    const handled = burst.count;
    if (handled > 0) {
      for (const pass of this.#passes) pass();
    }
    this.#send(handled);
    ring.release();
    counters.shard[ShardCount.Turns]!++;
    context.tap?.end(context);
    return handled;
  }

  /** Control wants somebody to look on, or nobody any more. */
  #changeTap(): void {
    this.#tapWord = Atomics.load(this.#cells, ShardCell.Tap);
    if (this.#openTap !== undefined) this.context.tap = this.#openTap(this.#tapWord);
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
        const at = row << ROW_SHIFT;
        return isHalfOpen(
          connections.rows[at + C_KIND]! & 0xff,
          connections.rows[at + C_STATUS]! & STATE_MASK,
        );
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
      this.#departed.work(context);
      if (context.index === 0) this.#advanceTemplates(tick);
    }
    if (now >= this.#due[DEFENCE]!) {
      this.#due[DEFENCE] = now + 1000;
      this.#dropEntry.defend(context);
    }
    if (now >= this.#due[REVIEW]!) {
      this.#due[REVIEW] = now + 100;
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
