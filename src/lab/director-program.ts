/** `dr-director run` in the lab's director namespace, with a config of ours, and what it says. */
import { writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import type { ConfigInput } from "../control/config-schema.ts";
import { built } from "./built.ts";
import type { Lab } from "./lab.ts";
import type { Program } from "./program.ts";

/** Frames received and what became of them. */
export interface VerdictCounters {
  received: number;
  /** By verdict's name (dataplane/verdict.ts). */
  verdicts: Record<string, number>;
  /** Which path its rings really got: "af_packet", "af_xdp native copy". */
  ring: string;
  /** Frames that the kernel dropped before the rings. */
  ringDrops: number;
  shards: { received: number }[];
}

export interface DirectorProgramOptions {
  /** Where its config file, state and control socket go. */
  folder: string;
  /** Module files that register schedulers. */
  schedulers?: readonly string[];
  /** Takes over from the one that runs in this folder. */
  takeover?: boolean;
  /** More words of the command line. */
  words?: readonly string[];
  /** Serves the page there (run --web). */
  web?: string;
}

/** GET, or POST when there is a body. */
function exchange(socketPath: string, path: string, body?: unknown): Promise<string> {
  const method = body === undefined ? "GET" : "POST";
  const headers = { "content-type": "application/json" };
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, method, headers, timeout: 5_000 }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => (text += piece));
      response.on("end", () => {
        if (response.statusCode === 200) resolve(text);
        else reject(new Error(`${method} ${path}: ${response.statusCode} ${text}`));
      });
    });
    sent.on("timeout", () => sent.destroy(new Error(`${method} ${path}: no answer from the director`)));
    sent.on("error", reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

export class DirectorProgram {
  readonly program: Program;
  readonly socket: string;
  readonly #configFile: string;
  readonly #fixed: ConfigInput;

  private constructor(program: Program, configFile: string, fixed: ConfigInput) {
    this.program = program;
    this.#configFile = configFile;
    this.#fixed = fixed;
    this.socket = fixed.socket!;
  }

  /** Starts it and waits until it says that it forwards. */
  static async start(
    lab: Lab,
    config: ConfigInput,
    options: DirectorProgramOptions,
  ): Promise<DirectorProgram> {
    const file = join(options.folder, "director.yaml");
    const fixed: ConfigInput = {
      interface: "eth0",
      socket: join(options.folder, "control.sock"),
      state: join(options.folder, "state"),
    };
    writeConfig(file, { ...fixed, ...config });
    const modules = (options.schedulers ?? []).flatMap((module) => ["--scheduler", module]);
    const argv = [process.execPath, built("cli/dr-director.js"), "run", "--config", file, ...modules];
    if (options.takeover === true) argv.push("--takeover");
    argv.push(...(options.words ?? []));
    if (options.web !== undefined) argv.push("--web", options.web);
    const program = lab.spawn("director", argv);
    await program.line(/"event":"ready"/, 60_000);
    return new DirectorProgram(program, file, fixed);
  }

  /** GET from its control socket (control/api.ts). */
  async ask(path: string): Promise<unknown> {
    return JSON.parse(await exchange(this.socket, path));
  }

  /** The same for what is no JSON: metrics. */
  text(path: string): Promise<string> {
    return exchange(this.socket, path);
  }

  async post(path: string, body: unknown): Promise<unknown> {
    return JSON.parse(await exchange(this.socket, path, body));
  }

  async counters(): Promise<VerdictCounters> {
    return (await this.ask("/v1/counters")) as VerdictCounters;
  }

  /** What it said about its rings that it could not have as asked. */
  get ringWarnings(): string[] {
    return this.program.lines
      .filter((line) => line.includes('"event":"ring"'))
      .map((line) => (JSON.parse(line) as { msg: string }).msg);
  }

  /** Writes the config anew and has it read (SIGHUP). */
  reload(config: ConfigInput): void {
    writeConfig(this.#configFile, { ...this.#fixed, ...config });
    this.program.signal("SIGHUP");
  }

  /** SIGTERM; resolves with its exit code. */
  stop(): Promise<number> {
    return this.program.stop();
  }
}

// JSON is YAML.
function writeConfig(file: string, config: ConfigInput): void {
  writeFileSync(file, `${JSON.stringify(config, null, 2)}\n`);
}
