/**
 * A network namespace without a name. It is held by a shell that reads its commands from us through a pipe: when we
 * die, however we die, the shell reads the end of the pipe and ends, and the kernel takes the namespace and every
 * interface in it away. Nothing is written below /run/netns, so nothing there can be hit by mistake.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { environment, type Outcome, Program, type RunOptions, run } from "./program.ts";

const END = "dr-director-lab-end";

export class Namespace {
  readonly name: string;
  /** The holder's process id: /proc/PID/ns/net is the namespace. */
  readonly pid: number;
  readonly #holder: ChildProcessWithoutNullStreams;
  readonly #gone: Promise<void>;
  #said = "";
  #waiting: ((text: string) => void) | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #open = true;

  constructor(name: string) {
    this.name = name;
    this.#holder = spawn("unshare", ["--net", "sh"], {
      stdio: ["pipe", "pipe", "pipe"],
      env: environment(),
      detached: true, // Ctrl-C on the terminal is for us, not for it
    });
    this.pid = this.#holder.pid ?? -1;
    const hear = (text: string): void => {
      this.#said += text;
      if (this.#said.includes(`${END} `)) this.#waiting?.(this.#said);
    };
    this.#holder.stdout.setEncoding("utf8").on("data", hear);
    this.#holder.stderr.setEncoding("utf8").on("data", hear);
    this.#holder.stdin.on("error", () => {});
    this.#gone = new Promise((resolve) => {
      const leave = (): void => {
        this.#open = false;
        this.#waiting?.(this.#said);
        resolve();
      };
      this.#holder.on("close", leave);
      this.#holder.on("error", (error) => {
        this.#said += error.message;
        leave();
      });
    });
  }

  /** The words before a command that make it run in this namespace, and die with us. */
  get enter(): string[] {
    return ["nsenter", `--net=/proc/${this.pid}/ns/net`, "setpriv", "--pdeathsig", "KILL", "--"];
  }

  /**
   * Runs a piece of shell in the holder itself (no new process but what the script starts) and gives its output.
   * Throws when its last command failed. Scripts wait for one another.
   */
  sh(script: string): Promise<string> {
    const turn = this.#queue.then(() => this.#ask(script));
    this.#queue = turn.catch(() => {});
    return turn;
  }

  async #ask(script: string): Promise<string> {
    const text = await new Promise<string>((resolve) => {
      if (!this.#open) return resolve(this.#said);
      this.#said = "";
      this.#waiting = resolve;
      this.#holder.stdin.write(`{\n${script}\n} 2>&1; echo "${END} $?"\n`);
    });
    this.#waiting = undefined;
    const match = new RegExp(`^([^]*)${END} (\\d+)\n`).exec(text);
    if (match === null) throw new Error(`the namespace ${this.name} is gone: ${text.trim()}`);
    if (match[2] !== "0") throw new Error(`in the namespace ${this.name}: ${match[1]!.trim()}`);
    return match[1]!;
  }

  /** Many `ip` commands in one process; each line is a command without the word ip. */
  ip(commands: readonly string[]): Promise<string> {
    return this.sh(`ip -batch - <<'${END}'\n${commands.join("\n")}\n${END}`);
  }

  /** Sets sysctls given below /proc/sys, as `["net/ipv4/ip_forward", 1]`. */
  sysctl(settings: readonly (readonly [string, number])[]): Promise<string> {
    return this.sh(settings.map(([key, value]) => `echo ${value} >/proc/sys/${key}`).join(" &&\n"));
  }

  /** Runs a program in this namespace to its end. */
  run(argv: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    return run([...this.enter, ...argv], options);
  }

  /** Starts a program in this namespace that stays. */
  spawn(argv: readonly string[], env: Record<string, string> = {}): Program {
    return new Program(`${argv[0]} in ${this.name}`, [...this.enter, ...argv], env);
  }

  /** Lets go of the namespace; it vanishes with the last process in it. */
  async close(): Promise<void> {
    if (this.#open) this.#holder.stdin.end();
    const timer = setTimeout(() => this.#holder.kill("SIGKILL"), 2_000);
    await this.#gone;
    clearTimeout(timer);
  }
}
