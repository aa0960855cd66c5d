import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { parseIpvsadm } from "../../src/cli/ipvsadm-grammar.ts";
import { UsageError } from "../../src/cli/usage-error.ts";
import type { DirectorCommand, IpvsadmCommand } from "../../src/control/model.ts";
import { asWitnessed, Witness, witnessAvailable } from "./witness.ts";

const SERVICES: Record<string, number> = {
  "http/tcp": 80,
  "www/tcp": 80,
  "https/tcp": 443,
  "domain/udp": 53,
  "domain/tcp": 53,
  "tftp/udp": 69,
  "amqp/sctp": 5672,
  "amqp/tcp": 5672,
};
const LOOKUP = {
  host: (name: string) => (name === "localhost" ? "127.0.0.1" : null),
  port: (name: string, protocol: string) => SERVICES[`${name}/${protocol}`] ?? null,
};

const COMMANDS = [
  "-A",
  "-E",
  "-D",
  "-C",
  "-L",
  "-l",
  "-a",
  "-e",
  "-d",
  "-S",
  "-Z",
  "--set",
  "-R",
  "--add-service",
  "--edit-server",
  "--list",
  "--clear",
  "--zero",
  "--save",
  "--delete-service",
  "-At",
  "-Ln",
  "-Lc",
  "-Sn",
  "-ag",
  "--add",
  "-A=1",
  "--start-daemon",
];
const FLAGS = [
  "-n",
  "-g",
  "-i",
  "-m",
  "-c",
  "-o",
  "-6",
  "--timeout",
  "--daemon",
  "--stats",
  "--rate",
  "--thresholds",
  "--persistent-conn",
  "--nosort",
  "--sort",
  "--exact",
  "--tun-info",
  "--tun-nocsum",
  "--tun-csum",
  "--tun-remcsum",
  "-p",
  "-ng",
  "-gn",
  "-gw3",
  "-op",
  "-op5",
  "-n=1",
  "-z",
  "--bogus",
  "-",
  "--",
  "-A",
  "-L",
  "-pt",
  "--persistent",
  "-oz",
  "--numeric",
  "--numeric=",
  "---",
];
const WITH = [
  "-t",
  "-u",
  "--sctp-service",
  "-f",
  "-s",
  "--scheduler",
  "--pe",
  "-p",
  "-M",
  "-r",
  "-w",
  "-x",
  "-y",
  "-b",
  "--weight",
  "--persistent",
  "--tun-type",
  "--tun-port",
  "--tcp-service",
  "--syncid",
  "--mcast-port",
  "--mcast-ttl",
  "--sync-maxlen",
  "--real-server",
  "--set",
];
const VALUES = [
  "1.2.3.4:80",
  "1.2.3.4",
  "1.2.3.4:0",
  "[2001:db8::1]:80",
  "2001:db8::1",
  "[::1]:http",
  "1.2.3.4:http",
  "1.2.3.4:domain",
  "1.2.3.4:tftp",
  "1.2.3.4:amqp",
  "localhost:80",
  "nosuch.invalid:80",
  "1.2.3.4:",
  ":80",
  "0x7f000001:80",
  "010.1.1.1:80",
  "1.2:80",
  "[1.2.3.4]:80",
  "[80]:80",
  "80",
  "",
  "0",
  "1",
  "3",
  "03",
  "+3",
  " 3",
  "-1",
  "3x",
  "2147483647",
  "2147483648",
  "4294967295",
  "4294967296",
  "65535",
  "65536",
  "2678400",
  "2678401",
  "rr",
  "wlc",
  "sh",
  "mh",
  "averyveryverylongname",
  "sip",
  "24",
  "64",
  "128",
  "129",
  "255.255.255.0",
  "255.0",
  "sh-port",
  "mh-fallback,mh-port",
  "sh-fallback,sh-port",
  "flag-1,flag-3",
  "nosuchflag",
  "mh-port,,flag-2",
  "ipip",
  "gue",
  "gre",
  "master",
  "backup",
  "1.2.3.4 x:80",
  "::ffff:1.2.3.4",
  "[::ffff:1.2.3.4]:7",
  "64x",
];

const value = fc.constantFrom(...VALUES);
const word = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...FLAGS).map((flag) => [flag]) },
  { weight: 8, arbitrary: fc.tuple(fc.constantFrom(...WITH), value).map(([option, text]) => [option, text]) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom(...WITH), value)
      .map(([option, text]) => [`${option}${option.startsWith("--") ? "=" : ""}${text}`]),
  },
  { weight: 1, arbitrary: value.map((text) => [text]) },
);
/** Lines that are nearly right, so that many get past the first check. */
const line = fc.oneof(
  fc
    .tuple(fc.constantFrom(...COMMANDS), fc.array(word, { maxLength: 5 }))
    .map(([first, rest]) => [first, ...rest.flat()]),
  fc
    .tuple(
      fc.constantFrom("-A", "-E", "-D", "-Z", "-L"),
      fc.constantFrom("-t", "-u", "-f", "--sctp-service"),
      value,
      fc.array(word, { maxLength: 4 }),
    )
    .map(([first, option, text, rest]) => [first, option, text, ...rest.flat()]),
  fc
    .tuple(
      fc.constantFrom("-a", "-e", "-d"),
      fc.constantFrom("-t", "-u", "-f"),
      value,
      value,
      fc.array(word, { maxLength: 4 }),
    )
    .map(([first, option, text, server, rest]) => [first, option, text, "-r", server, ...rest.flat()]),
);

interface Outcome {
  rc: number;
  stderr: string;
  requests: string[];
}

const ours = (argv: string[]): Outcome & { command?: IpvsadmCommand } => {
  try {
    const command = parseIpvsadm(argv, LOOKUP);
    const request = asWitnessed(command as DirectorCommand);
    return { rc: 0, stderr: "", requests: request === null ? [] : [request], command };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return { rc: error.exitCode, stderr: `${error.message}\n`, requests: [] };
  }
};

describe.skipIf(!witnessAvailable)("the grammar against the real ipvsadm", () => {
  const witness = new Witness();
  afterAll(() => witness.close());

  it("asks the kernel for the same, or complains in the same words, whatever is typed", {
    timeout: 110_000,
  }, () => {
    fc.assert(
      fc.property(line, (argv) => {
        // popt takes another word for this one, which nobody types; a daemon and tunnel types are not modelled
        fc.pre(!argv.some((text) => text.includes("!#:+")));
        const mine = ours(argv);
        const kind = mine.command?.kind;
        // tunnel types and the sync daemon are refused before they would be carried out
        fc.pre(kind !== "startDaemon" && !argv.some((text) => /^--tun-/.test(text) && mine.rc === 0));
        const real = witness.run(argv);
        // the list's own failures are the format test's matter
        if (kind === "list" || kind === "help" || kind === "version") return;
        if (argv.includes("-b") && real.rc === -1) return;
        expect({ argv, rc: mine.rc, stderr: mine.stderr, requests: mine.requests }).toEqual({
          argv,
          rc: real.rc,
          stderr: real.stderr,
          requests: real.requests,
        });
      }),
      { numRuns: Number(process.env.RUNS ?? 1500) },
    );
  });
});
