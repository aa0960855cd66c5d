import { readFileSync } from "node:fs";
import { EXIT_BROKEN_PIPE, unwritable } from "./broken-pipe.ts";
import { DRADM_HELP } from "./dradm-help.ts";
import { runIpvsadm, type Surroundings } from "./ipvsadm-run.ts";
import { SystemNames } from "./names.ts";
import { DEFAULT_SOCKET, SocketClient } from "./socket-client.ts";
import { textLines } from "./text-lines.ts";

/** Longest line of --restore; ipvsadm itself cuts lines into pieces at 4096. */
const LONGEST_RULE = 1 << 20;

/**
 * Runs a command line of dradm's against the director's control socket; the exit code. `rules` replaces standard
 * input, `names` spares a second reading of /etc/services.
 */
export async function dradm(
  argv: readonly string[],
  options: { rules?: string; names?: SystemNames } = {},
): Promise<number> {
  const { socket, rest } = takeSocket(argv);
  if (socket === "") {
    complain("--socket: missing argument\n");
    return 255;
  }
  const names = options.names ?? new SystemNames();
  const { rules } = options;
  const world: Surroundings = {
    director: new SocketClient(socket ?? (process.env.DR_DIRECTOR_SOCKET || DEFAULT_SOCKET)),
    withLookup: (parse) => names.withLookup(parse),
    namesFor: (addresses) => names.namesFor(addresses),
    print,
    complain,
    lines: () => (rules === undefined ? textLines(process.stdin, LONGEST_RULE) : linesOf(rules)),
    help: () => versionLine() + DRADM_HELP,
    version: versionLine,
  };
  return runIpvsadm(rest, world);
}

/** Takes --socket out of the arguments: all others are ipvsadm's. Null if it is not there, "" if it has no value. */
export function takeSocket(argv: readonly string[]): { socket: string | null; rest: string[] } {
  const at = argv.findIndex((word) => word === "--socket" || word.startsWith("--socket="));
  if (at < 0) return { socket: null, rest: [...argv] };
  const word = argv[at]!;
  const joined = word.startsWith("--socket=");
  const socket = joined ? word.slice("--socket=".length) : (argv[at + 1] ?? "");
  return { socket, rest: [...argv.slice(0, at), ...argv.slice(at + (joined ? 1 : 2))] };
}

/** Begins as ipvsadm's does, for scripts that look for a version there. */
function versionLine(): string {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  return `ipvsadm v1.31 command line of dr-director ${version} (IPVS v1.2.1)\n`;
}

async function* linesOf(text: string): AsyncGenerator<string> {
  yield* text.split("\n");
}

export function print(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    if (text === "") resolve();
    else process.stdout.write(text, (error) => (error ? reject(error) : resolve()));
  });
}

export function complain(text: string): void {
  process.stderr.write(text);
}

/** Ends the process as a C program would: 141 when nobody reads its output any more, 2 with one line if it fails. */
export async function runProgram(main: () => Promise<number>): Promise<void> {
  const brokenPipe = (error: NodeJS.ErrnoException): void => {
    if (error.code === "EPIPE") process.exit(EXIT_BROKEN_PIPE);
    unwritable("dradm", error);
  };
  process.stdout.on("error", brokenPipe);
  process.stderr.on("error", () => process.exit(EXIT_BROKEN_PIPE));
  try {
    process.exitCode = await main();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EPIPE") process.exit(EXIT_BROKEN_PIPE);
    complain(`${(error as Error).message}\n`);
    process.exitCode = 2;
  }
}
