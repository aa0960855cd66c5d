/**
 * A worker thread's whole life: maps the region and its ring, then turn after turn until the stop flag is set. It
 * never waits for a message, because a thread that spins gets none.
 */
import { threadId } from "node:worker_threads";
import { Shard } from "../dataplane/shard.ts";
import { createBurst } from "../ring/burst.ts";
import { mapOpenFile, native } from "../ring/native.ts";
import { PacketRing } from "../ring/packet-ring.ts";
import type { Ring } from "../ring/ring.ts";
import { XdpRing } from "../ring/xdp-ring.ts";
import { openRegion, type Region, ShardCell } from "../table/region.ts";
import { LoopTime } from "./loop-time.ts";
import { loadSchedulers } from "./scheduler-modules.ts";
import { tapOpener } from "./shard-tap.ts";
import { Gate, GateWord, isXdp, LONGEST_SLEEP, ShardState, type ShardTask } from "./shard-task.ts";
import { tuneV8 } from "./v8-flags.ts";
import { Waiting } from "./waiting.ts";

tuneV8();

/** Runs one shard until it is told to stop. */
export async function runShard(task: ShardTask): Promise<void> {
  await loadSchedulers(task.schedulers);
  if (task.cpu >= 0) native().setAffinity(Int32Array.of(task.cpu));
  const region = openRegion(mapOpenFile(task.regionFd, task.regionBytes));
  if (!mayPass(task.gate)) return;
  const { cells } = region.shards[task.index]!;
  cells[ShardCell.Thread] = threadId;
  const ring = mapRing(task, cells);
  if (task.skip === true) dropBurst(ring);
  const shard = new Shard(region, task.index, ring, {
    relax: native().yieldCpu,
    kick: () => native().signal(task.control),
    wake: (other) => wake(region, other, task.wakes[other]!),
    openTap: tapOpener(cells),
  });
  cells[ShardCell.State] = ShardState.Running;
  try {
    const time = new LoopTime(region.shards[task.index]!.counters.shard);
    turnUntilStopped(shard, ring, cells, new Waiting(task.wait), time);
    shard.rest();
  } finally {
    cells[ShardCell.State] = ShardState.Ended;
    ring.close();
  }
}

function mapRing({ sockets }: ShardTask, cells: Int32Array): Ring {
  const state = { cells, position: ShardCell.RingPosition, drops: ShardCell.Drops };
  return isXdp(sockets) ? new XdpRing(sockets, state) : new PacketRing(sockets, state);
}

function dropBurst(ring: Ring): void {
  ring.peek(createBurst());
  ring.release();
}

/** Waits at the gate, if there is one; false when there is nothing to do after all. */
function mayPass(gate: Int32Array | undefined): boolean {
  if (gate === undefined) return true;
  Atomics.add(gate, Gate.Arrived, 1);
  Atomics.wait(gate, Gate.Word, GateWord.Wait);
  return Atomics.load(gate, Gate.Word) === GateWord.Go;
}

function turnUntilStopped(
  shard: Shard,
  ring: Ring,
  cells: Int32Array,
  waiting: Waiting,
  time: LoopTime,
): void {
  const { monotonic } = native();
  const turn = (now: number): number => {
    time.at(now);
    const frames = shard.turn(now);
    time.handled(frames, now);
    return frames;
  };
  while (Atomics.load(cells, ShardCell.Stop) === 0) {
    const now = monotonic();
    if (!waiting.maySleep(turn(now), now)) continue;
    // Whoever hands over work looks at this word after it has laid the work down; we look for work after writing it.
    Atomics.store(cells, ShardCell.Sleeping, 1);
    if (turn(monotonic()) === 0 && Atomics.load(cells, ShardCell.Stop) === 0) ring.wait(LONGEST_SLEEP);
    Atomics.store(cells, ShardCell.Sleeping, 0);
  }
}

/** Wakes a shard if it sleeps. */
export function wake(region: Region, shard: number, fd: number): void {
  if (Atomics.load(region.shards[shard]!.cells, ShardCell.Sleeping) === 1) native().signal(fd);
}

/** piscina calls a worker file's default export. */
// biome-ignore lint/style/noDefaultExport: piscina wants it
export default runShard;
