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
        web: flags.web,
      };
      process.exitCode = await runLab(options);
    });
}
