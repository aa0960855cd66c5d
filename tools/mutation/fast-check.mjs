/** fast-check with the same cases for each mutant, not too many, and without a search for the smallest one that fails. */
import * as fc from "fast-check";

const MOST = 60;

fc.configureGlobal({ seed: 3, endOnFailure: true });

export * from "fast-check";

export function assert(property, { numRuns = MOST, ...rest } = {}) {
  return fc.assert(property, { ...rest, numRuns: Math.min(numRuns, MOST) });
}

// biome-ignore lint/style/noDefaultExport: fast-check has one
export default { ...fc, assert };
