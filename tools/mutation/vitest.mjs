/**
 * As much of vitest as the quick tests use, without its seconds of beginning: tests are collected and run one at a
 * time in this process. The assertions are vitest's own.
 */
import { format } from "node:util";
import {
  ASYMMETRIC_MATCHERS_OBJECT,
  customMatchers,
  GLOBAL_EXPECT,
  JestAsymmetricMatchers,
  JestChaiExpect,
  JestExtend,
  setState,
} from "@vitest/expect";
import * as chai from "chai";

chai.use(JestExtend);
chai.use(JestChaiExpect);
chai.use(JestAsymmetricMatchers);
/** What vitest's expect() is, without the runner's state. */
export const expect = Object.assign((value, message) => chai.expect(value, message), chai.expect);
Object.assign(expect, globalThis[ASYMMETRIC_MATCHERS_OBJECT]);
globalThis[GLOBAL_EXPECT] = expect;
setState({ assertionCalls: 0, customTesters: [] }, expect);
chai.expect.extend(expect, customMatchers);

/** All tests so far: { name, suites, body }. */
export const tests = [];
const suiteOf = (name, parent) => ({ name, parent, before: [], after: [] });
let suite = suiteOf("");
let finishers = [];

const title = (name, row) => format(name, ...(Array.isArray(row) ? row : [row]));
const spread = (row) => (Array.isArray(row) ? row : [row]);
const bodyOf = (a, b) => (typeof a === "function" ? a : b);

function block(name, a, b) {
  suite = suiteOf(name, suite);
  bodyOf(a, b)();
  suite = suite.parent;
}
function story(name, a, b) {
  tests.push({ name, suite, body: bodyOf(a, b) });
}
const each = (make) => (rows) => (name, a, b) => {
  for (const row of rows) make(title(name, row), () => bodyOf(a, b)(...spread(row)));
};

export const describe = Object.assign(block, { each: each(block) });
export const it = Object.assign(story, { each: each(story) });
export const test = it;
export const beforeEach = (hook) => suite.before.push(hook);
export const afterEach = (hook) => suite.after.push(hook);
/** Once for each test here: any of them may be the only one to run. */
export const beforeAll = beforeEach;
export const afterAll = afterEach;
export const onTestFinished = (hook) => finishers.push(hook);

function suitesOf(test) {
  const suites = [];
  for (let s = test.suite; s !== undefined; s = s.parent) suites.unshift(s);
  return suites;
}

/** Runs one test with its hooks; throws what it threw. */
export async function runTest(test) {
  finishers = [];
  const suites = suitesOf(test);
  try {
    for (const { before } of suites) for (const hook of before) await hook();
    await test.body({ onTestFinished });
  } finally {
    for (const { after } of suites.reverse()) for (const hook of after) await hook();
    for (const hook of finishers.reverse()) await hook();
  }
}
