/**
 * A running director as a stream of events (server-sent, WHATWG HTML §9.2), for the page and for whoever teaches:
 *
 *     hello    who this is
 *     picture  twice a second: services, real servers, neighbours, verdicts, some of the connections
 *     frames   ten times a second at the most: a sample of the frames, each with its bytes and its story
 *     notice   what happened: a real server that does not answer, a shard that was started anew
 *
 * Nothing here can slow the data path: shards show frames through a bounded queue and never wait, a reader that is
 * slow loses frames and is told how many, and while nobody listens no frame is shown at all.
 */
import { listConnections } from "../control/connection-listing.ts";
import type { DirectorCounters } from "../control/counters.ts";
import type { DirectorListener } from "../control/events.ts";
import type { ConnectionListing, ServiceListing } from "../control/model.ts";
import type { NeighbourListing } from "../control/neighbours.ts";
import type { TapSubscriber } from "../control/taps.ts";
import { ShardCount } from "../table/counters.ts";
import type { Region } from "../table/region.ts";
import { EVERYTHING, type TapFilter, type TapRecord } from "../table/tap.ts";
import type { LiveFrame, LivePicture } from "./live-events.ts";
import { FramePairs } from "./live-frame.ts";

/** What events are made of: the director, or a test's stand-in. */
export interface LiveSource {
  readonly region: Region;
  counters(): DirectorCounters;
  services(): Iterable<ServiceListing>;
  neighbours(): readonly NeighbourListing[];
  on(listener: DirectorListener): () => void;
}

export interface TapHub {
  subscribe(subscriber: TapSubscriber): () => void;
}

export interface LiveOptions {
  readonly source: LiveSource;
  readonly taps: TapHub;
  /** Who this is: the interface's name. */
  readonly label: string;
  /** ms of the shards' clock. */
  readonly now: () => number;
}

/** Where events go. */
export interface LiveSink {
  write(text: string): void;
  /** Bytes that wait for the reader. */
  readonly waiting: number;
}

const PICTURE_MS = 500;
const FRAMES_MS = 100;
/** Frames told of in one batch at the most: sixty a second can still be looked at. */
const BATCH = 6;
const SNAP = 256;
const SERVICES = 64;
/** Those that are told of connections, chosen from so many. */
const CONNECTIONS = 60;
const CONNECTIONS_SEEN = 1000;
const NEIGHBOURS = 64;
/** A reader for whom so many bytes wait gets no more until it has caught up. */
const PENDING = 256 * 1024;
/** Records a second that are looked at to choose from; above it a shard shows only one frame in so many. */
const WANTED = 240;

interface Reader {
  readonly sink: LiveSink;
  skipped: number;
}

export class Live {
  readonly #options: LiveOptions;
  readonly #readers = new Set<Reader>();
  #timers: NodeJS.Timeout[] = [];
  #deaf: (() => void) | undefined;
  #watch: Watch | undefined;

  constructor(options: LiveOptions) {
    this.#options = options;
  }

  get readers(): number {
    return this.#readers.size;
  }

  /** Sends events to `sink` until what it returns is called. */
  attach(sink: LiveSink): () => void {
    const reader: Reader = { sink, skipped: 0 };
    this.#readers.add(reader);
    if (this.#readers.size === 1) this.#begin();
    sink.write(`retry: 1000\n\n${eventText("hello", { label: this.#options.label, version: 1 })}`);
    sink.write(eventText("picture", this.#picture()));
    return () => {
      if (this.#readers.delete(reader) && this.#readers.size === 0) this.#end();
    };
  }

  close(): void {
    this.#readers.clear();
    this.#end();
  }

  #begin(): void {
    const { source, taps, now } = this.#options;
    this.#watch = new Watch(source.region, taps, now);
    this.#deaf = source.on(({ level, name, message }) => {
      if (level !== "debug") this.#tell("notice", { level, name, message });
    });
    this.#timers = [
      setInterval(() => this.#tell("picture", this.#picture()), PICTURE_MS),
      setInterval(() => this.#tellFrames(), FRAMES_MS),
    ];
  }

  #end(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers = [];
    this.#deaf?.();
    this.#watch?.close();
    this.#watch = undefined;
  }

  #tellFrames(): void {
    const frames = this.#watch?.take() ?? [];
    if (frames.length > 0) this.#tell("frames", { frames }, frames.length);
  }

