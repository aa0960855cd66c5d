/**
 * A scheduler tried out: arrivals are scheduled by its own code on real tables, connections come and go as the
 * director would count them, and the outcome is measured. Pure, and the same for the same arrivals and seed.
 */
import {
  FLOW_CLIENT,
  FLOW_VIRTUAL,
  type Flow,
  NO_DESTINATION,
  type Scheduler,
} from "../../schedulers/scheduler.ts";
import { mapped, type Words } from "../../wire/address.ts";
import type { Arrival } from "./arrivals.ts";
import { Heap } from "./heap.ts";
import { Disruption, type DisruptionReport, jain } from "./measures.ts";
import { SimulatedService } from "./service.ts";

export interface SimulationOptions {
  readonly scheduler: Scheduler;
  /** ServiceFlag bits. */
  readonly flags: number;
  /** The servers' weights, in the order they are added: rs1, rs2 … */
  readonly weights: readonly number[];
  /** In the order of their times. */
  readonly arrivals: Iterable<Arrival>;
  /** Until when, in ms: the arrivals' end. */
  readonly end: number;
  /** What a scheduler may draw its randomness from. */
  readonly seed: number;
  /** Milliseconds that a closed connection still counts as inactive: FIN_WAIT's 120 s in the kernel. */
  readonly linger: number;
  /** A server (its index) that is deleted, and when, in ms. */
  readonly removal?: { readonly server: number; readonly at: number };
  /** How often the load is looked at. */
  readonly samples: number;
}

export interface ServerReport {
  readonly name: string;
  readonly weight: number;
  readonly connections: number;
  /** Of all connections that got a server, 0 … 1. */
  readonly share: number;
  /** What the weights promise, 0 … 1; of a server that goes away too, as if it had stayed. */
  readonly shareByWeight: number;
  readonly meanActive: number;
  readonly peakActive: number;
}

export interface Sample {
  /** Milliseconds. */
  readonly at: number;
  /** Active connections of each server. */
  readonly active: readonly number[];
  /** Jain's index over active / weight of the servers that are there: 1 is even, 1 / servers is all on one. */
  readonly fairness: number;
}

export interface SimulationReport {
  readonly scheduler: string;
  readonly connections: number;
  readonly refused: number;
  readonly servers: readonly ServerReport[];
  readonly samples: readonly Sample[];
  readonly fairness: { readonly mean: number; readonly least: number; readonly leastAt: number };
  readonly disruption?: DisruptionReport;
}

/** 10.255.0.1 and on, out of the seeded clients' way. */
const SERVERS = 0x0aff0001;

function serverAddress(family: 4 | 6, index: number): Words {
  return family === 4 ? mapped(SERVERS + index) : [0x20010db8, 0xff, 0, index + 1];
}

class Run {
  readonly #options: SimulationOptions;
  readonly #flow: Flow = { family: 4, words: new Int32Array(8), clientPort: 0, virtualPort: 0, now: 0 };
  /** Ends of activity and of the inactive rest: server * 2, or + 1 for the rest's end. */
  readonly #ends = new Heap();
  readonly #service: SimulatedService;
  readonly #chosen: number[];
  readonly #peak: number[];
  /** Active connections times ms, for the mean. */
  readonly #busy: number[];
  readonly #samples: Sample[] = [];
  readonly #disruption: Disruption | undefined;
  #removed = -1;
  #now = 0;
  #connections = 0;
  #refused = 0;

  constructor(options: SimulationOptions, family: 4 | 6) {
    const { scheduler, flags, weights, seed, removal } = options;
    this.#options = options;
    this.#chosen = weights.map(() => 0);
    this.#peak = weights.map(() => 0);
    this.#busy = weights.map(() => 0);
    this.#service = new SimulatedService(scheduler, family, flags, weights.length, seed);
    for (const [i, weight] of weights.entries()) this.#service.add(i, serverAddress(family, i), weight);
    this.#disruption = removal === undefined ? undefined : new Disruption(removal.server);
  }

