/** New connections, and their end when their time is up. */
import { median } from "../../src/lab/bench/statistics.ts";
import type { Round, Runner } from "./case.ts";
import type { Case } from "./cases.ts";
import { makePair, type Pair } from "./director.ts";
import { inOrder, makeFlows } from "./flows.ts";
import { SLOTS } from "./slots.ts";
import { compare, cpuTime, Flags, fill, inspect, ours, type Traffic, template, theirs } from "./stretch.ts";

/** A SYN's connection lives 60 s (SYN_RECV); after this much nothing of a round is left. */
const LIFETIME = 61_000;
const EXPIRED_OF_C = 34;

export class SetUp implements Runner {
  readonly #pair: Pair;
  readonly #count: number;
  readonly #traffic: Traffic;
  #oursFirst = true;

  constructor(its: Case) {
    this.#pair = makePair(its.shape);
    this.#count = its.flows;
    const flows = makeFlows(its.flows, its.shape.services);
    this.#traffic = { flows, order: inOrder(its.flows), template: template(Flags.Syn) };
    for (let warm = 0; warm < 6; warm++) this.round();
  }

  round(): Round {
    const opened = this.#open();
    this.#pair.now += LIFETIME;
    const ended = this.#end();
    this.#checkEmpty();
    this.#oursFirst = !this.#oursFirst;
    return {
      ...opened,
      expiryOurs: ended.ours / this.#count,
      expiryC: ended.c / this.#count,
    };
  }

  #open(): { ours: number; c: number } {
    const pair = this.#pair;
    const traffic = this.#traffic;
    const mine: number[] = [];
    const others: number[] = [];
    for (let from = 0; from < this.#count; from += SLOTS) {
      const sides = [
        () => {
          const count = fill(pair, traffic, from);
          mine.push(ours(pair) / count);
          return from === 0 ? inspect(pair, traffic, from, count, "dr-director") : undefined;
        },
        () => {
          const count = fill(pair, traffic, from);
          others.push(theirs(pair, count) / count);
          return from === 0 ? inspect(pair, traffic, from, count, "the reference") : undefined;
        },
      ];
      if (!this.#oursFirst) sides.reverse();
      const [first, second] = sides.map((side) => side());
      if (first !== undefined && second !== undefined) compare(first, second);
    }
    return { ours: median(mine), c: median(others) };
  }

  #end(): { ours: number; c: number } {
    const { shard, reference, c, ring, now } = this.#pair;
    ring.offer(0);
    const start = cpuTime();
    shard.turn(now);
    const between = cpuTime();
    reference.turn(c, now);
    return { ours: between - start, c: cpuTime() - between };
  }

  /** A round that did not end with as many connections as it began has measured something else. */
  #checkEmpty(): void {
    const { region, reference, c } = this.#pair;
    const counts = new Float64Array(40);
    reference.counts(c, counts);
    const live = region.shards[0]!.connections.live;
    if (live !== 0 || counts[32] !== 0 || counts[EXPIRED_OF_C]! === 0)
      throw new Error(`connections were left over: ${live} of ours, ${counts[32]} of the reference's`);
  }
}
