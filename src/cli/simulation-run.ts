/** What `dr-director simulate` does with its options. */
import { readFileSync, writeFileSync } from "node:fs";
import { loadScheduler, SchedulerModuleError } from "../control/scheduler-modules.ts";
import { type Arrival, seededArrivals } from "../dataplane/simulation/arrivals.ts";
import { capturedArrivals, type Wanted } from "../dataplane/simulation/captured.ts";
import { SchedulerFault } from "../dataplane/simulation/service.ts";
import { type SimulationReport, simulate } from "../dataplane/simulation/simulate.ts";
import { BUILT_IN } from "../schedulers/built-in.ts";
import type { Scheduler } from "../schedulers/scheduler.ts";
import { parseAddress } from "../wire/address.ts";
import { CaptureError } from "../wire/capture.ts";
import { readCapture } from "../wire/capture-reader.ts";
import { parseEndpoint } from "../wire/network.ts";
import { readFlags } from "./ipvsadm-check.ts";
import { plot } from "./simulation-plot.ts";
import { comparisonText, reportText } from "./simulation-text.ts";
import { UsageError } from "./usage-error.ts";

export interface SimulateFlags {
  scheduler: string[];
  schedFlags?: string;
  weights: number[];
  remove?: { server: number; at?: number };
  connections: number;
  rate: number;
  duration: number;
  clients: number;
  addresses: number;
  seed: number;
  from?: string;
  vip?: string;
  json?: true;
  plot?: string;
}

/** tcp_timeouts[FIN_WAIT] in the kernel: so long a closed connection counts as inactive. */
const LINGER = 120_000;
const SAMPLES = 60;

/** Where the connections come from, and until when. */
interface Source {
  readonly arrivals: () => Iterable<Arrival>;
  readonly end: number;
  readonly told: Readonly<Record<string, unknown>>;
}

async function schedulersOf(names: readonly string[]): Promise<Scheduler[]> {
  const schedulers: Scheduler[] = [];
  for (const name of names) {
    const builtIn = BUILT_IN.find((scheduler) => scheduler.name === name);
    if (name === "all") schedulers.push(...BUILT_IN);
    else if (builtIn !== undefined) schedulers.push(builtIn);
    else if (/^[a-z0-9_-]+$/.test(name)) {
      const known = BUILT_IN.map((scheduler) => scheduler.name).join(", ");
      throw new UsageError(
        `there is no scheduler ${name}; there are ${known}, all, and your own as ./${name}.js`,
      );
    } else schedulers.push(await loadScheduler(name));
  }
  return schedulers;
}

function seededSource(flags: SimulateFlags): Source {
  const { seed, connections, rate, duration, clients, addresses } = flags;
  const options = { seed, connections, rate, duration, clients, addresses };
  let end = 0;
  for (const { at } of seededArrivals(options)) end = at;
  return { arrivals: () => seededArrivals(options), end, told: options };
}

function wantedOf(text: string | undefined): Wanted | undefined {
  if (text === undefined) return undefined;
  const address = parseAddress(text);
  if (address !== undefined) return { address, port: 0 };
  const endpoint = parseEndpoint(text);
  if (endpoint === undefined) throw new UsageError(`--vip ${text}: neither an address nor address:port`);
  return endpoint;
}

function capturedSource(file: string, flags: SimulateFlags): Source {
  const { packets, warning } = readCapture(readFileSync(file));
  if (warning !== undefined) process.stderr.write(`${file}: ${warning}\n`);
  const all = capturedArrivals(packets, wantedOf(flags.vip));
  const family = all[0]?.family;
  if (family === undefined)
    throw new UsageError(`${file}: no connection begins in it${flags.vip ? " there" : ""}`);
  // A virtual service has one family.
  const arrivals = all.filter((arrival) => arrival.family === family);
  const others = all.length - arrivals.length;
  if (others > 0)
    process.stderr.write(`${file}: ${others} connections of the other IP version are left out\n`);
  const end = arrivals.reduce((latest, { at, duration }) => Math.max(latest, at + duration), 0);
  return { arrivals: () => arrivals, end, told: { capture: file, connections: arrivals.length } };
}

function runAll(schedulers: readonly Scheduler[], source: Source, flags: SimulateFlags): SimulationReport[] {
  const { weights, remove, seed } = flags;
  if (remove !== undefined && remove.server >= weights.length) {
    throw new UsageError(`--remove rs${remove.server + 1}: there are ${weights.length} servers`);
  }
  const removal =
    remove === undefined ? {} : { removal: { server: remove.server, at: removalTime(remove, source) } };
  return schedulers.map((scheduler) =>
    simulate({
      scheduler,
      flags: readFlags(flags.schedFlags ?? "", scheduler.name),
      weights,
      arrivals: source.arrivals(),
      end: source.end,
      seed,
      linger: LINGER,
      samples: SAMPLES,
      ...removal,
    }),
  );
}

function removalTime(remove: NonNullable<SimulateFlags["remove"]>, { end }: Source): number {
  return remove.at ?? end / 2;
}

function print(reports: readonly SimulationReport[], source: Source, flags: SimulateFlags): void {
  if (flags.json === true) {
    const document = {
      format: "dr-director-simulation/1",
      connections: source.told,
      end: source.end,
      runs: reports,
    };
    process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
    return;
  }
  process.stdout.write(reports.map(reportText).join("\n"));
  if (reports.length > 1) process.stdout.write(`\n${comparisonText(reports)}`);
}

/** Gives the exit code: 0, 1 when a scheduler or a file is at fault, 2 for a wrong option. */
export async function runSimulation(flags: SimulateFlags): Promise<number> {
  try {
    const schedulers = await schedulersOf(flags.scheduler);
    const source = flags.from === undefined ? seededSource(flags) : capturedSource(flags.from, flags);
    const reports = runAll(schedulers, source, flags);
    print(reports, source, flags);
    if (flags.plot !== undefined) {
      const removedAt = flags.remove === undefined ? undefined : removalTime(flags.remove, source);
      writeFileSync(flags.plot, plot(reports, source.end, removedAt));
    }
    return 0;
  } catch (error) {
    const expected =
      error instanceof UsageError ||
      error instanceof SchedulerModuleError ||
      error instanceof SchedulerFault ||
      error instanceof CaptureError ||
      (error as NodeJS.ErrnoException).syscall !== undefined;
    if (!expected) throw error;
    process.stderr.write(`dr-director simulate: ${(error as Error).message}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}
