/** `dr-director import`: a state file from what `export` printed. */
import { resolve } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import type { ImportFlags } from "../state-run.ts";

function shardCount(text: string): number {
  const shards = Number(text);
  if (/^\d+$/.test(text) && shards >= 1 && shards <= 256) return shards;
  throw new InvalidArgumentError("a number from 1 to 256");
}

const more = (path: string, before: string[] = []): string[] => [...before, resolve(path)];

export function register(program: Command): void {
  program
    .command("import")
    .description("make a new state file of what export printed; start a director with it by run --state")
    .argument("<file>", "JSON lines; - for standard input")
    .requiredOption("--state <file>", "the state file to make; it must not be there yet")
    .option("--shards <n>", "for so many shards, not for as many as there were", shardCount)
    .option("--scheduler <file>", "module with a scheduler that a service names; may be repeated", more)
    .action(async (file: string, flags: ImportFlags) => {
      const { runImport } = await import("../state-run.ts");
      const { runClient } = await import("../client-program.ts");
      await runClient(() => runImport(file, flags));
    });
}
