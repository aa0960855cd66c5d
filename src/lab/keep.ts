/**
 * `--keep`: the lab outlives the command. The namespaces hang on the process that made them, so with --keep that
 * process is a second one, in a session of its own. It speaks through the first one while that is there, and holds
 * none of its streams, so that nobody waits for it.
 */
import { spawn } from "node:child_process";

/** Set in the process that stays: what the first one's stdout is. */
const MARK = "DR_DIRECTOR_LAB_KEEPER";

/** What the one that stays tells the first one. */
interface Message {
  stdout?: string;
  stderr?: string;
  /** The run is over; did everything hold? */
  held?: boolean;
}

export const isKeeper = (): boolean => process.env[MARK] !== undefined;

/** True when what we write ends up on a terminal. */
export const onTerminal = (): boolean =>
  isKeeper() ? process.env[MARK] === "terminal" : process.stdout.isTTY === true;

function tell(message: Message): void {
  if (process.connected) process.send!(message);
}

export function write(text: string, stream: "stdout" | "stderr" = "stdout"): void {
  if (isKeeper()) tell({ [stream]: text });
  else process[stream].write(text);
}

/** Tells the first process that the run is over. */
export const tellOver = (held: boolean): void => tell({ held });

/** Fires when `stopped` does, or when nobody listens to us any more. */
export function audienceGone(stopped: AbortSignal): AbortSignal {
  if (!isKeeper()) return stopped;
  const gone = new AbortController();
  process.on("disconnect", () => gone.abort());
  if (!process.connected) gone.abort();
  return AbortSignal.any([stopped, gone.signal]);
}

/** Starts the one that stays, passes its words on until its run is over (without `once`, until Ctrl-C), and leaves. */
export function leaveStanding(once: boolean): Promise<number> {
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    stdio: ["ignore", "ignore", "ignore", "ipc"],
    env: { ...process.env, [MARK]: process.stdout.isTTY ? "terminal" : "plain" },
    detached: true,
  });
  return new Promise((resolve, reject) => {
    let held = false;
    const leave = (): void => {
      child.disconnect();
      child.unref();
      resolve(held ? 0 : 1);
    };
    child.on("message", (message: Message) => {
      if (message.stdout !== undefined) process.stdout.write(message.stdout);
      if (message.stderr !== undefined) process.stderr.write(message.stderr);
      if (message.held === undefined) return;
      held = message.held;
      if (once) leave();
    });
    process.on("SIGINT", leave);
    process.on("SIGTERM", () => child.kill("SIGTERM"));
    child.on("error", reject);
    child.on("exit", (code) => resolve(code ?? 1));
  });
}
