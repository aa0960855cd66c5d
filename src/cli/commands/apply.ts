/** `dr-director apply FILE` */
import type { Command } from "commander";
import type { PlanFlags } from "../plan-run.ts";
import { socketOption } from "../socket-option.ts";

export function register(program: Command): void {
  program
    .command("apply")
    .description(
      "take a config over in the running director, as a difference: what stays keeps its connections",
    )
    .argument("<file>", "YAML or JSON config file; - for standard input")
    .addOption(socketOption())
    .option("--dry-run", "only show, as plan does")
    .option("--json", "print the commands as JSON")
    .option("--color", "in colours, also where it is no terminal")
    .option("--no-color", "without colours")
    .action(async (file: string, flags: PlanFlags) => {
      const { runApply } = await import("../plan-run.ts");
      const { runClient } = await import("../client-program.ts");
      await runClient(() => runApply(file, flags));
    });
}
