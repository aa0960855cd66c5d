/** What `dr-director run` does from its first check to its last signal. */
import { createApi } from "../control/api.ts";
import { refusalText } from "../control/apply.ts";
import { CaptureRequestError } from "../control/capture-stream.ts";
import { type Config, ConfigError } from "../control/config.ts";
import { DEFAULT_SOCKET, listen, SocketError } from "../control/control-socket.ts";
import type { DirectorCounters } from "../control/counters.ts";
import { Director, DirectorError } from "../control/director.ts";
import { parseListenAddress } from "../control/listen-address.ts";
import { MachineError } from "../control/machine.ts";
import type { Page } from "../control/openapi.ts";
import { Predecessor, TakeoverError, takeoverPath } from "../control/predecessor.ts";
import { StateError } from "../control/region-file.ts";
import { SchedulerModuleError } from "../control/scheduler-modules.ts";
import { SilenceError } from "../control/silence.ts";
import { SuccessionDoor } from "../control/succession.ts";
import { MetricsServerError, serveMetrics } from "../observe/http.ts";
import { LIVE_STREAM } from "../observe/live-schema.ts";
import { Metrics } from "../observe/metrics.ts";
import { KernelRates } from "../observe/rates.ts";
import { WebError } from "../observe/web.ts";
import { isNativeError, native } from "../ring/native.ts";
import type { Region } from "../table/region.ts";
import { type RunFlags, readConfig, readRules, schedulerPaths } from "./commands/run.ts";
import { openDaemonCapture } from "./daemon-capture.ts";
import { addLive, openDaemonWeb } from "./daemon-web.ts";
import { createLogger, type Logger, logEvent } from "./log.ts";
import { ServiceManager } from "./service-manager.ts";
import { Signals } from "./signals.ts";
import { version } from "./version.ts";

/** Returns the exit code: 0 after an ordered end, 1 when it could not start. */
export async function runDaemon(flags: RunFlags): Promise<number> {
  const signals = new Signals();
  let director: Director;
  let doors: Doors;
  let logger: Logger;
  try {
    const config = await readConfig(flags);
    const rules = await readRules(flags.rules);
    logger = createLogger(config.log);
    const listener = logEvent.bind(undefined, logger);
    const rates = (region: Region) => new KernelRates(region);
    const predecessor = flags.takeover === true ? await findPredecessor(config, logger) : {};
    const schedulers = schedulerPaths(flags);
    director = await Director.start(config, { schedulers, rules, listener, rates, ...predecessor });
    doors = await openDoors(director, logger, flags);
  } catch (error) {
    process.stderr.write(`${explain(error)}\n`);
    return 1;
  }
  const { interface: name, shards } = director.config;
  const manager = new ServiceManager();
  manager.ready(`forwards on ${name}`, wellness(director));
  const { ring } = director;
  const ready = { event: "ready", interface: name, shards, ring, pid: process.pid };
  logger.info(ready, `forwards on ${name} by ${ring}`);
  signals.on("SIGHUP", async () => {
    manager.reloading(native().monotonic());
    await reloadConfig(director, logger, flags);
    manager.reloaded(`forwards on ${name}`);
  });
  signals.on("SIGUSR1", () => showCounters(director, logger));
  const end = await Promise.race([signals.end, doors.handedOver]);
  if (typeof end === "number") {
    logger.info({ event: "handed-over", successor: end }, `process ${end} has taken over`);
    await new Promise((resolve) => setTimeout(resolve, FAREWELL_MS));
  } else {
    manager.stopping();
    logger.info({ event: "stopping", signal: end }, `${end}: stopping`);
    await Promise.race([doors.idle(), new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))]);
  }
  await Promise.allSettled([doors.close(), director.stop()]);
  logger.info({ event: "stopped" }, "stopped");
  return 0;
}

/** Milliseconds after which a shard that was told to hang and is not told again is taken to turn. */
const HUNG_NEWS_MS = 5_000;

/** Whether all shards turn: what a watching service manager is told of. */
function wellness(director: Director): () => boolean {
  let hung = Number.NEGATIVE_INFINITY;
  director.on(({ name }) => {
    if (name === "shard-hung") hung = native().monotonic();
  });
  return () => native().monotonic() - hung > HUNG_NEWS_MS;
}

