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
import { Gate, GateWord, ShardState, type ShardTask } from "./shard-task.ts";

export interface ShardEvent {
  readonly kind: "started" | "died";
  readonly shard: number;
  readonly reason?: string;
}

export interface ShardHost {
  /** Has the threads ready, up to the point where they would touch region and rings; they go on at `start`. */
  warm(): Promise<void>;
  /** Resolves when every shard has begun to take frames; rejects with the first one's reason when it cannot. */
  start(): Promise<void>;
  /** Wakes those that sleep: something in the region has changed. */
  wake(): void;
  /** Ends a thread that hangs; another goes on in its place. `blamed`: the cause is known, and is not the frames. */
  restart(shard: number, reason: string, blamed: boolean): Promise<void>;
  /** Every shard ends its turn and rests until `start`. Rejects, and all go on, when one does not. */
  pause(): Promise<void>;
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
const FIRST_TURNS = 2;
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
  /** By shard: ends when nobody looks after it any more. */
  readonly #running = new Map<number, Promise<void>>();
  /** Why a thread was ended, by shard. */
  readonly #reasons = new Map<number, { reason: string; blamed: boolean }>();
  #gate: Int32Array | undefined;
  #failed: Error | undefined;
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

  async warm(): Promise<void> {
    const gate = new Int32Array(new SharedArrayBuffer(8));
    this.#gate = gate;
    this.#launch();
    await this.#until(() => Atomics.load(gate, Gate.Arrived) === this.#options.tasks.length);
  }

  async start(): Promise<void> {
    this.#stopping = false;
    for (const task of this.#options.tasks) {
      if (!this.#running.has(task.index) || this.#gate !== undefined) this.#begin(task);
    }
    if (this.#gate === undefined) this.#launch();
    else this.#open(GateWord.Go);
    const cells = this.#options.tasks.map((task) => this.#cells(task.index));
    await this.#until(() => cells.every((own) => own[ShardCell.State] === ShardState.Running));
  }

  wake(): void {
    for (const { index, sockets } of this.#options.tasks) {
      if (Atomics.load(this.#cells(index), ShardCell.Sleeping) === 1) native().signal(sockets.wake);
    }
  }

  async restart(shard: number, reason: string, blamed: boolean): Promise<void> {
    const thread = this.#cells(shard)[ShardCell.Thread];
    const worker = this.#pool.threads.find(({ threadId }) => threadId === thread);
    if (worker === undefined) return;
    this.#reasons.set(shard, { reason, blamed });
    await worker.terminate();
  }

  async pause(): Promise<void> {
    if (await this.#rest()) return;
    const hung = [...this.#running.keys()];
    for (const index of hung) Atomics.store(this.#cells(index), ShardCell.Stop, 0);
    await this.start();
    throw new Error(`shard ${hung.join(", ")} does not end its turn`);
  }

  async stop(): Promise<void> {
    if (this.#gate !== undefined) this.#open(GateWord.Home);
    // Those that rest may be another process's by now: nothing of theirs is touched.
    else if (this.#running.size > 0) await this.#rest();
    await this.#pool.destroy();
  }

  /** Asks every shard to end; whether all of them did in time. */
  async #rest(): Promise<boolean> {
    this.#stopping = true;
    for (const { index, sockets } of this.#options.tasks) {
      Atomics.store(this.#cells(index), ShardCell.Stop, 1);
      native().signal(sockets.wake);
    }
    const timeout = new Promise<void>((resolve) => void setTimeout(resolve, STOP_MS).unref());
    await Promise.race([Promise.all(this.#running.values()), timeout]);
    return this.#running.size === 0;
  }

  #open(word: number): void {
    const gate = this.#gate!;
    this.#gate = undefined;
    if (word === GateWord.Home) this.#stopping = true;
    Atomics.store(gate, Gate.Word, word);
    Atomics.notify(gate, Gate.Word);
  }

  #launch(): void {
    this.#failed = undefined;
    for (const task of this.#options.tasks) {
      if (this.#running.has(task.index)) continue;
      const kept = this.#keepRunning(task, this.#gate)
        .catch((error: Error) => {
          this.#failed ??= error;
        })
        .finally(() => this.#running.delete(task.index));
      this.#running.set(task.index, kept);
    }
  }

  /** Waits for the threads to come so far; with the reason of the first that cannot, all are stopped. */
  async #until(there: () => boolean): Promise<void> {
    const deadline = native().monotonic() + READY_MS;
    while (!there()) {
      if (this.#failed !== undefined || native().monotonic() > deadline) {
        await this.stop();
        throw this.#failed ?? new Error(`the shards did not start within ${READY_MS / 1000} s`);
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  #cells(index: number): Int32Array {
    return this.#options.region.shards[index]!.cells;
  }

  #begin(task: ShardTask): void {
    const cells = this.#cells(task.index);
    cells[ShardCell.Stop] = 0;
    cells[ShardCell.Cpu] = task.cpu;
    cells[ShardCell.State] = ShardState.Starting;
    this.#options.region.shards[task.index]!.counters.shard[ShardCount.Starts]!++;
    this.#options.event({ kind: "started", shard: task.index });
  }

  /** One shard, thread after thread. The first failure before it ever ran is the caller's: the cause is not chance. */
  async #keepRunning(task: ShardTask, gate: Int32Array | undefined): Promise<void> {
    const { region, event } = this.#options;
    const cells = this.#cells(task.index);
    let everRan = false;
    let skip = false;
    for (let first = true; !this.#stopping; first = false) {
      const begun = native().monotonic();
      const beat = cells[ShardCell.Beat]!;
      if (!first) this.#begin(task);
      const reason = await this.#pool
        .run(first && gate !== undefined ? { ...task, gate } : { ...task, skip })
        .then(
          () => (this.#stopping ? undefined : "its thread ended"),
          (error: Error) => error.message,
        );
      if (this.#stopping) return;
      if (gate !== undefined && gate === this.#gate) throw new Error(`shard ${task.index}: ${reason}`);
      everRan ||= cells[ShardCell.State] !== ShardState.Starting;
      if (!everRan) throw new Error(`shard ${task.index}: ${reason}`);
      // A thread that dies in its first turns dies of what it finds there, and so would every other after it.
      const known = this.#reasons.get(task.index);
      this.#reasons.delete(task.index);
      const cause = known?.reason ?? reason ?? "";
      skip = !first && known?.blamed !== true && ((cells[ShardCell.Beat]! - beat) | 0) <= FIRST_TURNS;
      event({
        kind: "died",
        shard: task.index,
        reason: skip ? `${cause}; the next burst is dropped` : cause,
      });
      recoverShard(region, task.index, Math.floor(native().monotonic() / TICK) | 0);
      if (native().monotonic() - begun < BACKOFF)
        await new Promise((resolve) => setTimeout(resolve, BACKOFF).unref());
    }
  }
}
