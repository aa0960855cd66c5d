/** The switch of the instrumented code: one mutant is on at a time. Stands in for the header that Stryker writes. */

let active = "";
let hits = 0;
/** A mutant that is met this often has made an endless loop. */
let most = 0;
/** Mutants met since `watch`, with how often; undefined when nobody watches. */
let met;

export class EndlessLoop extends Error {}

export function activate(mutant, limit = Number.POSITIVE_INFINITY) {
  active = mutant;
  hits = 0;
  most = limit;
}

export function watch() {
  met = new Map();
  return met;
}

export function unwatch() {
  met = undefined;
}

export function stryMutAct_9fa48(mutant) {
  if (mutant !== active) return false;
  if (++hits > most) throw new EndlessLoop();
  return true;
}

export function stryCov_9fa48(...mutants) {
  if (met === undefined) return true;
  for (const mutant of mutants) met.set(mutant, (met.get(mutant) ?? 0) + 1);
  return true;
}
