/** `dr-director convert`: services from one way of writing them to another. */
import { readFileSync } from "node:fs";
import { type Command, Option } from "commander";
import type { Format } from "../convert/convert.ts";

interface ConvertFlags {
  from?: Format;
  to?: "yaml" | "rules";
  strict?: true;
}

export function register(program: Command): void {
  program
    .command("convert")
    .description(
      "turn rules (ipvsadm -S -n) or keepalived's virtual servers into a config file, or a config into rules",
    )
    .argument("<file>", "what to convert; - for standard input")
    .addOption(
      new Option("--from <format>", "what the file is; guessed by default").choices([
        "rules",
        "yaml",
        "keepalived",
      ]),
    )
    .addOption(
      new Option("--to <format>", "default yaml, or rules for a config file").choices(["yaml", "rules"]),
    )
    .option("--strict", "exit code 2 when something could not be carried over")
    .addHelpText("after", "\nWhat cannot be carried over is told on standard error, by line.")
    .action(async (file: string, flags: ConvertFlags) => {
      process.exitCode = await run(file, flags);
    });
}

async function run(file: string, flags: ConvertFlags): Promise<number> {
  const { convert, guessFormat } = await import("../convert/convert.ts");
  const { SystemNames } = await import("../names.ts");
  const name = file === "-" ? "standard input" : file;
  try {
    const text = readFileSync(file === "-" ? 0 : file, "utf8");
    const from = flags.from ?? guessFormat(text);
    const to = flags.to ?? (from === "yaml" ? "rules" : "yaml");
    const done = await new SystemNames().withLookup((lookup) => convert(text, name, { from, to }, lookup));
    for (const { line, message } of done.notes) process.stderr.write(`${name}:${line}: ${message}\n`);
    process.stdout.write(done.text);
    return flags.strict === true && done.notes.length > 0 ? 2 : 0;
  } catch (error) {
    const { name: kind, message } = error as Error;
    process.stderr.write(kind === "ConfigError" ? `${message}\n` : `${name}: ${message}\n`);
    return 1;
  }
}