/** What waits for an answer on the control socket while another takes over gets it within this time, ms. */
const FAREWELL_MS = 100;
/** A takeover that has begun may end within this time before we stop, ms. */
const PATIENCE_MS = 500;

/** The running director to take over from, if there is one. */
async function findPredecessor(
  { socket = DEFAULT_SOCKET }: Config,
  logger: Logger,
): Promise<{ predecessor?: Predecessor }> {
  const predecessor = await Predecessor.find(socket);
  if (predecessor !== undefined) return { predecessor };
  logger.info({ event: "nobody" }, `nobody to take over from at ${socket}: starts by itself`);
  return {};
}

interface Doors {
  /** Resolves with the process id of who has taken over. */
  readonly handedOver: Promise<number>;
  /** Resolves when nobody is in the middle of taking over. */
  idle(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Control socket, metrics and the door for a successor. Whom we took over from goes once commands are heard here, and
 * leaves the metrics' port to us. Stops the director when one of them cannot be had.
 */
async function openDoors(director: Director, logger: Logger, flags: RunFlags): Promise<Doors> {
  const { socket = DEFAULT_SOCKET, group, metrics: asked } = director.config;
  const metrics = new Metrics(director, { version: version(), ring: director.ring, node: process.version });
  const doors: (() => unknown)[] = [];
  const close = async () => void (await Promise.allSettled(doors.map(async (shut) => shut())));
  try {
    doors.push(await openDaemonCapture(director, flags, logger));
    const api = createApi(director, [metricsPage(metrics)], [LIVE_STREAM]);
    const live = addLive(api, director, director.taps);
    doors.push(() => live.close());
    doors.push(await listen(api, socket, group, director.hasPredecessor));
    await director.dismissPredecessor();
    if (asked !== undefined) doors.push(await openMetrics(metrics, asked, logger));
    if (flags.web !== undefined) doors.push(await openDaemonWeb(live, flags.web, logger));
    const door = new SuccessionDoor(director, takeoverPath(socket));
    doors.push(() => door.close());
    const idle = () => door.idle;
    return { handedOver: door.handedOver, idle, close };
  } catch (error) {
    await Promise.all([close(), director.stop()]);
    throw error;
  }
}

async function openMetrics(metrics: Metrics, asked: string, logger: Logger): Promise<() => Promise<void>> {
  const where = parseListenAddress(asked);
  if (where === undefined) throw new MetricsServerError(`metrics: "${asked}" is no address and port`);
  const { address, close } = await serveMetrics(metrics, where);
  const url = `http://${where.host.includes(":") ? `[${where.host}]` : where.host}:${address.port}/metrics`;
  logger.info({ event: "metrics", url }, `metrics on ${url}`);
  return close;
}

function metricsPage(metrics: Metrics): Page {
  const summary = "Metrics in Prometheus' text format";
  return { path: "/metrics", summary, type: metrics.contentType, text: () => metrics.text() };
}

async function reloadConfig(director: Director, logger: Logger, flags: RunFlags): Promise<void> {
  try {
    const config = await readConfig(flags);
    await director.steady;
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

/** The verdicts that occurred, the sum below them, and by which ring. */
export function countersTable({ received, verdicts, ringDrops, ring }: DirectorCounters): string {
  const rows = Object.entries(verdicts).filter(([, count]) => count !== 0);
  const lines = [...rows, ["received", received] as const, ["dropped before the ring", ringDrops] as const];
  const width = Math.max(...lines.map(([name]) => name.length));
  return `${lines.map(([name, count]) => `${name.padEnd(width)} ${String(count).padStart(14)}`).join("\n")}\n${"ring".padEnd(width)} ${ring.padStart(14)}\n`;
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
    MetricsServerError,
    CaptureRequestError,
    WebError,
    TakeoverError,
  ].some((type) => error instanceof type);
  const message = error instanceof Error ? error.message : String(error);
  if (known || isNativeError(error) || message.includes("is not built")) return `dr-director: ${message}`;
  if ((error as NodeJS.ErrnoException).code === "ENOENT") return `dr-director: ${message}`;
  return error instanceof Error && error.stack !== undefined ? error.stack : message;
}
