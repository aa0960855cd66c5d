import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseIpvsadm } from "../../src/cli/ipvsadm-grammar.ts";
import { COMMAND_RULES, WORDS } from "../../src/cli/ipvsadm-options.ts";
import { parseRules } from "../../src/cli/rules.ts";
import { UsageError } from "../../src/cli/usage-error.ts";
import { answerIpvsadm } from "../../src/control/ipvsadm-api.ts";
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
        ...WORDS.map(({ short }) => `-${short}`),
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

describe("bad requests", () => {
  const refused = (body: unknown): { status: number; code: string; message: string } => {
    const answer = answerIpvsadm(director, body);
    if (!("body" in answer)) return { status: answer.status, code: "", message: "" };
    return { status: answer.status, ...JSON.parse(answer.body).error };
  };

  it("are told where they are wrong", () => {
    const service = { protocol: "tcp", family: 4, address: "10.0.0.100", port: 80, mark: 0 };
    const server = { address: "10.0.0.11", port: 80, weight: -1, method: "route", upper: 0, lower: 0 };
    expect(refused({ command: { kind: "addServer", service, server } })).toMatchObject({
      status: 400,
      code: "EBADMSG",
      message: expect.stringContaining("command.server.weight"),
    });
    expect(
      refused({
        commands: [{ kind: "clear" }, { kind: "deleteService", service: { ...service, port: 70_000 } }],
      }).message,
    ).toContain("commands.1.service.port");
    for (const body of [
      undefined,
      null,
      1,
      "x",
      [],
      {},
      { command: 1 },
      { commands: {} },
      { command: { kind: "restore" } },
    ]) {
      expect(refused(body)).toMatchObject({ status: 400, code: "EBADMSG" });
    }
  });

  it("never crash it, whatever the body", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (body) => {
        expect(refused(body).status).toBe(400);
      }),
    );
  });

  it("that contradict themselves are answered too", () => {
    const key = fc.record({
      protocol: fc.constantFrom("tcp", "udp", "sctp", "fwm"),
      family: fc.constantFrom(4, 6),
      address: fc.constantFrom("10.0.0.100", "2001:db8::1", "::", "0.0.0.0", "::ffff:1.2.3.4"),
      port: fc.nat(65_535),
      mark: fc.constantFrom(0, 1, 2 ** 32 - 1),
    });
    const server = fc.record({
      address: fc.constantFrom("10.0.0.11", "2001:db8::11", "::", "::1", "fe80::1", "255.255.255.255"),
      port: fc.nat(65_535),
      weight: fc.constantFrom(0, 1, 2 ** 31 - 1),
      method: fc.constantFrom("route", "masq", "tunnel"),
      upper: fc.nat(10),
      lower: fc.nat(10),
    });
    const service = fc.record({
      key,
      scheduler: fc.constantFrom("rr", "wlc", "mh", "none", "constructor"),
      flags: fc.constantFrom(0, 8, 0x38),
      persistence: fc.constantFrom(0, 300),
      netmask: fc.constantFrom("255.255.255.0", "64", "0", "999"),
      onePacket: fc.boolean(),
    });
    const command = fc.oneof(
      fc.record({ kind: fc.constantFrom("addService", "editService"), service }),
      fc.record({ kind: fc.constantFrom("deleteService", "zero"), service: key }),
      fc.record({ kind: fc.constantFrom("addServer", "editServer"), service: key, server }),
      fc.record({
        kind: fc.constant("deleteServer"),
        service: key,
        server: server.map(({ address, port }) => ({ address, port })),
      }),
    );
    fc.assert(
      fc.property(command, (one) => {
        const answer = answerIpvsadm(director, { command: one });
        expect([200, 400, 403, 404, 409, 507]).toContain(answer.status);
      }),
      { numRuns: 2000 },
    );
  });
});
