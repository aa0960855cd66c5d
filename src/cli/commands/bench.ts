/** `dr-director bench`: what this machine's director carries, second by second, and what a frame costs it. */
import { type Command, Option } from "commander";
import type { BenchFlags } from "../bench-run.ts";
import { whole } from "../whole-number.ts";

export function register(program: Command): void {
  program
    .command("bench")
    .description("send load through a director in network namespaces: rate, loss, and CPU time of a frame")
    .addOption(
      new Option("--ring <kind>", "ring of the director")
        .choices(["packet", "xdp", "xdp!"])
        .default("packet"),
    )
    .addOption(
      new Option("--wait <how>", "what an idle shard does")
        .choices(["poll", "busy", "adaptive"])
        .default("poll"),
    )
    .option("--size <bytes>", "of a frame, without its checksum", whole(60, 1514), 60)
    .option("--flows <n>", "connections that the frames belong to", whole(1, 1_000_000), 1000)
    .option("--rate <n>", "frames a second; 0 for as many as go", whole(0, 10_000_000), 0)
    .option("--seconds <n>", "how long", whole(1, 3600), 5)
    .option("--json", "print one JSON document")
    .option("--plot <file>", "write an SVG picture")
    .addHelpText(
      "after",
      `
Needs root. Touches nothing outside its namespaces; generator and director take a core each.

Examples:
  dr-director bench --ring xdp --flows 100000
  dr-director bench --rate 100000 --seconds 30 --plot bench.svg`,
    )
    .action(async (flags: BenchFlags) => {
      const { runBenchCommand } = await import("../bench-run.ts");
      process.exitCode = await runBenchCommand(flags);
    });
}
