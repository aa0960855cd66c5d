/**
 * Taps: whoever wants to see frames (a capture, the page's live events) subscribes here. While somebody does, every
 * shard has a queue in shared memory and fills it; this thread empties the queues and gives each record to whom it
 * concerns. With nobody the shards have no tap at all.
 */
import { mapOpenFile, native } from "../ring/native.ts";
import { type Region, ShardCell } from "../table/region.ts";
import {
  EVERYTHING,
  TAP_BYTES,
  type TapFilter,
  TapKind,
  TapQueue,
  type TapRecord,
  tapMemory,
} from "../table/tap.ts";
import { addressesOf } from "../wire/packet-addresses.ts";

export interface TapSubscriber {
  readonly filter: TapFilter;
  /** Every record of any shard that its filter asks for; with `every`, and others watching too, perhaps more. */
  see(record: Readonly<TapRecord>, shard: number): void;
  /** After each emptying that brought something or missed something; `missed` counts frames since it subscribed. */
  emptied(missed: number): void;
}

/** How often the queues are emptied, ms: 4 MiB hold 10 ms of 400 MB/s. */
const EMPTY_MS = 10;
/** Records of one shard at one emptying, so that ARP and commands get their turn. */
const MOST = 8192;

interface ShardQueue {
  readonly fd: number;
  readonly queue: TapQueue;
}

export class Taps {
  readonly #region: Region;
  readonly #capacity: number;
  readonly #subscribers = new Map<TapSubscriber, number>();
  #queues: ShardQueue[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** `capacity` is each shard's room for records, a power of two of bytes. */
  constructor(region: Region, capacity: number = TAP_BYTES) {
    this.#region = region;
    this.#capacity = capacity;
  }

  /** Begins to show frames to the subscriber; returns what ends it. */
  subscribe(subscriber: TapSubscriber): () => void {
    if (this.#queues.length === 0) this.#queues = this.#region.shards.map(() => this.#makeQueue());
    if (this.#subscribers.size === 0) for (const { queue } of this.#queues) queue.take(() => {});
    this.#subscribers.set(subscriber, this.#missed());
    this.#settle();
    this.#timer ??= setInterval(() => this.empty(), EMPTY_MS);
    return () => {
      if (!this.#subscribers.delete(subscriber)) return;
      this.#settle();
      if (this.#subscribers.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    };
  }

  /** Gives the subscribers what has come since the last time. */
  empty(): void {
    let count = 0;
    for (const [shard, { queue }] of this.#queues.entries()) {
      count += queue.take((record) => {
        for (const subscriber of this.#subscribers.keys())
          if (this.#subscribers.size === 1 || matches(record, subscriber.filter))
            subscriber.see(record, shard);
      }, MOST);
      // A shard's thread that was started again does not know of the tap.
      if (this.#subscribers.size > 0) this.#turnOn(shard);
    }
    for (const [subscriber, missed] of this.#subscribers) {
      const since = this.#missed() - missed;
      if (count > 0 || since > 0) subscriber.emptied(since);
    }
  }

  close(): void {
    this.#subscribers.clear();
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#settle();
    for (const { fd } of this.#queues) native().close(fd);
    this.#queues = [];
  }

  #makeQueue(): ShardQueue {
    const bytes = tapMemory(this.#capacity);
    const fd = native().memfd("dr-director-tap", bytes);
    return { fd, queue: new TapQueue(mapOpenFile(fd, bytes), this.#capacity) };
  }

  #missed(): number {
    return this.#queues.reduce((sum, { queue }) => sum + queue.missed, 0);
  }

  /** Tells the shards what is wanted now, or that nothing is. */
  #settle(): void {
    if (this.#subscribers.size === 0) {
      // Not what somebody has written who took the region over.
      for (const [shard, { fd }] of this.#queues.entries())
        Atomics.compareExchange(this.#region.shards[shard]!.cells, ShardCell.Tap, fd + 1, 0);
      return;
    }
    const filter = unionOf([...this.#subscribers.keys()].map((subscriber) => subscriber.filter));
    for (const [shard, { queue }] of this.#queues.entries()) {
      queue.setFilter(filter);
      this.#turnOn(shard);
    }
  }

  #turnOn(shard: number): void {
    const { cells } = this.#region.shards[shard]!;
    const word = this.#queues[shard]!.fd + 1;
    if (cells[ShardCell.Tap] === word) return;
    cells[ShardCell.TapBytes] = this.#capacity;
    Atomics.store(cells, ShardCell.Tap, word);
  }
}

/** Does the filter ask for this record? The shard asks the same of a frame, by its flow. */
function matches(record: Readonly<TapRecord>, filter: TapFilter): boolean {
  if ((filter.verdicts & (1 << record.verdict)) === 0) return false;
  if (filter.service >= 0 && record.service !== filter.service) return false;
  if (filter.clientMask.every((word) => word === 0)) return true;
  const { bytes } = record;
  const addresses = addressesOf(bytes);
  const client = record.kind === TapKind.Answer ? addresses?.destination : addresses?.source;
  if (client === undefined) return false;
  return client.every((word, w) => ((word ^ filter.client[w]!) & filter.clientMask[w]!) === 0);
}

/** What lets through whatever one of them lets through. */
export function unionOf(filters: readonly TapFilter[]): TapFilter {
  const [first = EVERYTHING, ...others] = filters;
  return others.reduce((a, b) => {
    const same = (x: readonly number[], y: readonly number[]) => x.every((word, w) => word === y[w]);
    const client = same(a.client, b.client) && same(a.clientMask, b.clientMask);
    return {
      snap: Math.max(a.snap, b.snap),
      every: Math.min(a.every, b.every),
      verdicts: a.verdicts | b.verdicts,
      service: a.service === b.service ? a.service : EVERYTHING.service,
      client: client ? a.client : EVERYTHING.client,
      clientMask: client ? a.clientMask : EVERYTHING.clientMask,
    };
  }, first);
}
