import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseIpvsadm } from "../../src/cli/ipvsadm-grammar.ts";
import { COMMAND_RULES, WORDS } from "../../src/cli/ipvsadm-options.ts";
import { parseRules } from "../../src/cli/rules.ts";
import { UsageError } from "../../src/cli/usage-error.ts";
import { newCommands, run } from "./world.ts";

/** Whatever is typed, the answer is a clear sentence and an exit code; never a crash. */

const LOOKUP = { host: () => null, port: () => null };
const OVERLONG = "9".repeat(5000);
const BAD = [
  "",
  " ",
  "-1",
  "-",
  "--",
  "0",
  "+",
  "1e9",
  "0x",
  "99999999999999999999",
  OVERLONG,
  "x".repeat(5000),
  "\uFFFD",
  "\u0000",
  "\n",
  "🦆",
  "[",
  "]",
  "[]",
  "[]:",
  ":",
  "::",
  "[::]",
  ":::1",
  "1.2.3.4:65536",
  "[::1]:-1",
  ",",
  ",,",
  "%s%n",
  "$(id)",
  "../../etc/passwd",
  "constructor",
  "__proto__",
  "toString",
];
const GOOD: Readonly<Record<string, string>> = {
  "tcp-service": "10.0.0.100:80",
  "real-server": "10.0.0.11",
  scheduler: "rr",
  weight: "1",
};

/** Command lines begun rightly: each command with what it needs. */
const BEGINNINGS = WORDS.filter((word) => word.command !== undefined && !word.name.includes("\0")).map(
  (word) => {
    const rules = COMMAND_RULES[word.command as keyof typeof COMMAND_RULES] ?? { required: [] };
    const needed = rules.required.map((name) => (name === "service-address" ? "tcp-service" : name));
    const first = word.takes === "none" ? [`--${word.name}`] : [`--${word.name}`, "master"];
    const plain = word.name === "set" ? ["1", "2", "3"] : [];
    return { first, needed, plain };
  },
);

const director = newCommands();

async function survives(argv: string[]): Promise<void> {
  const { rc, stdout, stderr } = await run(director, argv, "");
  expect([0, 1, 2, 255]).toContain(rc);
  if (rc !== 0) {
    expect(stdout).toBe("");
    expect(stderr).toMatch(/^[^\n].*\n/s);
    expect(stderr).not.toMatch(/TypeError|undefined|\[object|\n {4}at /);
  } else expect(stderr).toBe("");
}

describe("bad command lines", () => {
  for (const { first, needed, plain } of BEGINNINGS) {
    const required = needed.map((name) => [`--${name}`, GOOD[name]!]);
    const line = [...first, ...required.flat(), ...plain];

    it(`${first[0]}: every argument missing, in turn`, async () => {
      for (let leave = 0; leave < line.length; leave++) await survives(line.filter((_, i) => i !== leave));
      for (let length = 0; length < line.length; length++) await survives(line.slice(0, length));
    });

    it(`${first[0]}: everything doubled`, async () => {
      await survives([...line, ...line]);
      for (const word of line) await survives([...line, word]);
      for (const word of line) await survives([word, ...line]);
    });

    it(`${first[0]}: every option with every bad value`, async () => {
      for (const word of WORDS) {
        for (const bad of BAD) {
          if (word.command === undefined) await survives([...line, `--${word.name}`, bad]);
          if (word.short !== undefined) await survives([...line, `-${word.short}${bad}`]);
        }
      }
      for (const bad of BAD) {
        await survives([...line, bad]);
        await survives([bad, ...line]);
        for (const [at, word] of line.entries()) {
          if (!word.startsWith("-")) await survives([...line.slice(0, at), bad, ...line.slice(at + 1)]);
        }
      }
    });
  }

  it("any words at all", async () => {
    const word = fc.oneof(
      fc.string({ unit: "binary", maxLength: 20 }),
      fc.constantFrom(
        ...WORDS.map(({ name }) => `--${name}`),
        ...WORDS.flatMap(({ short }) => (short === undefined ? [] : [`-${short}`])),
        ...BAD,
      ),
    );
    await fc.assert(fc.asyncProperty(fc.array(word, { maxLength: 8 }), survives), { numRuns: 3000 });
  });

  it("throws a UsageError or nothing", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "binary" }), { maxLength: 6 }), (argv) => {
        try {
          parseIpvsadm(argv, LOOKUP);
        } catch (error) {
          expect(error).toBeInstanceOf(UsageError);
        }
      }),
    );
  });

  it("any lines of --restore and any rules file", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary", maxLength: 300 }), async (text) => {
        const { rc, stderr } = await run(director, ["-R"], text);
        expect([0, 2, 255]).toContain(rc);
        expect(rc === 0 || stderr !== "").toBe(true);
        for (const { line, message } of parseRules(text, LOOKUP).errors) {
          expect(line).toBeGreaterThan(0);
          expect(message).not.toBe("");
        }
      }),
    );
  });
});
