/** The program's grammar: its subcommands stand in commands/, one file each, and are loaded from there. */
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { version } from "./version.ts";

interface CommandModule {
  register(program: Command): void;
}

/** The whole grammar; scripts/documents.mjs makes the man page and the completions of it. */
export async function buildProgram(): Promise<Command> {
  const program = new Command("dr-director")
    .description("A userspace LVS-DR director: kernel IPVS's decisions, explained frame by frame")
    .version(version())
    .showHelpAfterError("(dr-director --help tells more)")
    .enablePositionalOptions();
  const folder = new URL("./commands/", import.meta.url);
  for (const file of readdirSync(fileURLToPath(folder)).sort()) {
    if (!/^[a-z-]+\.js$/.test(file)) continue;
    const { register } = (await import(new URL(file, folder).href)) as CommandModule;
    register(program);
  }
  return program;
}
