/** `dr-director plan FILE` */
import type { Command } from "commander";
import type { PlanFlags } from "../plan-run.ts";
import { socketOption } from "../socket-option.ts";

export function register(program: Command): void {
  program
    .command("plan")
    .description(
      "show what a config would change in the running director; exit code 0 nothing, 2 changes, 1 an error",
    )
    .argument("<file>", "YAML or JSON config file; - for standard input")
    .addOption(socketOption())
    .option("--json", "print the commands as JSON")
    .option("--color", "in colours, also where it is no terminal")
    .option("--no-color", "without colours")
    .action(async (file: string, flags: PlanFlags) => {
      const { runPlan } = await import("../plan-run.ts");
      const { runClient } = await import("../client-program.ts");
      await runClient(() => runPlan(file, flags));
    });
}
