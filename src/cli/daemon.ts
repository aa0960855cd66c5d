/** What `dr-director run` does from its first check to its last signal. */
import { createApi } from "../control/api.ts";
import { refusalText } from "../control/apply.ts";
import { ConfigError } from "../control/config.ts";
import { DEFAULT_SOCKET, listen, SocketError } from "../control/control-socket.ts";
import type { DirectorCounters } from "../control/counters.ts";
import { Director, DirectorError } from "../control/director.ts";
import { MachineError } from "../control/machine.ts";
import { StateError } from "../control/region-file.ts";
import { SchedulerModuleError } from "../control/scheduler-modules.ts";
import { SilenceError } from "../control/silence.ts";
import { isNativeError } from "../ring/native.ts";
import { type RunFlags, readConfig, readRules, schedulerPaths } from "./commands/run.ts";
import { createLogger, type Logger, logEvent } from "./log.ts";
import { Signals } from "./signals.ts";

/** Returns the exit code: 0 after an ordered end, 1 when it could not start. */
export async function runDaemon(flags: RunFlags): Promise<number> {
  const signals = new Signals();
  let director: Director;
  let closeApi: () => Promise<void>;
  let logger: Logger;
  try {
    const config = await readConfig(flags);
    const rules = await readRules(flags.rules);
    logger = createLogger(config.log);
    const listener = logEvent.bind(undefined, logger);
    director = await Director.start(config, { schedulers: schedulerPaths(flags), rules, listener });
    closeApi = await openApi(director);
  } catch (error) {
    process.stderr.write(`${explain(error)}\n`);
    return 1;
  }
  const { interface: name, shards } = director.config;
  logger.info({ event: "ready", interface: name, shards, pid: process.pid }, `forwards on ${name}`);
  signals.on("SIGHUP", () => void reloadConfig(director, logger, flags));
  signals.on("SIGUSR1", () => showCounters(director, logger));
  const signal = await signals.end;
  logger.info({ event: "stopping", signal }, `${signal}: stopping`);
  await Promise.allSettled([closeApi(), director.stop()]);
  logger.info({ event: "stopped" }, "stopped");
  return 0;
}

async function openApi(director: Director): Promise<() => Promise<void>> {
  const { socket = DEFAULT_SOCKET, group } = director.config;
  try {
    return await listen(createApi(director), socket, group);
  } catch (error) {
    await director.stop();
    throw error;
  }
}

async function reloadConfig(director: Director, logger: Logger, flags: RunFlags): Promise<void> {
  try {
    const config = await readConfig(flags);
    logger.level = config.log;
    for (const refused of director.reload(config)) logger.error({ event: "refused" }, refusalText(refused));
  } catch (error) {
    logger.error({ event: "reload-failed" }, `nothing was changed: ${explain(error)}`);
  }
}

function showCounters(director: Director, logger: Logger): void {
  const counters = director.counters();
  logger.info({ event: "counters", ...counters }, `received ${counters.received}`);
  process.stderr.write(countersTable(counters));
}

/** The verdicts that occurred, the sum below them. */
export function countersTable({ received, verdicts, ringDrops }: DirectorCounters): string {
  const rows = Object.entries(verdicts).filter(([, count]) => count !== 0);
  const lines = [...rows, ["received", received] as const, ["dropped before the ring", ringDrops] as const];
  const width = Math.max(...lines.map(([name]) => name.length));
  return `${lines.map(([name, count]) => `${name.padEnd(width)} ${String(count).padStart(14)}`).join("\n")}\n`;
}

/** One clear sentence where the cause is the caller's to cure; else the error with its stack. */
function explain(error: unknown): string {
  if (error instanceof ConfigError) return error.message;
  const known = [
    MachineError,
    SocketError,
    SilenceError,
    StateError,
    SchedulerModuleError,
    DirectorError,
  ].some((type) => error instanceof type);
  const message = error instanceof Error ? error.message : String(error);
  if (known || isNativeError(error) || message.includes("is not built")) return `dr-director: ${message}`;
  if ((error as NodeJS.ErrnoException).code === "ENOENT") return `dr-director: ${message}`;
  return error instanceof Error && error.stack !== undefined ? error.stack : message;
}
