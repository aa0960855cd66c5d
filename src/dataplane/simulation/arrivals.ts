/** Connections to be simulated: who comes when and stays how long. Here from a seed, in captured.ts from a capture. */
import { mapped, type Words } from "../../wire/address.ts";

/** One connection. Times in milliseconds since the simulation's begin. */
export interface Arrival {
  readonly at: number;
  readonly duration: number;
  readonly family: 4 | 6;
  readonly client: Words;
  readonly clientPort: number;
  readonly virtual: Words;
  readonly virtualPort: number;
}

export interface ArrivalOptions {
  readonly seed: number;
  readonly connections: number;
  /** Connections a second on average. */
  readonly rate: number;
  /** Seconds that a connection is active, on average. */
  readonly duration: number;
  /** Different clients; each comes again and again. */
  readonly clients: number;
  /** Virtual addresses of the service (dh, lblc and lblcr need several). */
  readonly addresses: number;
}

/** 10.0.0.0/8, strewn. */
const CLIENTS = 0x0a000000;
const CLIENT_MASK = 0x00ffffff;
/** 198.51.100.0 and on: TEST-NET-2 of RFC 5737. */
const VIRTUAL = 0xc6336400;
const FIRST_PORT = 1024;

/** Numbers in 0 ≤ x < 1 from a seed: a counter in steps of 2^32 / golden ratio, MurmurHash3's finalizer over it. */
export function uniform(seed: number): () => number {
  let counter = seed | 0;
  return () => {
    counter = (counter + 0x9e3779b9) | 0;
    let bits = Math.imul(counter ^ (counter >>> 16), 0x85ebca6b);
    bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
    return ((bits ^ (bits >>> 16)) >>> 0) / 2 ** 32;
  };
}

/** Arrivals independent of each other (a Poisson process), stays without memory (exponential), clients at random. */
export function* seededArrivals(options: ArrivalOptions): Generator<Arrival> {
  const random = uniform(options.seed);
  const exponential = (mean: number): number => -Math.log(1 - random()) * mean;
  let at = 0;
  for (let i = 0; i < options.connections; i++) {
    at += exponential(1000 / options.rate);
    const client = Math.floor(random() * options.clients);
    yield {
      at,
      duration: exponential(options.duration * 1000),
      family: 4,
      // An odd factor: a bijection of the 24 bits, so clients differ, and in their high bits too.
      client: mapped(CLIENTS + (Math.imul(client + 1, 0x9e3779b1) & CLIENT_MASK)),
      clientPort: FIRST_PORT + Math.floor(random() * (65_536 - FIRST_PORT)),
      virtual: mapped(VIRTUAL + Math.floor(random() * options.addresses)),
      virtualPort: 80,
    };
  }
}
