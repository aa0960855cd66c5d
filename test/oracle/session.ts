/**
 * Replays recorded ipvsadm command lines, one after the other, and compares exit code, stdout and stderr byte for
 * byte. What this director refuses (masquerading, tunnelling) is refused with a sentence and exit code 2, and just
 * those servers' rows are then taken out of the recording.
 */
import { run } from "../cli/world.ts";
import { compareListing, type Leave } from "./listings.ts";
import type { Result } from "./replay.ts";
import type { Session } from "./scenario.ts";
import { sendTraffic } from "./traffic.ts";
import { World } from "./world.ts";

/** Seconds between the recorded traffic and the listings after it, about. */
const PAUSE = 5;
const LEAVE: Leave = { settled: true, doubled: 0, slack: 10, unsaid: new Set() };

const REFUSED = /^-a .* -[im]( |$)/;
const REFUSED_LINES = /^(?:-a .* -[im] .*)\n/gm;

interface Refused {
  /** The service's place as its row begins in a listing: "UDP  10.0.0.100:53". */
  readonly service: string;
  readonly server: string;
}

class SessionReplay {
  readonly result: Result = { decisions: 0, mismatches: [], skipped: 0, notCovered: undefined };
  readonly #world: World;
  #refused: Refused[] = [];

  constructor(session: Session, shards: number) {
    this.#world = new World(session.kernel, shards);
  }

  async run(commands: Session["commands"]): Promise<Result> {
    for (const [index, command] of commands.entries()) {
      const { traffic } = command as { traffic?: string };
      if (traffic === undefined) {
        await this.#command(index, command);
      } else if (sendTraffic(this.#world, traffic)) {
        this.#world.advance(this.#world.t + PAUSE);
      } else {
        this.result.notCovered = `traffic is described in words that are not understood: ${traffic}`;
        return this.result;
      }
    }
    return this.result;
  }

  async #command(index: number, step: Session["commands"][number]): Promise<void> {
    const argv = step.cmd.startsWith("ipvsadm-save") ? ["-S", ...step.argv] : step.argv;
    const line = argv.join(" ");
    const differences: string[] = [];
    const said = await run(this.#world.commands, argv, step.stdin?.replace(REFUSED_LINES, ""));
    if (REFUSED.test(line) && step.rc === 0) {
      this.#refuse(argv);
      if (said.rc !== 2 || said.stdout !== "" || said.stderr === "")
        differences.push(`was not refused: ${said.rc}`);
    } else {
      if (said.rc !== step.rc) differences.push(`exit code ${said.rc}, recorded ${step.rc}`);
      if (said.stderr !== step.stderr) differences.push(`stderr "${said.stderr}", recorded "${step.stderr}"`);
      differences.push(...this.#compare(argv, said.stdout, step.stdout));
    }
    this.result.decisions++;
    if (differences.length > 0)
      this.result.mismatches.push(`${index} ${step.cmd}: ${differences.join("; ")}`);
  }

  #refuse(argv: readonly string[]): void {
    const after = (...names: string[]): string =>
      argv[argv.findIndex((word) => names.includes(word)) + 1] ?? "";
    this.#refused = [...this.#refused, { service: after("-t", "-u", "-f"), server: after("-r") }];
  }

  #compare(argv: readonly string[], got: string, want: string): string[] {
    const listing = /^(?:IP Virtual Server|Prot LocalAddress)/.test(want);
    // A kernel's own order of services depends on a secret of its own.
    const tidy = argv.includes("--nosort") ? byService : (text: string): string => text;
    const ours = tidy(this.#withoutRefused(got));
    const theirs = tidy(this.#withoutRefused(want));
    if (listing && argv.includes("--stats")) return this.#compareStats(ours, theirs);
    return compareListing(argv, ours, theirs, LEAVE);
  }

  /** Numbers of a service with a refused server are others: its traffic went to those that are left. */
  #compareStats(got: string, want: string): string[] {
    const touched = (block: string): boolean => {
      const service = /^\w+ +(\S+)/.exec(block)?.[1];
      return service !== undefined && this.#refused.some((one) => one.service === numeric(service));
    };
    const kept = (text: string): string =>
      text
        .split(/^(?! {2}->)/m)
        .filter((block) => !touched(block))
        .join("");
    return compareListing(["--stats"], kept(got), kept(want), LEAVE);
  }

  /** Rows of servers that only masquerading and tunnelling reach, by what the command lines that made them said. */
  #withoutRefused(text: string): string {
    let service = "";
    const lines = text.split("\n").filter((line) => {
      const row = /^(TCP|UDP|SCTP|FWM) +(\S+)/.exec(line);
      if (row !== null) service = row[2]!;
      const server = /^ {2}-> (\S+) /.exec(line)?.[1];
      if (server !== undefined) return !/ (?:Tunnel|Masq) /.test(line) && !this.#isRefused(service, server);
      return !/^-a .* -[im] /.test(line);
    });
    return lines.join("\n");
  }

  #isRefused(service: string, server: string): boolean {
    return this.#refused.some((one) => {
      const port = one.server.includes(":") ? "" : `:${numeric(service).split(":").at(-1)}`;
      return numeric(service) === one.service && numeric(server) === one.server + port;
    });
  }
}

const NUMBERS: Readonly<Record<string, string>> = {
  "10.0.0.12": "rs2.example.com",
  "10.0.0.101": "vip2.example.com",
  ":53": ":domain",
  ":80": ":http",
  ":443": ":https",
  ":5060": ":sip",
  ":5353": ":mdns",
};

/** "rs2.example.com:domain" as "10.0.0.12:53", as far as the recordings have names. */
function numeric(endpoint: string): string {
  let text = endpoint;
  for (const [number, name] of Object.entries(NUMBERS)) {
    if (name.startsWith(":") ? text.endsWith(name) : text.startsWith(name)) text = text.replace(name, number);
  }
  return text;
}

/** The listing's services in alphabetical order, their servers as they are. */
function byService(text: string): string {
  return text
    .split(/^(?! {2}->)/m)
    .sort()
    .join("");
}

export async function replaySession(session: Session, shards = 1): Promise<Result> {
  return new SessionReplay(session, shards).run(session.commands);
}
