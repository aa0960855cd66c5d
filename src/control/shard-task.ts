/** What the control thread tells a worker thread: everything a shard needs, as plain numbers and texts. */
import type { PacketSockets } from "../ring/packet-sockets.ts";
import type { XdpSockets } from "../ring/xdp-sockets.ts";
import type { WaitStrategy } from "./waiting.ts";

/** What a shard maps its ring by. */
export type RingSockets = PacketSockets | XdpSockets;

export function isXdp(sockets: RingSockets): sockets is XdpSockets {
  return "mode" in sockets;
}

export interface ShardTask {
  readonly index: number;
  /** The region's descriptor and length; descriptors belong to the process, so the number is enough. */
  readonly regionFd: number;
  readonly regionBytes: number;
  readonly sockets: RingSockets;
  /** Every shard's eventfd, by shard. */
  readonly wakes: readonly number[];
  /** The control thread's eventfd. */
  readonly control: number;
  readonly wait: WaitStrategy;
  /** CPU to stay on, -1 for any. */
  readonly cpu: number;
  /** Modules with users' schedulers. */
  readonly schedulers: readonly string[];
  /** The first burst in the ring is dropped: threads died of it. */
  readonly skip?: boolean;
  /** A thread that was made ready ahead of time waits here (Gate), before it touches anything. */
  readonly gate?: Int32Array;
}

/** Words of `ShardTask.gate`, in a SharedArrayBuffer: what to do, and how many threads stand before it. */
export const Gate = { Word: 0, Arrived: 1 } as const;
export const GateWord = { Wait: 0, Go: 1, Home: 2 } as const;

/** ShardCell.State: what a shard's thread is doing, for people and for the host. */
export const ShardState = { Off: 0, Starting: 1, Running: 2, Ended: 3 } as const;

/** Longest sleep, ms: timers of an idle shard are at most so late, and its heartbeat is never older. */
export const LONGEST_SLEEP = 100;
