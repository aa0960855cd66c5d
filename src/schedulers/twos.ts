/**
 * The power of two choices (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001): two
 * destinations drawn by weight, the less loaded one for its weight wins.
 *
 * Each draw is a number from 0 to the sum of the weights, both included: the list's first destination is drawn for
 * 0 too and so is slightly favoured, as in the kernel. The kernel's numbers cannot be repeated; ours come from the
 * region's seed and a counter in shared memory, so a recorded run can.
 */
import { Header } from "../table/region.ts";
import { load } from "./load.ts";
import { NO_DESTINATION, type Scheduler } from "./scheduler.ts";
import type { ServiceView } from "./service-view.ts";

/** Word of `service.memory`: the random numbers' counter. */
const COUNTER = 0;
/** 2^32 / golden ratio: steps of it visit every 32-bit number once. */
const STRIDE = 0x9e3779b9;

/** A number in 0 … limit - 1: the counter stepped on and its bits mixed well (MurmurHash3's finalizer). */
function draw(service: ServiceView, limit: number): number {
  let bits = (service.memory[COUNTER]! + STRIDE) | 0;
  service.memory[COUNTER] = bits;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  bits ^= bits >>> 16;
  return Math.floor(((bits >>> 0) / 2 ** 32) * limit);
}

/** The destination in whose share of the weights, laid end to end, `number` falls; the first one's begins at 0. */
function drawn(service: ServiceView, number: number): number {
  let rest = number;
  let d = NO_DESTINATION;
  for (let i = 0; i < service.count; i++) {
    const candidate = service.members[i]!;
    if (!service.available(candidate)) continue;
    d = candidate;
    rest -= service.weight(d);
    if (rest <= 0) break;
  }
  // Another shard may have marked one overloaded since the sum was made: then it is the last one that is left.
  return d;
}

export const twos: Scheduler = {
  name: "twos",

  start(service) {
    service.memory[COUNTER] = service.region.header[Header.Seed]! ^ Math.imul(service.service + 1, STRIDE);
  },

  schedule(service) {
    let sum = 0;
    for (let i = 0; i < service.count; i++) {
      const d = service.members[i]!;
      if (service.available(d)) sum += service.weight(d);
    }
    if (sum === 0) return NO_DESTINATION;
    const first = drawn(service, draw(service, sum + 1));
    const second = drawn(service, draw(service, sum + 1));
    if (first === NO_DESTINATION || second === NO_DESTINATION) return NO_DESTINATION;
    const better =
      service.weight(second) * load(service, first) > service.weight(first) * load(service, second);
    return better ? second : first;
  },
};
