/** What the path bench measures. All cases up to a million flows have the same table, as one director would. */
import type { Shape } from "./director.ts";

export interface Case {
  readonly kind: "established" | "set-up";
  readonly flows: number;
  readonly shape: Shape;
}

const MILLION = 2 ** 20;
const shape = (over: Partial<Shape> = {}): Shape => ({
  connections: MILLION,
  services: 1,
  destinations: 4,
  scheduler: "rr",
  shards: 1,
  ...over,
});
/** Eight tables of a million would be two gigabytes. */
const shards = (count: number): Partial<Shape> => ({ connections: MILLION / 8, shards: count });
const established = (flows: number, over?: Partial<Shape>): Case => ({
  kind: "established",
  flows,
  shape: shape(over),
});

/** Connections opened and run out in one round of a set-up case. */
const OPENED = 65_536;

export const CASES: Readonly<Record<string, Case>> = {
  flows_1: established(1),
  flows_10k: established(10_000),
  flows_100k: established(100_000),
  flows_1m: established(1_000_000),
  flows_5m: established(5_000_000, { connections: 5_242_880 }),
  services_100: established(10_000, { services: 100, destinations: 1 }),
  services_5000: established(10_000, { services: 5_000, destinations: 1 }),
  services_1: established(10_000, { destinations: 1 }),
  destinations_1000: established(10_000, { destinations: 1_000 }),
  shards_1: established(10_000, shards(1)),
  shards_2: established(10_000, shards(2)),
  shards_8: established(10_000, shards(8)),
  setup: { kind: "set-up", flows: OPENED, shape: shape() },
  setup_wlc: { kind: "set-up", flows: OPENED, shape: shape({ scheduler: "wlc" }) },
  setup_shards_1: { kind: "set-up", flows: OPENED, shape: shape(shards(1)) },
  setup_shards_8: { kind: "set-up", flows: OPENED, shape: shape(shards(8)) },
  setup_services_5000: { kind: "set-up", flows: OPENED, shape: shape({ services: 5_000, destinations: 1 }) },
};