  /** Everything that happens before `time`: ends, samples, the removal. */
  advance(time: number): void {
    const { removal, samples, end } = this.#options;
    for (;;) {
      const nextSample =
        this.#samples.length < samples ? ((this.#samples.length + 1) * end) / samples : Infinity;
      const nextRemoval = removal !== undefined && this.#removed < 0 ? removal.at : Infinity;
      const next = Math.min(this.#ends.next, nextSample, nextRemoval);
      if (next > time) break;
      this.#passTo(next);
      if (next === this.#ends.next) this.#finish(this.#ends.pop());
      else if (next === nextRemoval) this.#remove(removal!.server);
      else this.#sample();
    }
    this.#passTo(time);
  }

  arrive(arrival: Arrival): void {
    this.advance(arrival.at);
    const flow = this.#flow;
    flow.family = arrival.family;
    flow.words.set(arrival.client, FLOW_CLIENT);
    flow.words.set(arrival.virtual, FLOW_VIRTUAL);
    flow.clientPort = arrival.clientPort;
    flow.virtualPort = arrival.virtualPort;
    flow.now = arrival.at;
    const d = this.#service.schedule(flow);
    this.#connections++;
    this.#disruption?.scheduled(arrival.client, d);
    if (d === NO_DESTINATION) {
      this.#refused++;
      return;
    }
    this.#service.count(d, 1, 0);
    this.#chosen[d]!++;
    this.#peak[d] = Math.max(this.#peak[d]!, this.#service.active(d));
    this.#ends.push(arrival.at + arrival.duration, d * 2);
  }

  report(): SimulationReport {
    const { weights, scheduler, end } = this.#options;
    const served = Math.max(1, this.#connections - this.#refused);
    const weight = Math.max(
      1,
      weights.reduce((a, b) => a + b, 0),
    );
    const servers = weights.map((w, i) => ({
      name: `rs${i + 1}`,
      weight: w,
      connections: this.#chosen[i]!,
      share: this.#chosen[i]! / served,
      shareByWeight: w / weight,
      meanActive: end === 0 ? 0 : this.#busy[i]! / end,
      peakActive: this.#peak[i]!,
    }));
    return {
      scheduler: scheduler.name,
      connections: this.#connections,
      refused: this.#refused,
      servers,
      samples: this.#samples,
      fairness: this.#fairness(),
      ...(this.#disruption === undefined ? {} : { disruption: this.#disruption.report() }),
    };
  }

  #passTo(time: number): void {
    const passed = time - this.#now;
    for (let d = 0; d < this.#busy.length; d++) this.#busy[d]! += passed * this.#service.active(d);
    this.#now = time;
  }

  #finish(what: number): void {
    const d = what >> 1;
    if ((what & 1) === 1) {
      this.#service.count(d, 0, -1);
      return;
    }
    this.#service.count(d, -1, 1);
    this.#ends.push(this.#now + this.#options.linger, what + 1);
  }

  #remove(server: number): void {
    this.#disruption!.removed(this.#service.active(server));
    this.#removed = server;
    this.#service.remove(server);
  }

  #sample(): void {
    const { weights } = this.#options;
    const active = weights.map((_, d) => this.#service.active(d));
    const loads: number[] = [];
    for (const [d, weight] of weights.entries()) {
      if (weight > 0 && d !== this.#removed) loads.push(active[d]! / weight);
    }
    this.#samples.push({ at: this.#now, active, fairness: jain(loads) });
  }

  #fairness(): SimulationReport["fairness"] {
    const samples = this.#samples;
    if (samples.length === 0) return { mean: 1, least: 1, leastAt: 0 };
    const least = samples.reduce((a, b) => (b.fairness < a.fairness ? b : a));
    const mean = samples.reduce((sum, sample) => sum + sample.fairness, 0) / samples.length;
    return { mean, least: least.fairness, leastAt: least.at };
  }
}

/** Throws SchedulerFault when the scheduler throws or chooses what is no member. */
export function simulate(options: SimulationOptions): SimulationReport {
  let run: Run | undefined;
  for (const arrival of options.arrivals) {
    run ??= new Run(options, arrival.family);
    run.arrive(arrival);
  }
  run ??= new Run(options, 4);
  run.advance(options.end);
  return run.report();
}
