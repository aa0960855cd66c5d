/** Frames of connections that exist: what nearly every frame is. */
import { median } from "../../src/lab/bench/statistics.ts";
import type { Round, Runner } from "./case.ts";
import type { Case } from "./cases.ts";
import { makePair, type Pair } from "./director.ts";
import { inOrder, makeFlows, shuffled } from "./flows.ts";
import { SLOTS } from "./slots.ts";
import { compare, Flags, fill, inspect, ours, type Traffic, template, theirs } from "./stretch.ts";

/** Frames of one side in one round. */
const FRAMES = 2 ** 19;
/** As many frames are in the order they come in; then it begins again. Every flow has one at least. */
const ORDER = 2 ** 20;

export class Established implements Runner {
  readonly #pair: Pair;
  readonly #traffic: Traffic;
  #from = 0;
  #oursFirst = true;

  constructor(its: Case) {
    const { flows: count, shape } = its;
    this.#pair = makePair(shape);
    const flows = makeFlows(count, shape.services);
    establish(this.#pair, flows, inOrder(count));
    const order = new Uint32Array(Math.ceil(Math.max(ORDER, count) / SLOTS) * SLOTS);
    const mixed = shuffled(count);
    for (let i = 0; i < order.length; i++) order[i] = mixed[i % count]!;
    this.#traffic = { flows, order, template: template(Flags.Ack) };
    this.round();
  }

  round(): Round {
    const mine: number[] = [];
    const others: number[] = [];
    const pair = this.#pair;
    const traffic = this.#traffic;
    for (let done = 0; done < FRAMES; done += SLOTS) {
      const from = this.#from;
      const look = done === 0;
      const sides = [
        () => {
          const count = fill(pair, traffic, from);
          mine.push(ours(pair) / count);
          return look ? inspect(pair, traffic, from, count, "dr-director") : undefined;
        },
        () => {
          const count = fill(pair, traffic, from);
          others.push(theirs(pair, count) / count);
          return look ? inspect(pair, traffic, from, count, "the reference") : undefined;
        },
      ];
      if (!this.#oursFirst) sides.reverse();
      const [first, second] = sides.map((side) => side());
      if (first !== undefined && second !== undefined) compare(first, second);
      this.#from = (from + SLOTS) % traffic.order.length;
    }
    this.#oursFirst = !this.#oursFirst;
    // The median of the stretches: what other programs do to our caches meanwhile hits single ones.
    return { ours: median(mine), c: median(others) };
  }
}

/** Opens every flow on both sides: a SYN, then an ACK. */
export function establish(pair: Pair, flows: Uint32Array, order: Uint32Array): void {
  for (const flag of [Flags.Syn, Flags.Ack]) {
    const traffic = { flows, order, template: template(flag) };
    for (let from = 0; from < order.length; from += SLOTS) {
      fill(pair, traffic, from);
      ours(pair);
      theirs(pair, fill(pair, traffic, from));
    }
  }
}
