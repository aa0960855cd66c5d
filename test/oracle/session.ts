/**
 * Replays recorded ipvsadm command lines, one after the other, and compares exit code, stdout and stderr byte for
 * byte. What this director refuses (masquerading, tunnelling, the synchronization daemon) is refused with a sentence and exit code 2, and just
 * those servers' rows are then taken out of the recording.
 */
import { run } from "../cli/world.ts";
import { compareListing, type Leave } from "./listings.ts";
import { Refused } from "./refused.ts";
import type { Result } from "./replay.ts";
import type { Session } from "./scenario.ts";
import { sendTraffic } from "./traffic.ts";
import { World } from "./world.ts";

/** Seconds between the recorded traffic and the listings after it, about. */
const PAUSE = 5;
const LEAVE: Leave = { settled: true, doubled: 0, slack: 10, unsaid: new Set() };

class SessionReplay {
  readonly result: Result = { decisions: 0, mismatches: [], skipped: 0, notCovered: undefined };
  readonly #world: World;
  readonly #refused = new Refused();
  /** Traffic was sent that is described in words that are not understood. */
  #unheard = false;

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
        // Listings after it say what it was; exit codes and complaints do not.
        this.#unheard = true;
        this.result.skipped++;
      }
    }
    return this.result;
  }

  async #command(index: number, step: Session["commands"][number]): Promise<void> {
    const argv = step.cmd.startsWith("ipvsadm-save") ? ["-S", ...step.argv] : step.argv;
    const differences: string[] = [];
    const stdin = step.stdin === undefined ? undefined : this.#refused.withoutRules(step.stdin);
    const said = await run(this.#world.commands, argv, stdin);
    if (step.rc === 0 && this.#refused.take(argv)) {
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

  #compare(argv: readonly string[], got: string, want: string): string[] {
    if (this.#refused.daemon && argv.includes("--daemon")) return [];
    if (this.#unheard && isListing(argv)) return [];
    // A kernel's own order of services depends on a secret of its own.
    const tidy = argv.includes("--nosort") ? byService : (text: string): string => text;
    let ours = tidy(this.#refused.withoutRows(got));
    let theirs = tidy(this.#refused.withoutRows(want));
    if (argv.includes("--stats")) {
      ours = this.#refused.withoutServices(ours);
      theirs = this.#refused.withoutServices(theirs);
    }
    return compareListing(argv, ours, theirs, LEAVE);
  }
}

function isListing(argv: readonly string[]): boolean {
  return argv.some((word) => word === "--list" || /^-[a-zA-Z]*L/.test(word));
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
