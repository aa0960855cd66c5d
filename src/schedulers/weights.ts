/** Sums over a service's weights that several schedulers need when the destinations change. */
import type { ServiceView } from "./service-view.ts";

function greatestCommonDivisor(a: number, b: number): number {
  while (b !== 0) [a, b] = [b, a % b];
  return a;
}

/** The greatest common divisor of the weights above 0; 0 when there are none. */
export function commonWeight(service: ServiceView, weightOf: (d: number) => number): number {
  let divisor = 0;
  for (let i = 0; i < service.count; i++) {
    const weight = weightOf(service.members[i]!);
    if (weight > 0) divisor = greatestCommonDivisor(weight, divisor);
  }
  return divisor;
}
