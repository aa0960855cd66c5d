/**
 * Weighted round robin: a threshold sinks from the greatest weight to the smallest in steps of the weights' greatest
 * common divisor, and whoever weighs at least as much is taken in turn. Weights 4, 3, 2 give A A B A B C A B C.
 *
 * After a change of the destinations the turn begins at the head again, but the threshold stays where it was, put on
 * the new steps: a service built up one destination at a time therefore does not begin with a whole round, exactly
 * as in the kernel.
 */
import { HEAD, recall, remember } from "./place.ts";
import { NO_DESTINATION, type Scheduler } from "./scheduler.ts";
import type { ServiceView } from "./service-view.ts";
import { commonWeight } from "./weights.ts";

/** Words of `service.memory`. */
const LAST = 0; //      the destination chosen last (place.ts): two words
const THRESHOLD = 2;
const TOP = 3; //       where the threshold begins: greatest weight less (step - 1); 0 when all weights are 0
const STEP = 4;

/** What the weights make of the step and of the threshold's top. */
function measured(service: ServiceView): { step: number; top: number } {
  let greatest = 0;
  for (let i = 0; i < service.count; i++) greatest = Math.max(greatest, service.weight(service.members[i]!));
  const step = commonWeight(service, (d) => service.weight(d)) || 1;
  return { step, top: greatest - (step - 1) };
}

function measure(service: ServiceView): void {
  const { memory } = service;
  const { step, top } = measured(service);
  memory[STEP] = step;
  memory[TOP] = top;
  remember(service, LAST, HEAD);
}

/**
 * The threshold for the next pass, after one that found nobody. When that pass saw the whole list, `heaviest` is the
 * greatest available weight in it, and the thresholds above it are skipped: with weights up to 65535 walking down to
 * it would take as many passes. The last threshold above 0 is never skipped.
 */
function sink(threshold: number, step: number, heaviest: number): number {
  const wanted = Math.ceil((threshold - heaviest) / step);
  const possible = Math.floor((threshold - 1) / step);
  return threshold - step * Math.max(1, Math.min(wanted, possible));
}

export const wrr: Scheduler = {
  name: "wrr",
  destinationWords: [LAST],

  start(service) {
    measure(service);
    service.memory[THRESHOLD] = service.memory[TOP]!;
  },

  changed(service) {
    const { memory } = service;
    measure(service);
    const threshold = memory[THRESHOLD]!;
    const step = memory[STEP]!;
    if (threshold === 0 || threshold > memory[TOP]!) memory[THRESHOLD] = memory[TOP]!;
    else if (step > 1) memory[THRESHOLD] = Math.floor(threshold / step) * step + 1;
  },

  // By other words the threshold might never sink to a weight that there is, or for ever.
  isSound(service) {
    const { memory } = service;
    const { step, top } = measured(service);
    const threshold = memory[THRESHOLD]!;
    return memory[STEP] === step && memory[TOP] === top && threshold >= Math.min(1, top) && threshold <= top;
  },

  schedule(service) {
    const { memory, members, count } = service;
    const top = memory[TOP]!;
    const step = memory[STEP]!;
    if (top === 0) return NO_DESTINATION;
    const last = recall(service, LAST);
    // Once the threshold has been at its lowest in a pass that began at the head, the walk ends where it started.
    let stop = HEAD;
    let lowest = false;
    let wrapped = false;
    let threshold = memory[THRESHOLD]!;
    for (let from = last + 1; ; from = 0) {
      let heaviest = 0;
      for (let place = from; place < count; place++) {
        const d = members[place]!;
        const weight = service.overloaded(d) ? 0 : service.weight(d);
        if (weight >= threshold) {
          memory[THRESHOLD] = threshold;
          remember(service, LAST, place);
          return d;
        }
        if (weight > heaviest) heaviest = weight;
        if (place === stop) {
          memory[THRESHOLD] = threshold;
          remember(service, LAST, place);
          return NO_DESTINATION;
        }
      }
      threshold = from === 0 ? sink(threshold, step, heaviest) : threshold - step;
      if (threshold <= 0) {
        threshold = top;
        if (lowest || last === HEAD) {
          memory[THRESHOLD] = threshold;
          remember(service, LAST, HEAD);
          return NO_DESTINATION;
        }
        wrapped = true;
      }
      lowest = threshold <= step;
      if (lowest && wrapped) stop = last;
    }
  },
};
