import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import type { CommandExecutor } from "../../src/control/model.ts";
import { run } from "../cli/world.ts";
import { asWitnessed, Witness, witnessAvailable } from "./witness.ts";

const ERRNOS = [
  ["EPERM", 1],
  ["ENOENT", 2],
  ["ESRCH", 3],
  ["ENOMEM", 12],
  ["EEXIST", 17],
  ["EINVAL", 22],
  ["ERANGE", 34],
  ["EAFNOSUPPORT", 97],
] as const;

/** A director that logs what is asked and refuses one request. */
class Log implements CommandExecutor {
  readonly requests: string[] = [];
  readonly #at: number;
  readonly #code: (typeof ERRNOS)[number][0];
  constructor(at: number, code: (typeof ERRNOS)[number][0]) {
    this.#at = at;
    this.#code = code;
  }

  execute: CommandExecutor["execute"] = (command) => {
    const request = asWitnessed(command);
    if (request === null) {
      if (command.kind === "list" && command.what === "daemons")
        return { ok: true, listing: { kind: "daemons" } };
      return {
        ok: true,
        listing: { kind: "services", info: { version: "1.2.1", size: 4096 }, services: [] },
      };
    }
    this.requests.push(request);
    if (this.requests.length - 1 !== this.#at) return { ok: true };
    return { ok: false, error: { code: this.#code, message: "" } };
  };
}

const LINES = [
  "-A -t 1.2.3.4:80 -s rr",
  "-a -t 1.2.3.4:80 -r 1.1.1.1:80 -g -w 3",
  "-e -t 1.2.3.4:80 -r 1.1.1.1 -w 3",
  "-d -t 1.2.3.4:80 -r 1.1.1.1",
  "-D -t 1.2.3.4:80",
  "-E -f 7 -6 -p",
  "ipvsadm -A -u [::1]:53 -o",
  "-C",
  "-C ipvsadm\r",
  "-Z",
  "-Z -f 3",
  "--set 1 2 3",
  "",
  " \t ",
  "ipvsadm",
  "-S",
  "-L",
  "-L --daemon",
];
const BAD_LINES = [
  "# no",
  "-z",
  "-A -z",
  "-A -t",
  "-A -t bad",
  "-a",
  "-R",
  "-A -t 1.2.3.4:80 x",
  "--set 1",
  "-Cx",
  '-A -t "1.2.3.4:80"',
  "-C\v",
];

describe.skipIf(!witnessAvailable)("--restore against the real ipvsadm", () => {
  const witness = new Witness();
  afterAll(() => witness.close());

  it("asks, complains and ends as it does, whatever the lines", { timeout: 110_000 }, async () => {
    const line = fc.oneof(
      { weight: 12, arbitrary: fc.constantFrom(...LINES) },
      fc.constantFrom(...BAD_LINES),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(line, { maxLength: 8 }),
        fc.nat(5),
        fc.constantFrom(...ERRNOS),
        fc.boolean(),
        async (lines, at, [code, errno], end) => {
          const stdin = lines.join("\n") + (end ? "\n" : "");
          const log = new Log(at, code);
          const mine = await run(log, ["-R"], stdin);
          // a kernel never refuses these two so, and ipvsadm would take the words of the command before
          fc.pre(!/^(12 |17)/.test(log.requests[at] ?? ""));
          const { requests, ...real } = witness.run(["-R"], { stdin, errno: `${errno}@${at}` });
          // ipvsadm's standard error is not buffered, its standard output is: only each by itself can be compared
          expect({ ...mine, requests: log.requests }).toEqual({ ...real, requests });
        },
      ),
      { numRuns: Number(process.env.RUNS ?? 600) },
    );
  });
});
