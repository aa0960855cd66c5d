/** `dr-director proc FILE`: what /proc/net/ip_vs and /proc/net/ip_vs_stats would say if this were a kernel director. */
import { Argument, type Command } from "commander";
import { socketOption } from "../socket-option.ts";

export function register(program: Command): void {
  program
    .command("proc")
    .description("print what a kernel director shows in /proc/net, for exporters and scripts that read it")
    .addArgument(new Argument("<file>").choices(["ip_vs", "ip_vs_stats"]))
    .addOption(socketOption())
    .action(async (file: string, { socket }: { socket?: string }) => {
      const { ApiClient } = await import("../api-client.ts");
      const { pipe, runClient } = await import("../client-program.ts");
      await runClient(async () => pipe(await new ApiClient(socket).get(`/v1/proc/${file}`)));
    });
}
