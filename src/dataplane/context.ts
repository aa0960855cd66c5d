/**
 * What the stages of one shard share: its tables, its picture of the services, its clock of this turn and its
 * scratch space. One object a shard, made once; the stages are functions over it, in the order of a frame's way.
 */

import type { Ring } from "../ring/ring.ts";
import type { Flow } from "../schedulers/scheduler.ts";
import type { Connections } from "../table/connections.ts";
import type { Counters } from "../table/counters.ts";
import type { Relax } from "../table/lock.ts";
import type { Region } from "../table/region.ts";
import type { Answers } from "./answers.ts";
import type { Directory } from "./directory.ts";
import type { Extras } from "./extras.ts";
import type { Frames } from "./frames.ts";
import type { Limiter } from "./limiter.ts";
import type { Tap } from "./tap.ts";

export interface Context {
  readonly region: Region;
  /** This shard's number. */
  readonly index: number;
  readonly shards: number;
  /** Flows live where they arrived first, not in the shard of their hash: elsewhere.ts. False with one shard. */
  readonly byArrival: boolean;
  readonly ring: Ring;
  readonly directory: Directory;
  readonly connections: Connections;
  readonly counters: Counters;
  /** The shard's own words, ShardCell. */
  readonly cells: Int32Array;
  readonly settings: Int32Array;
  readonly seed: number;
  readonly frames: Frames;
  readonly flow: Flow;
  readonly answers: Answers;
  readonly limiter: Limiter;
  readonly relax: Relax;
  /** Wakes the control thread: there is something for it to look at (a neighbour to resolve). */
  readonly kick: () => void;
  /** Wakes another shard that sleeps in poll(). */
  readonly wake: (shard: number) => void;
  readonly extras: Extras;
  /** Who looks on, if anybody does. */
  tap: Tap | undefined;
  /** This turn's time in ms, and the same in ticks. */
  now: number;
  tick: number;
  /**
   * Moves with every row that enters or leaves the connection table: what was looked up for a whole burst at its
   * begin is good as long as this stands still.
   */
  changes: number;
  /** Moves with every row that leaves it. While it stands still, a bucket whose head is the same is the same. */
  departures: number;
}
