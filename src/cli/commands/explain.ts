/** `dr-director explain`: what becomes of a frame, and why. */
import { type Command, Option } from "commander";
import type { ExplainFlags } from "../explain-run.ts";
import { socketOption } from "../socket-option.ts";
import { whole } from "../whole-number.ts";

const more = (text: string, before: string[] = []): string[] => [...before, text];

const HELP = `
The frame is hex (an argument, or standard input), a packet of a capture by its number, or described:
  dr-director explain trace.pcap 12 --config director.yaml
  dr-director explain --from 203.0.113.7:40000 --to 10.0.0.100:80
  tcpdump -xx -c 1 port 80 | dr-director explain -

Without --config the running director is asked; explaining changes nothing in it.`;

export function register(program: Command): void {
  program
    .command("explain")
    .description(
      "tell what becomes of a frame and why: service, connection, scheduler, neighbour, verdict, bytes",
    )
    .argument("[frame]", "hex, - for standard input, or a pcap or pcapng file")
    .argument("[number]", "the packet's number in the file, from 1", whole(1, Number.MAX_SAFE_INTEGER))
    .option("--from <address:port>", "build a frame: the client")
    .option("--to <address:port>", "build a frame: the virtual service")
    .addOption(new Option("--protocol <name>", "of a built frame").choices(["tcp", "udp", "sctp", "icmp"]))
    .option("--flags <letters>", "TCP flags of a built frame: S, SA, A, F, R …")
    .option("--payload <bytes>", "data in a built frame", whole(0, 65_000))
    .option("--ttl <n>", "TTL of a built frame", whole(0, 255))
    .option("-c, --config <file>", "explain by this config alone, without a running director")
    .option("--mac <address>", "the director's MAC address, with --config")
    .option("--to-us", "give the frame the running director's MAC address first")
    .option("--alone", "do not play the capture's earlier packets first")
    .option("--scheduler <file>", "module that exports a scheduler; may be repeated", more)
    .option("--json", "print one JSON document (docs/explain-json.md)")
    .addOption(socketOption())
    .addHelpText("after", HELP)
    .action(async (frame: string | undefined, number: number | undefined, flags: ExplainFlags) => {
      const { runExplain } = await import("../explain-run.ts");
      process.exitCode = await runExplain(frame, number, flags);
    });
}
