/** Processes of the lab: short ones that are awaited, long ones that are watched and stopped. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";

/** How a short program ended and what it said. */
export interface Outcome {
  /** Exit code; -1 when a signal ended it, 127 when it could not be started. */
  code: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  input?: string;
  /** Killed after so many milliseconds (default 60 000). */
  timeout?: number;
  env?: Record<string, string>;
}

/** ip and bridge live in sbin, which an ordinary user's PATH does not always have. */
export function environment(extra: Record<string, string> = {}): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin`, ...extra };
}

/** Runs a program to its end. Never throws: a program that cannot be started is an outcome too. */
export function run(argv: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(argv[0]!, argv.slice(1), {
      stdio: ["pipe", "pipe", "pipe"],
      timeout: options.timeout ?? 60_000,
      killSignal: "SIGKILL",
      env: environment(options.env),
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.stdin.on("error", () => {}); // it may end without reading
    child.stdin.end(options.input ?? "");
    child.on("error", (error) => resolve({ code: 127, stdout, stderr: error.message }));
    child.on("close", (code) => resolve({ code: code ?? -1, stdout, stderr }));
  });
}

/** Runs a program and gives its stdout; anything but exit code 0 is an error with its own words. */
export async function must(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const outcome = await run(argv, options);
  if (outcome.code === 0) return outcome.stdout;
  const said = (outcome.stderr || outcome.stdout).trim();
  throw new Error(`\`${argv.join(" ")}\` ended with ${outcome.code}: ${said}`);
}

/** A program that stays: its lines can be awaited, it is stopped politely and then not. */
export class Program {
  readonly name: string;
  readonly pid: number;
  readonly stdin: Writable;
  /** The last lines of both streams, for error messages. */
  readonly lines: string[] = [];
  /** Resolves when it has ended, with its exit code or -1 for a signal. */
  readonly ended: Promise<number>;
  readonly #child: ChildProcess;
  readonly #listeners = new Set<(line: string) => void>();
  #code: number | undefined;

  constructor(name: string, argv: readonly string[], env: Record<string, string> = {}) {
    this.name = name;
    // A session of its own: Ctrl-C on the terminal is for the lab, which then ends its programs in good order.
    const child = spawn(argv[0]!, argv.slice(1), {
      stdio: ["pipe", "pipe", "pipe"],
      env: environment(env),
      detached: true,
    });
    this.#child = child;
    this.pid = child.pid ?? -1;
    this.stdin = child.stdin;
    child.stdin.on("error", () => {});
    this.#read(child.stdout);
    this.#read(child.stderr);
    this.ended = new Promise((resolve) => {
      child.on("error", (error) => this.#end(127, error.message, resolve));
      child.on("close", (code) => this.#end(code ?? -1, undefined, resolve));
    });
  }

  get running(): boolean {
    return this.#code === undefined;
  }

  #read(stream: Readable): void {
    createInterface({ input: stream }).on("line", (line) => {
      this.lines.push(line);
      if (this.lines.length > 1000) this.lines.splice(0, 500);
      for (const listener of this.#listeners) listener(line);
    });
  }

  #end(code: number, message: string | undefined, resolve: (code: number) => void): void {
    if (message !== undefined) this.lines.push(message);
    this.#code = code;
    resolve(code);
  }

  /** Hears every further line of stdout and stderr until the returned function is called. */
  onLine(listener: (line: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The first line, past or future, that matches. Throws when the program ends or the time is up before. */
  async line(pattern: RegExp, timeout = 10_000): Promise<string> {
    return this.lines.find((line) => pattern.test(line)) ?? (await this.next(pattern, timeout));
  }

  /** The next line that matches, from now on. Throws when the program ends or the time is up before. */
  next(pattern: RegExp, timeout = 10_000): Promise<string> {
    let forget = (): void => {};
    let timer: NodeJS.Timeout | undefined;
    const heard = new Promise<string>((resolve, reject) => {
      forget = this.onLine((line) => pattern.test(line) && resolve(line));
      const silent = (): void => reject(this.#complaint(`said nothing like ${pattern} in ${timeout} ms`));
      timer = setTimeout(silent, timeout);
      void this.ended.then((code) => reject(this.#complaint(`ended with ${code}`)));
    });
    return heard.finally(() => {
      forget();
      clearTimeout(timer);
    });
  }

  #complaint(what: string): Error {
    const last = this.lines.slice(-15).join("\n");
    return new Error(`${this.name} ${what}${last === "" ? "" : `; its last words:\n${last}`}`);
  }

  signal(signal: NodeJS.Signals): void {
    if (this.running) this.#child.kill(signal);
  }

  /** Ends it: SIGTERM, and SIGKILL after `grace` milliseconds. Returns its exit code. */
  async stop(grace = 2_000): Promise<number> {
    this.signal("SIGTERM");
    const timer = setTimeout(() => this.signal("SIGKILL"), grace);
    const code = await this.ended;
    clearTimeout(timer);
    return code;
  }
}
