/** `dr-director export`: services, real servers, connections, templates and counters as JSON lines. */
import type { Command } from "commander";
import { socketOption } from "../socket-option.ts";
import type { ExportFlags } from "../state-run.ts";

export function register(program: Command): void {
  program
    .command("export")
    .description("print the state as JSON lines: services, real servers, connections, templates, counters")
    .addOption(socketOption())
    .option("--state <file>", "of this state file instead of the running director")
    .action(async (flags: ExportFlags) => {
      const { runExport } = await import("../state-run.ts");
      const { runClient } = await import("../client-program.ts");
      await runClient(() => runExport(flags));
    });
}
