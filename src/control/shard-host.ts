/**
 * Hosts the shards: one worker thread each out of a piscina pool, started, watched, restarted and stopped. A shard
 * that dies leaves its sockets, ring and tables behind; its successor goes on with the next frame.
 */
import { statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Piscina } from "piscina";
import { native } from "../ring/native.ts";
import { TICK } from "../table/connections.ts";
import { ShardCount } from "../table/counters.ts";
import { type Region, ShardCell } from "../table/region.ts";
import { recoverShard } from "./recover.ts";
import { ShardState, type ShardTask } from "./shard-task.ts";

export interface ShardEvent {
  readonly kind: "started" | "died";
  readonly shard: number;
  readonly reason?: string;
}

export interface ShardHost {
  /** Resolves when every shard has begun to take frames; rejects with the first one's reason when it cannot. */
  start(): Promise<void>;
  /** Wakes those that sleep: something in the region has changed. */
  wake(): void;
  /** Resolves when every thread has ended. */
  stop(): Promise<void>;
}

export interface ShardHostOptions {
  readonly region: Region;
  readonly tasks: readonly ShardTask[];
  readonly event: (event: ShardEvent) => void;
}

/** A shard that dies again within this time waits this long before the next attempt, ms. */
const BACKOFF = 1_000;
const READY_MS = 10_000;
const STOP_MS = 800;

/**
 * Worker threads need compiled files: Node 20 runs no .ts, and tests import this one from src/. What they run is joined
 * into one file for speed (scripts/bundle-shard.mjs). Who compiles by hand without joining gets what was compiled.
 */
function workerFile(): string {
  const folder = import.meta.url.endsWith(".ts") ? "../../dist/control/" : "./";
  const at = (name: string) => fileURLToPath(new URL(folder + name, import.meta.url));
  const joined = at("shard-worker.bundled.js");
  const compiled = at("../../build/tsbuildinfo");
  const when = (path: string) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return when(joined) > when(compiled) ? joined : at("shard-worker.js");
}

const WORKER = workerFile();

export class PiscinaShardHost implements ShardHost {
  readonly #options: ShardHostOptions;
  readonly #pool: Piscina;
  readonly #running: Promise<void>[] = [];
  #stopping = false;

  constructor(options: ShardHostOptions) {
    this.#options = options;
    const n = options.tasks.length;
    this.#pool = new Piscina({
      filename: WORKER,
      minThreads: n,
      maxThreads: n,
      idleTimeout: Number.POSITIVE_INFINITY,
      // A shard's task never ends by itself, so there is nothing for an idle worker to wait for.
      atomics: "disabled",
      recordTiming: false,
    });
  }

  async start(): Promise<void> {
    let failed: Error | undefined;
    const cells = this.#options.tasks.map((task) => this.#cells(task.index));
    for (const own of cells) own[ShardCell.State] = ShardState.Starting;
    for (const task of this.#options.tasks) {
      this.#running.push(
        this.#keepRunning(task).catch((error: Error) => {
          failed ??= error;
        }),
      );
    }
    const deadline = native().monotonic() + READY_MS;
    while (cells.some((own) => own[ShardCell.State] !== ShardState.Running)) {
      if (failed !== undefined || native().monotonic() > deadline) {
        await this.stop();
        throw failed ?? new Error(`the shards did not start within ${READY_MS / 1000} s`);
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  wake(): void {
    for (const { index, sockets } of this.#options.tasks) {
      if (Atomics.load(this.#cells(index), ShardCell.Sleeping) === 1) native().signal(sockets.wake);
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    for (const { index, sockets } of this.#options.tasks) {
      Atomics.store(this.#cells(index), ShardCell.Stop, 1);
      native().signal(sockets.wake);
    }
    const timeout = new Promise<void>((resolve) => void setTimeout(resolve, STOP_MS).unref());
    await Promise.race([Promise.all(this.#running), timeout]);
    await this.#pool.destroy();
  }

  #cells(index: number): Int32Array {
    return this.#options.region.shards[index]!.cells;
  }

  /** One shard, thread after thread. The first failure before it ever ran is the caller's: the cause is not chance. */
  async #keepRunning(task: ShardTask): Promise<void> {
    const { region, event } = this.#options;
    const cells = this.#cells(task.index);
    cells[ShardCell.Stop] = 0;
    cells[ShardCell.Cpu] = task.cpu;
    let everRan = false;
    while (!this.#stopping) {
      const begun = native().monotonic();
      cells[ShardCell.State] = ShardState.Starting;
      region.shards[task.index]!.counters.shard[ShardCount.Starts]!++;
      event({ kind: "started", shard: task.index });
      const reason = await this.#pool.run(task).then(
        () => (this.#stopping ? undefined : "its thread ended"),
        (error: Error) => error.message,
      );
      if (this.#stopping) return;
      everRan ||= cells[ShardCell.State] !== ShardState.Starting;
      if (!everRan) throw new Error(`shard ${task.index}: ${reason}`);
      event({ kind: "died", shard: task.index, reason: reason ?? "" });
      recoverShard(region, task.index, Math.floor(native().monotonic() / TICK) | 0);
      if (native().monotonic() - begun < BACKOFF)
        await new Promise((resolve) => setTimeout(resolve, BACKOFF).unref());
    }
  }
}
