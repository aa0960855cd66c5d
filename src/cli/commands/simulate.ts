/** `dr-director simulate`: a scheduler tried out on made-up or captured connections, without a network. */
import { type Command, InvalidArgumentError, Option } from "commander";
import type { SimulateFlags } from "../simulation-run.ts";

function numberFrom(least: number, most: number, whole: boolean): (text: string) => number {
  return (text) => {
    const value = Number(text);
    const sound = /^\d+(\.\d+)?$/.test(text) && value >= least && value <= most;
    if (!sound || (whole && !Number.isInteger(value))) {
      throw new InvalidArgumentError(`${whole ? "a whole number" : "a number"} from ${least} to ${most}`);
    }
    return value;
  };
}

/** "3,2,1" */
function weights(text: string): number[] {
  const list = text.split(",").map(numberFrom(0, 65_535, true));
  if (list.length > 256) throw new InvalidArgumentError("at most 256 servers");
  return list;
}

/** "rs2@30" or "2": which server goes, and after how many seconds. */
function removal(text: string): { server: number; at?: number } {
  const match = /^(?:rs)?([1-9]\d{0,2})(?:@(\d+(?:\.\d+)?)s?)?$/.exec(text);
  if (match === null) throw new InvalidArgumentError("a server and perhaps a time, as rs2 or rs2@30");
  const server = Number(match[1]) - 1;
  return match[2] === undefined ? { server } : { server, at: Number(match[2]) * 1000 };
}

const more = (text: string, before: string[] = []): string[] => [...before, ...text.split(",")];

export function register(program: Command): void {
  program
    .command("simulate")
    .description(
      "try a scheduler out: how it shares connections out, how evenly, and what a removal disturbs",
    )
    .requiredOption("-s, --scheduler <name|file>", "built-in name, all, or a module; may be repeated", more)
    .option("-b, --sched-flags <flags>", "as ipvsadm's: sh-port, sh-fallback, mh-port, mh-fallback")
    .addOption(
      new Option("-w, --weights <list>", "the servers' weights, rs1 first")
        .argParser(weights)
        .default([3, 2, 1], "3,2,1"),
    )
    .option(
      "--remove <server[@seconds]>",
      "delete this server on the way (half-way when no time is given)",
      removal,
    )
    .option("--connections <n>", "how many", numberFrom(1, 10_000_000, true), 10_000)
    .option("--rate <n>", "connections a second", numberFrom(0.001, 10_000_000, false), 100)
    .option(
      "--duration <seconds>",
      "how long a connection is active on average",
      numberFrom(0, 1_000_000, false),
      10,
    )
    .option("--clients <n>", "different clients", numberFrom(1, 16_000_000, true), 1000)
    .option("--addresses <n>", "virtual addresses of the service", numberFrom(1, 65_536, true), 1)
    .option("--seed <n>", "another seed, other connections", numberFrom(0, 2 ** 31 - 1, true), 1)
    .option("--from <capture>", "take the connections from a pcap or pcapng file instead")
    .option("--vip <address[:port]>", "of the capture only what goes there")
    .option("--json", "print one JSON document")
    .option("--plot <file>", "write an SVG picture")
    .addHelpText(
      "after",
      `
Examples:
  dr-director simulate -s wlc --remove rs2@50
  dr-director simulate -s sh -s mh --weights 1,1,1,1,1 --remove 3
  dr-director simulate -s ./rendezvous.js --plot rendezvous.svg`,
    )
    .action(async (flags: SimulateFlags) => {
      const { runSimulation } = await import("../simulation-run.ts");
      process.exitCode = await runSimulation(flags);
    });
}
