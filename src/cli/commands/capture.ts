/** `dr-director capture`: frames of a running director, as they come and go, with what became of them. */
import { type Command, Option } from "commander";
import { size, verdicts } from "../capture-options.ts";
import type { CaptureCommandFlags } from "../capture-run.ts";
import { socketOption } from "../socket-option.ts";
import { whole } from "../whole-number.ts";

const HELP = `
Each packet has a comment: its verdict, service, real server and connection. Ctrl-C ends the capture.
  dr-director capture -w - | tshark -r - -T fields -e frame.comment
  dr-director capture -w trace.pcapng -C 10M -W 5 --service "tcp 10.0.0.100:80"
  dr-director capture -w lost.pcapng --verdict dropped -c 100`;

export function register(program: Command): void {
  program
    .command("capture")
    .description(
      "write frames of the running director as pcapng, received and sent, with verdicts as comments",
    )
    .requiredOption("-w, --write <file>", "where to; - for standard output")
    .addOption(new Option("-C, --size <size>", "of a file at the most; 100 MB by default").argParser(size))
    .addOption(
      new Option(
        "-W, --files <n>",
        "so many files in turn, the oldest overwritten; one by default",
      ).argParser(whole(1, 10_000)),
    )
    .addOption(new Option("-c, --count <n>", "packets, then the end").argParser(whole(1, 2 ** 52)))
    .addOption(new Option("-s, --snap <bytes>", "of each frame at the most").argParser(whole(14, 65_535)))
    .option("--service <name>", 'only this service: "tcp 10.0.0.100:80", "fwm 7"')
    .option("--client <network>", "only clients of this network, as 203.0.113.0/24")
    .addOption(new Option("--verdict <names>", "only these verdicts, or dropped").argParser(verdicts))
    .addOption(socketOption())
    .addHelpText("after", HELP)
    .action(async (given: Given) => {
      const { runCapture } = await import("../capture-run.ts");
      const { runClient } = await import("../client-program.ts");
      await runClient(() => runCapture(flagsOf(given)));
    });
}

interface Given {
  write: string;
  size?: number;
  files?: number;
  count?: number;
  snap?: number;
  service?: string;
  client?: string;
  verdict?: string[];
  socket?: string;
}

function flagsOf(given: Given): CaptureCommandFlags {
  const { write, socket, size, files, count, snap, service, client, verdict } = given;
  const all = {
    write,
    socket,
    captureSize: size,
    captureFiles: files,
    captureCount: count,
    captureSnap: snap,
    captureService: service,
    captureClient: client,
    captureVerdict: verdict,
  };
  const entries = Object.entries(all).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as unknown as CaptureCommandFlags;
}
