/** `dr-director top`: services, real servers, rates and verdicts of the running director. */
import { type Command, InvalidArgumentError } from "commander";
import { socketOption } from "../socket-option.ts";
import type { TopFlags } from "../top/top.ts";

function number(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+(\.\d+)?$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`a number from ${least} to ${most}`);
  };
}

export function register(program: Command): void {
  program
    .command("top")
    .description("watch services, real servers, rates and verdicts; plain text when it is no terminal")
    .addOption(socketOption())
    .option("--once", "one look as plain text")
    .option("--interval <seconds>", "between two looks", number(0.1, 3600))
    .option("--count <n>", "end after so many looks", number(1, 1_000_000_000))
    .action(async (flags: TopFlags) => {
      const { runTop } = await import("../top/top.ts");
      const { runClient } = await import("../client-program.ts");
      await runClient(() => runTop(flags));
    });
}
