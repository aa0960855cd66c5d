/**
 * Metric families that are filled anew at every scrape: the numbers live in the director's tables, so there is nothing
 * to keep in between. prom-client writes the text; these stand in its registry in place of its own counters, whose
 * bookkeeping by label costs as much again.
 */
import { type Metric, Registry } from "prom-client";

export type Labels<N extends string> = Readonly<Record<N, string | number>>;

/** One metric's series of this scrape. */
export interface Family<L extends string> {
  /** Adds a series; each set of labels at the most once a scrape. */
  add(labels: Labels<L>, value: number): void;
}

interface Series {
  readonly labels: Labels<string>;
  readonly value: number;
}

export class Families {
  readonly registry = new Registry();
  readonly #all: Series[][] = [];
  readonly #names: string[] = [];

  /** Forgets what the last scrape was told. */
  clear(): void {
    for (const values of this.#all) values.length = 0;
  }

  /** Prometheus' text. Many series take long to write: between two families the director may answer ARP. */
  async text(): Promise<string> {
    const parts: string[] = [];
    for (const name of this.#names) {
      parts.push(await this.registry.getSingleMetricAsString(name));
      await breathe();
    }
    return `${parts.join("\n")}\n`;
  }

  /** A number that only grows; its name ends in _total. */
  counter<L extends string = never>(name: string, help: string, ..._labels: readonly L[]): Family<L> {
    return this.#family("counter", name, help);
  }

  gauge<L extends string = never>(name: string, help: string, ..._labels: readonly L[]): Family<L> {
    return this.#family("gauge", name, help);
  }

  #family<L extends string>(type: "counter" | "gauge", name: string, help: string): Family<L> {
    const values: Series[] = [];
    this.#all.push(values);
    this.#names.push(name);
    // All that prom-client's registry asks of a metric.
    const metric = { name, get: async () => ({ name, help, type, values, aggregator: "sum" }) };
    this.registry.registerMetric(metric as unknown as Metric);
    return { add: (labels, value) => void values.push({ labels, value }) };
  }
}

/** Lets the event loop turn once. */
function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
