/** TCP options told in words: bytes as Linux sends them, and bytes that nobody should. */
import { expect, test } from "vitest";
import { optionsText } from "../../src/wire/value/tcp-options.ts";

const bytes = (hex: string) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));

test.each([
  // A SYN and an ACK of Linux 6.1, as tshark 4.0 reads them.
  ["020405b40402080a0d850001000000000103030a", "MSS 1460, SACK-OK, TS 226820097/0, NOP, WSCALE 10"],
  ["0101080a00000007000000090101050a0000000a00000014", "NOP, NOP, TS 7/9, NOP, NOP, SACK 10–20"],
  ["02040218000000", "MSS 536"],
  ["2202", "FASTOPEN"],
  ["fd04f989", "253: f989"],
  ["", ""],
  // A length that is too short, one that goes beyond the header, and none at all.
  ["0200", "…"],
  ["010308", "NOP, …"],
  ["040208", "SACK-OK, …"],
])("%s: %s", (hex, words) => {
  expect(optionsText(bytes(hex))).toBe(words);
});
