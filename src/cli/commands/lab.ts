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
    .addHelpText("after", "\nNeeds root, or a machine that allows user namespaces. Touches nothing outside.")
    .action(async (flags: LabFlags) => {
      // Loaded here: the other commands need nothing of the lab.
      const { runLab } = await import("../../lab/stand.ts");
      const options: StandOptions = {
        once: flags.once === true || flags.json === true,
        json: flags.json === true,
        keep: flags.keep === true,
        shards: flags.shards,
        ring: flags.ring,
        schedulers: flags.scheduler ?? [],
      };
      process.exitCode = await runLab(options);
    });
}
