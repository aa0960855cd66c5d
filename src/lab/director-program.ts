/** `dr-director run` in the lab's director namespace, with a config of ours, asked through its control socket. */
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
}

export interface DirectorProgramOptions {
  /** Where its config file, state and control socket go. */
  folder: string;
  /** Module files that register schedulers. */
  schedulers?: readonly string[];
}

/** GET from the daemon's control socket. */
function ask(socketPath: string, path: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, timeout: 5_000 }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => (text += piece));
      response.on("end", () => {
        if (response.statusCode === 200) resolve(JSON.parse(text));
        else reject(new Error(`GET ${path}: ${response.statusCode} ${text}`));
      });
    });
    sent.on("timeout", () => sent.destroy(new Error(`GET ${path}: no answer`)));
    sent.on("error", reject);
    sent.end();
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

  /** Starts it and waits until it answers on its control socket. */
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
    const director = new DirectorProgram(lab.spawn("director", argv), file, fixed);
    await director.#ready();
    return director;
  }

  async #ready(): Promise<void> {
    const end = performance.now() + 15_000;
    while (this.program.running && performance.now() < end) {
      try {
        await this.counters();
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
    const last = this.program.lines.slice(-25).join("\n");
    throw new Error(`dr-director run did not come up; its last words:\n${last}`);
  }

  ask(path: string): Promise<unknown> {
    return ask(this.socket, path);
  }

  async counters(): Promise<VerdictCounters> {
    return (await this.ask("/v1/counters")) as VerdictCounters;
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