  #tell(event: string, data: object, frames = 0): void {
    let text: string | undefined;
    for (const reader of this.#readers) {
      if (reader.sink.waiting > PENDING) {
        reader.skipped += frames;
        continue;
      }
      if (reader.skipped > 0) {
        reader.sink.write(eventText("skipped", { frames: reader.skipped }));
        reader.skipped = 0;
      }
      text ??= eventText(event, data);
      reader.sink.write(text);
    }
  }

  #picture(): LivePicture {
    const { source, now } = this.#options;
    const { received, verdicts } = source.counters();
    const shards = source.region.shards;
    return {
      time: now(),
      services: first(source.services(), SERVICES),
      neighbours: source.neighbours().slice(0, NEIGHBOURS),
      connections: liveliest(first(listConnections(source.region, now()), CONNECTIONS_SEEN)),
      connectionCount: shards.reduce((sum, shard) => sum + shard.connections.live, 0),
      received,
      verdicts: { ...verdicts },
      frames: this.#watch?.frames ?? 0,
      told: this.#watch?.told ?? 0,
    };
  }
}

/** Follows the taps at a rate that can be looked at, however many frames pass. */
class Watch implements TapSubscriber {
  filter: TapFilter = { ...EVERYTHING, snap: SNAP };
  told = 0;
  readonly #received: () => number;
  readonly #begin: number;
  readonly #taps: TapHub;
  readonly #now: () => number;
  readonly #pairs: readonly FramePairs[];
  #leave: () => void;
  #batch: LiveFrame[] = [];
  #id = 0;
  #seen = 0;
  #since: number;

  constructor(region: Region, taps: TapHub, now: () => number) {
    this.#taps = taps;
    this.#now = now;
    this.#since = now();
    this.#received = () => receivedBy(region);
    this.#begin = this.#received();
    this.#pairs = region.shards.map((_, shard) => new FramePairs(region, shard));
    this.#leave = taps.subscribe(this);
  }

  /** Frames the director received since this watch began. */
  get frames(): number {
    return this.#received() - this.#begin;
  }

  see(record: Readonly<TapRecord>, shard: number): void {
    this.#seen++;
    // A new connection is worth more than one more frame of an old one: it finds room when the batch is full.
    if (this.#batch.length >= BATCH * 4) return;
    const frame = this.#pairs[shard]!.take(record, this.#id + 1, this.#now());
    if (frame === undefined) return;
    this.#id++;
    this.#batch.push(frame);
  }

  emptied(): void {}

  /** What is told of the last tenth of a second. */
  take(): LiveFrame[] {
    this.#adapt();
    const batch = this.#batch;
    this.#batch = [];
    if (batch.length > BATCH) {
      const weight = (frame: LiveFrame): number => (frame.scheduling !== null || frame.late ? 0 : 1);
      batch.sort((a, b) => weight(a) - weight(b) || a.id - b.id);
      batch.length = BATCH;
      batch.sort((a, b) => a.id - b.id);
    }
    this.told += batch.length;
    return batch;
  }

  /** Once a second: so that the shards copy about as many frames as are looked at, and no more. */
  #adapt(): void {
    const elapsed = this.#now() - this.#since;
    if (elapsed < 1000) return;
    const rate = (this.#seen / elapsed) * 1000 * this.filter.every;
    const every = Math.max(1, Math.ceil(rate / WANTED));
    this.#since = this.#now();
    this.#seen = 0;
    if (every === this.filter.every) return;
    this.#leave();
    this.filter = { ...this.filter, every };
    this.#leave = this.#taps.subscribe(this);
  }

  close(): void {
    this.#leave();
  }
}

function receivedBy({ shards }: Region): number {
  return shards.reduce((sum, { counters }) => sum + counters.shard[ShardCount.Received]!, 0);
}

function first<T>(items: Iterable<T>, most: number): T[] {
  const taken: T[] = [];
  for (const item of items) {
    if (taken.length === most) break;
    taken.push(item);
  }
  return taken;
}

/** Those that will last longest: established ones and the latest come first, those that have ended last. */
function liveliest(connections: ConnectionListing[]): ConnectionListing[] {
  return connections.sort((a, b) => b.expiresSeconds - a.expiresSeconds).slice(0, CONNECTIONS);
}

/** JSON has no line breaks of its own, so one data line holds it. */
export function eventText(event: string, data: object): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
