/** `dr-director replay`: captures through the director's core, with their own times, no root and no network. */
import type { Command } from "commander";
import type { ReplayFlags } from "../replay-run.ts";

const more = (text: string, before: string[] = []): string[] => [...before, text];

const HELP = `
Every real server is taken to answer ARP; frames whose destination MAC address is not the director's are not its.
Exit code 0: all was read. 1: something could not be. 3: a capture is cut off or damaged and was read only in part.`;

export function register(program: Command): void {
  program
    .command("replay")
    .description("play captures through the director's core: what became of each frame, and what went out")
    .argument("<capture...>", "pcap (microseconds, nanoseconds, any byte order) or pcapng files")
    .requiredOption("-c, --config <file>", "the director's config")
    .option(
      "-o, --out <file>",
      "write what goes out as pcapng, with comments; a folder when there are several captures",
    )
    .option("--all", "write the received frames too, each with its verdict")
    .option(
      "--mac <address>",
      "the director's MAC address; else whom frames to a virtual address are sent to",
    )
    .option("--scheduler <file>", "module that exports a scheduler; may be repeated", more)
    .option("--json", "print one JSON document")
    .addHelpText("after", HELP)
    .action(async (files: string[], flags: ReplayFlags) => {
      const { runReplay } = await import("../replay-run.ts");
      process.exitCode = await runReplay(files, flags);
    });
}
