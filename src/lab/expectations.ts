/** What each scheduler is known to do with the lab's requests, so that a run can be held against it. */
import type { Round, Tally } from "./traffic.ts";

export interface Expectation {
  /** In words, for people. */
  words: string;
  weights: readonly number[];
  holds(answers: readonly number[], round: Round): boolean;
}

const EQUAL = [1, 1, 1];
const GRADED = [3, 2, 1];

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);

/** Each within `slack` of its weight's share. */
function share(weights: readonly number[], slack: number): Expectation["holds"] {
  return (answers) => {
    const all = sum(answers);
    const total = sum(answers.map((_, i) => weightOf(weights, i)));
    return answers.every((n, i) => Math.abs(n - (all * weightOf(weights, i)) / total) <= slack);
  };
}

/** Every client address was answered by one real server only. */
function faithful(_answers: readonly number[], round: Round): boolean {
  const tallies: Tally[] = Object.values(round.answersFrom);
  return tallies.length > 0 && tallies.every((tally) => Object.keys(tally).length === 1);
}

const onlyFirst: Expectation["holds"] = (answers) => answers.every((n, i) => n > 0 === (i === 0));
const onlyOne: Expectation["holds"] = (answers) => answers.filter((n) => n > 0).length === 1;
const answered: Expectation["holds"] = (answers) => sum(answers) > 0;

// The director may not have seen the last client's FIN when the next connection comes: least-connection schedulers
// then count one connection more, which moves an answer by one, and with weights by two.
const KNOWN: Readonly<Record<string, Expectation>> = {
  rr: { words: "each in turn", weights: EQUAL, holds: share(EQUAL, 0) },
  wrr: { words: "in turn, by weight", weights: GRADED, holds: share(GRADED, 0) },
  lc: { words: "least connections first", weights: EQUAL, holds: share(EQUAL, 1) },
  wlc: { words: "least connections by weight", weights: GRADED, holds: share(GRADED, 2) },
  sh: { words: "each client stays with one", weights: EQUAL, holds: faithful },
  mh: { words: "each client stays with one", weights: EQUAL, holds: faithful },
  dh: { words: "one VIP, one real server", weights: EQUAL, holds: onlyOne },
  fo: { words: "the heaviest, while it is there", weights: GRADED, holds: onlyFirst },
  ovf: { words: "the heaviest, until it is full", weights: GRADED, holds: onlyFirst },
};

/** What is expected of a scheduler; of one we do not know only that somebody answers. */
export function expectation(scheduler: string): Expectation {
  return KNOWN[scheduler] ?? { words: "every request answered", weights: EQUAL, holds: answered };
}

/** The weight of real server `i`: the last given one for all further ones. */
export function weightOf(weights: readonly number[], i: number): number {
  return weights[Math.min(i, weights.length - 1)] ?? 1;
}

/** Enough requests for whole turns: a multiple of the weights' sum, at least `least`. */
export function requestsFor(weights: readonly number[], realServers: number, least: number): number {
  const turn = sum(Array.from({ length: realServers }, (_, i) => weightOf(weights, i)));
  return Math.ceil(least / turn) * turn;
}
