/** `dr-director run`: the daemon. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Config } from "../../control/config.ts";
import type { DirectorCommand } from "../../control/model.ts";
import { size, verdicts } from "../capture-options.ts";
import type { DaemonCaptureFlags } from "../daemon-capture.ts";
import { whole } from "../whole-number.ts";

export interface RunFlags extends DaemonCaptureFlags {
  interface?: string;
  config?: string;
  rules?: string;
  socket?: string;
  state?: string;
  metrics?: string;
  web?: string;
  shards?: number;
  cpus?: number[];
  ring?: Config["ring"]["kind"];
  wait?: Config["ring"]["wait"];
  silence?: Config["silence"];
  log?: Config["log"];
  scheduler?: string[];
  takeover?: true;
}

function integer(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError("a number");
  return Number(text);
}

const more = (text: string, before: string[] = []): string[] => [...before, text];
const numbers = (text: string): number[] => text.split(",").map(integer);

export function register(program: Command): void {
  program
    .command("run")
    .description("the director: take frames for the virtual services and send them to the real servers")
    .option("-i, --interface <name>", "where frames come from and go to")
    .option("-c, --config <file>", "YAML or JSON config file; SIGHUP reads it again")
    .option("--rules <file>", "services as `ipvsadm -S -n` prints them")
    .addOption(new Option("--socket <path>", "control socket").env("DR_DIRECTOR_SOCKET"))
    .option("--state <path>", "state file, or none to keep the state in memory")
    .option("--metrics <address>", "serve Prometheus metrics there, as 127.0.0.1:9107 or 9107")
    .option("--web <address>", "serve the page there, to look at only, as 127.0.0.1:8080 or 8080")
    .option("--shards <n>", "worker threads", integer)
    .option("--cpus <list>", "CPUs the shards are pinned to, as 0,1", numbers)
    .addOption(new Option("--ring <kind>", "ring").choices(["packet", "xdp", "xdp!"]))
    .addOption(new Option("--wait <way>", "what an idle shard does").choices(["poll", "busy", "adaptive"]))
    .addOption(new Option("--silence <mode>", "the host's own stack").choices(["auto", "require", "off"]))
    .addOption(
      new Option("--log <level>", "the least that is logged").choices([
        "trace",
        "debug",
        "info",
        "warn",
        "error",
      ]),
    )
    .option("--takeover", "take over from the running director on this socket, without losing a frame")
    .option("--scheduler <file>", "module that exports a scheduler; may be repeated", more)
    .option("--capture <file>", "write frames, received and sent, as pcapng with verdicts as comments")
    .addOption(
      new Option("--capture-size <size>", "of a file at the most; 100 MB by default").argParser(size),
    )
    .addOption(
      new Option("--capture-files <n>", "so many files in turn; one by default").argParser(whole(1, 10_000)),
    )
    .addOption(new Option("--capture-count <n>", "packets at the most").argParser(whole(1, 2 ** 52)))
    .addOption(new Option("--capture-snap <bytes>", "of each frame").argParser(whole(14, 65_535)))
    .option("--capture-service <name>", 'only this service: "tcp 10.0.0.100:80"')
    .option("--capture-client <network>", "only clients of this network")
    .addOption(new Option("--capture-verdict <names>", "only these verdicts, or dropped").argParser(verdicts))
    .addHelpText(
      "after",
      "\nSignals: TERM, INT end it; HUP reads the config again; USR1 prints the counters.",
    )
    .action(async (flags: RunFlags) => {
      const { runDaemon } = await import("../daemon.ts");
      process.exitCode = await runDaemon(flags);
    });
}

/** The config file (or none) with the command line's words over it. Throws ConfigError, or an Error to print. */
export async function readConfig(flags: RunFlags): Promise<Config> {
  const { defaultConfig, parseConfig } = await import("../../control/config.ts");
  const config =
    flags.config === undefined
      ? defaultConfig()
      : parseConfig(readFileSync(flags.config, "utf8"), flags.config);
  const { interface: name, socket, state, metrics, shards, cpus, silence, log } = flags;
  const given = { interface: name, socket, state, metrics, shards, cpus, silence, log };
  const ring = { ...config.ring, ...defined({ kind: flags.ring, wait: flags.wait }) };
  return { ...config, ...defined(given), ring };
}

/** A rules file's commands; throws an Error that names every line that is wrong. */
export async function readRules(file: string | undefined): Promise<DirectorCommand[]> {
  if (file === undefined) return [];
  const { parseRules } = await import("../rules.ts");
  const { SystemNames } = await import("../names.ts");
  const text = readFileSync(file, "utf8");
  const { rules, errors } = await new SystemNames().withLookup((lookup) => parseRules(text, lookup));
  if (errors.length > 0) {
    throw new Error(errors.map(({ line, message }) => `${file}:${line}: ${message}`).join("\n"));
  }
  return rules.map(({ command }) => command);
}

export function schedulerPaths(flags: RunFlags): string[] {
  return (flags.scheduler ?? []).map((path) => resolve(path));
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

function defined<T extends object>(values: T): Defined<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<T>;
}
