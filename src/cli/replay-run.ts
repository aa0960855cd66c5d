/** What `dr-director replay` does with its options. */
import { mkdirSync, readFileSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Piscina } from "piscina";
import { type Config, ConfigError, parseConfig } from "../control/config.ts";
import { loadSchedulers, SchedulerModuleError } from "../control/scheduler-modules.ts";
import { parseMac } from "../wire/address.ts";
import { Progress } from "./progress.ts";
import { type ReplayJob, type ReplayReport, replayFile } from "./replay-file.ts";
import { replayText } from "./replay-text.ts";
import type { ReplayTask } from "./replay-worker.ts";
import { UsageError } from "./usage-error.ts";
import { version } from "./version.ts";

export interface ReplayFlags {
  config: string;
  out?: string;
  all?: true;
  mac?: string;
  scheduler?: string[];
  json?: true;
}

/** A file was read only in part. */
export const EXIT_PART = 3;

/** Worker threads need compiled files: Node 20 runs no .ts. */
const WORKER = fileURLToPath(
  new URL(
    import.meta.url.endsWith(".ts") ? "../../dist/cli/replay-worker.js" : "replay-worker.js",
    import.meta.url,
  ),
);

type Outcome = { readonly report: ReplayReport } | { readonly file: string; readonly error: string };

export async function runReplay(files: readonly string[], flags: ReplayFlags): Promise<number> {
  try {
    const schedulers = (flags.scheduler ?? []).map((path) => resolve(path));
    await loadSchedulers(schedulers);
    const config = parseConfig(readFileSync(flags.config, "utf8"), flags.config);
    const jobs = jobsOf(files, config, flags);
    const outcomes = jobs.length === 1 ? [one(jobs[0]!)] : await many(jobs, schedulers);
    print(outcomes, flags);
    if (outcomes.some((outcome) => "error" in outcome)) return 1;
    return outcomes.some((outcome) => "report" in outcome && outcome.report.warning !== null) ? EXIT_PART : 0;
  } catch (error) {
    const usage = error instanceof UsageError;
    const expected =
      usage || error instanceof SchedulerModuleError || (error instanceof Error && "code" in error);
    if (error instanceof ConfigError) process.stderr.write(`${error.message}\n`);
    else if (expected) process.stderr.write(`dr-director replay: ${(error as Error).message}\n`);
    else throw error;
    return usage ? error.exitCode : 1;
  }
}

function jobsOf(files: readonly string[], config: Config, flags: ReplayFlags): ReplayJob[] {
  if (flags.mac !== undefined && parseMac(flags.mac) === undefined)
    throw new UsageError(`--mac ${flags.mac}: no MAC address, such as 02:00:00:00:00:01`);
  const outs = outFiles(files, flags.out);
  return files.map((file, i) => ({
    file,
    config,
    all: flags.all === true,
    version: version(),
    ...(outs[i] === undefined ? {} : { out: outs[i] }),
    ...(flags.mac === undefined ? {} : { mac: flags.mac }),
  }));
}

/** Of one capture the file itself; of several a folder, with a file for each in it. */
function outFiles(files: readonly string[], out: string | undefined): string[] {
  if (out === undefined) return [];
  if (files.length === 1 && !isFolder(out)) return [differs(out, files)];
  mkdirSync(out, { recursive: true });
  const names = files.map((file) => `${basename(file).replace(/\.(?:pcap|pcapng|cap)$/, "")}.pcapng`);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new UsageError(`two captures would both be written as ${join(out, twice)}`);
  return names.map((name) => differs(join(out, name), files));
}

function differs(out: string, files: readonly string[]): string {
  if (files.some((file) => resolve(file) === resolve(out)))
    throw new UsageError(`--out ${out} would overwrite a capture that is read`);
  return out;
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function one(job: ReplayJob): Outcome {
  const progress = new Progress(job.file);
  try {
    return { report: replayFile(job, (share) => progress.show(share)) };
  } catch (error) {
    return failed(job, error);
  } finally {
    progress.end();
  }
}

/** What Node says of files in its own words, in ours. */
const FILE_TROUBLE: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EISDIR: "it is a folder",
  EACCES: "it may not be read",
};

function failed({ file }: ReplayJob, error: unknown): Outcome {
  const message = error instanceof Error ? error.message : String(error);
  // A worker's error comes over without its code; its message begins with it, and names the file that was opened.
  const [, code = "", opened] = /^([A-Z]+): .*?(?: '(.*)')?$/.exec(message) ?? [];
  const known = opened === undefined || opened === file ? FILE_TROUBLE[code] : undefined;
  return { file, error: known ?? message };
}

async function many(jobs: readonly ReplayJob[], schedulers: readonly string[]): Promise<Outcome[]> {
  const threads = Math.min(jobs.length, availableParallelism());
  const pool = new Piscina({ filename: WORKER, minThreads: threads, maxThreads: threads });
  const shared = new SharedArrayBuffer(jobs.length * 8);
  const shares = new Float64Array(shared);
  const progress = new Progress(`${jobs.length} captures`);
  const timer = setInterval(() => {
    progress.show(shares.reduce((sum, share) => sum + share, 0) / jobs.length);
  }, 100);
  try {
    return await Promise.all(
      jobs.map(async (job, index): Promise<Outcome> => {
        const task: ReplayTask = { job, schedulers, progress: shared, index };
        try {
          return { report: (await pool.run(task)) as ReplayReport };
        } catch (error) {
          return failed(job, error);
        } finally {
          shares[index] = 1;
        }
      }),
    );
  } finally {
    clearInterval(timer);
    progress.end();
    await pool.destroy();
  }
}

function print(outcomes: readonly Outcome[], flags: ReplayFlags): void {
  if (flags.json === true) {
    const captures = outcomes.map((outcome) => ("report" in outcome ? outcome.report : outcome));
    process.stdout.write(`${JSON.stringify({ format: "dr-director-replay/1", captures }, null, 2)}\n`);
  }
  for (const outcome of outcomes) {
    if ("error" in outcome) {
      process.stderr.write(`${outcome.file}: ${outcome.error}\n`);
      continue;
    }
    const { file, warning } = outcome.report;
    if (flags.json !== true) process.stdout.write(replayText(outcome.report));
    else if (warning !== null) process.stderr.write(`${file}: read only in part: ${warning}\n`);
  }
}
