/** The C reference's addon (bench/reference/), built by scripts/bench.mjs. */
import { createRequire } from "node:module";
import { join } from "node:path";
import { BENCH_BUILD } from "../places.ts";

declare const brand: unique symbol;
export type ReferenceDirector = { readonly [brand]: true };

export interface Reference {
  create(
    connections: number,
    services: number,
    destinations: number,
    seed: number,
    macHi: number,
    macLo: number,
    now: number,
  ): ReferenceDirector;
  addService(
    director: ReferenceDirector,
    protocol: number,
    address: number,
    port: number,
    scheduler: string,
  ): number;
  addDestination(
    director: ReferenceDirector,
    service: number,
    weight: number,
    macHi: number,
    macLo: number,
  ): number;
  /** Handles `count` frames in bursts of 64; returns how many it would have sent. */
  run(
    director: ReferenceDirector,
    frames: Uint8Array,
    at: Int32Array,
    length: Int32Array,
    count: number,
    now: number,
  ): number;
  turn(director: ReferenceDirector, now: number): void;
  /** 32 verdicts, then live, created, expired, evicted connections. */
  counts(director: ReferenceDirector, out: Float64Array): void;
  /** Writes frames: `template` with the addresses and ports of flows[order[from + i]], three words a flow. */
  fill(
    frames: Uint8Array,
    at: Int32Array,
    count: number,
    flows: Uint32Array,
    order: Uint32Array,
    from: number,
    template: Uint8Array,
    length: number,
  ): void;
}

export function loadReference(): Reference {
  return createRequire(import.meta.url)(join(BENCH_BUILD, "reference.node")) as Reference;
}
