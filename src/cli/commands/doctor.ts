/** `dr-director doctor`: what breaks direct routing here, and the cure. */
import { type Command, InvalidArgumentError } from "commander";
import type { DoctorFlags } from "../doctor-run.ts";
import { socketOption } from "../socket-option.ts";

function milliseconds(text: string): number {
  const value = Number(text);
  if (!/^\d{1,5}$/.test(text) || value < 10) throw new InvalidArgumentError("a number from 10 to 99999");
  return value;
}

export function register(program: Command): void {
  program
    .command("doctor")
    .description("find what breaks direct routing on this host and its link, and print the cure")
    .option("-c, --config <file>", "the director's config")
    .addOption(socketOption())
    .option("-i, --interface <name>", "instead of the config's")
    .option(
      "--patience <ms>",
      "how long an answer may take; each question is asked three times",
      milliseconds,
      300,
    )
    .option("--json", "print one JSON document")
    .addHelpText(
      "after",
      `
Run it on the director's host, as the director's user. It asks the running director what it knows (--socket), looks at
the host, and asks the real servers with ARP, ping and SYN from the director's own address. It changes nothing.
Exit code: 0 all is well, 1 something is wrong, 2 it could not examine anything.`,
    )
    .action(async (flags: DoctorFlags) => {
      const { runDoctor } = await import("../doctor-run.ts");
      process.exitCode = await runDoctor(flags);
    });
}
