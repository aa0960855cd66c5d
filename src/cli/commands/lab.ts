/** `dr-director lab`: a whole cluster on this machine, the main job in it, and what came of it. */
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Config } from "../../control/config-schema.ts";
import type { StandOptions } from "../../lab/stand.ts";

interface LabFlags {
  once?: true;
  json?: true;
  keep?: true;
  shards: number;
  ring: Config["ring"]["kind"];
  scheduler?: string[];
  web: number | "off";
  fault?: string;
  doctor?: true;
  lesson?: string;
  answer?: string;
}

function webPort(text: string): number | "off" {
  const port = Number(text);
  if (text === "off") return text;
  if (!/^\d{1,5}$/.test(text) || port > 65_535) throw new InvalidArgumentError("a port, or off");
  return port;
}

function shardCount(text: string): number {
  const shards = Number(text);
  if (!Number.isInteger(shards) || shards < 1 || shards > 64)
    throw new InvalidArgumentError("a number from 1 to 64");
  return shards;
}

const more = (text: string, before: string[] = []): string[] => [...before, text];

export function register(program: Command): void {
  program
    .command("lab")
    .description("a client, a router, a switch, a director and three real servers in network namespaces")
    .option("--once", "end after the run; the exit code is 0 only if everything held")
    .option("--json", "print what was found as one JSON document (docs/lab-json.md); implies --once")
    .option("--keep", "leave the lab standing afterwards and print how to enter each namespace")
    .option("--shards <n>", "worker threads of the director", shardCount, 1)
    .addOption(
      new Option("--ring <kind>", "ring of the director")
        .choices(["packet", "xdp", "xdp!"])
        .default("packet"),
    )
    .option(
      "--scheduler <name|file>",
      "only this scheduler, or one from a module file; may be repeated",
      more,
    )
    .option("--web <port|off>", "port of the page on this machine's loopback; any by default", webPort, 0)
    .option("--fault <name>", "break one thing, show what clients notice, and mend it; list tells the names")
    .option("--doctor", "with --fault: has the doctor look for it")
    .option("--lesson <name>", "one idea, shown, and a question about it; list tells the names")
    .option("--answer <text>", "with --lesson: the answer, instead of being asked for it")
    .addHelpText("after", "\nNeeds root, or a machine that allows user namespaces. Touches nothing outside.")
    .action(async (flags: LabFlags) => {
      const part = await playedOnStage(flags);
      if (part !== undefined) {
        process.exitCode = part;
        return;
      }
      // Loaded here: the other commands need nothing of the lab.
      const { runLab } = await import("../../lab/stand.ts");
      const options: StandOptions = {
        once: flags.once === true || flags.json === true,
        json: flags.json === true,
        keep: flags.keep === true,
        shards: flags.shards,
        ring: flags.ring,
        schedulers: flags.scheduler ?? [],
        web: flags.web,
      };
      process.exitCode = await runLab(options);
    });
}

/** A fault or a lesson instead of the main job; undefined when neither was asked for. */
async function playedOnStage(flags: LabFlags): Promise<number | undefined> {
  const { fault, lesson, answer } = flags;
  const how = { once: flags.once === true, json: flags.json === true };
  if (lesson !== undefined) {
    const { runLesson } = await import("../../lab/lesson-show.ts");
    return runLesson({ name: lesson, ...how, ...(answer === undefined ? {} : { answer }) });
  }
  if (fault === undefined) return undefined;
  const { runFault } = await import("../../lab/fault-show.ts");
  return runFault({ name: fault, doctor: flags.doctor === true, ...how });
}
