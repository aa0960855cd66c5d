import { expect, test } from "vitest";
import { expectation, requestsFor } from "../../src/lab/expectations.ts";
import type { Round } from "../../src/lab/traffic.ts";

const round = (answersFrom: Round["answersFrom"] = {}): Round => ({
  answers: {},
  answersFrom,
  failed: 0,
  errors: [],
  bytes: 0,
  milliseconds: 1,
});

test("rr and wrr must be exact", () => {
  expect(expectation("rr").holds([8, 8, 8], round())).toBe(true);
  expect(expectation("rr").holds([8, 9, 7], round())).toBe(false);
  expect(expectation("wrr").holds([12, 8, 4], round())).toBe(true);
  expect(expectation("wrr").holds([11, 8, 5], round())).toBe(false);
});

test("lc may be off by one connection, wlc by two", () => {
  expect(expectation("lc").holds([9, 8, 7], round())).toBe(true);
  expect(expectation("lc").holds([10, 8, 6], round())).toBe(false);
  expect(expectation("wlc").holds([11, 10, 3], round())).toBe(true);
  expect(expectation("wlc").holds([8, 8, 8], round())).toBe(false);
});

test("sh must keep each client at one real server, and there must be clients", () => {
  const { holds } = expectation("sh");
  expect(holds([3, 3, 0], round({ a: { rs1: 3 }, b: { rs2: 3 } }))).toBe(true);
  expect(holds([3, 3, 0], round({ a: { rs1: 2, rs2: 1 }, b: { rs2: 3 } }))).toBe(false);
  expect(holds([3, 3, 0], round())).toBe(false);
});

test("of an unknown scheduler only answers are expected", () => {
  expect(expectation("mine").holds([1, 0, 0], round())).toBe(true);
  expect(expectation("mine").holds([0, 0, 0], round())).toBe(false);
});

test("requests come in whole turns of the weights", () => {
  expect(requestsFor([1, 1, 1], 3, 24)).toBe(24);
  expect(requestsFor([3, 2, 1], 3, 25)).toBe(30);
  expect(requestsFor([3, 2, 1], 5, 8)).toBe(8); // 3+2+1+1+1
});
