/**
 * The region: every table of a director in one buffer, in practice a file under /run mapped by all threads, so that
 * state outlives the process. Its header says who made it and how it is laid out; `openRegion` refuses what it does
 * not know (another version, other sizes, torn) with a reason, and never half-reads it.
 */
import { Columns } from "./columns.ts";
import { Connections } from "./connections.ts";
import { type Counters, layCounters } from "./counters.ts";
import { type Destinations, layDestinations } from "./destinations.ts";
import { Handover } from "./handover.ts";
import { layMarks, type Marks } from "./marks.ts";
import { layNeighbours, type Neighbours } from "./neighbours.ts";
import { layPlace, type Place } from "./place.ts";
import { layServices, NONE, type Services } from "./services.ts";
import { SETTINGS, setDefaults } from "./settings.ts";

export interface Sizes {
  readonly shards: number;
  readonly services: number;
  readonly destinations: number;
  /** Connections per shard. */
  readonly connections: number;
  /** Persistence templates, all shards together. */
  readonly templates: number;
  readonly neighbours: number;
}

export const DEFAULT_SIZES: Sizes = {
  shards: 1,
  services: 8192,
  destinations: 131_072,
  connections: 262_144,
  templates: 65_536,
  neighbours: 4096,
};

/** "DRd1" as a little-endian word: on a machine of the other byte order it reads differently and is refused. */
const MAGIC = 0x31_64_52_44;
/** Moves whenever a column, a row or a meaning changes. */
export const REGION_VERSION = 1;

/** Words of the header. */
export const Header = {
  Magic: 0,
  Version: 1,
  Bytes: 2, //       low word of the region's size
  BytesHigh: 3,
  Shards: 4,
  Services: 5,
  Destinations: 6,
  Connections: 7,
  Templates: 8,
  Neighbours: 9,
  Seed: 10,
  Whole: 11, //      1 once the region was laid out completely
  Clean: 12, //      1 when its last owner ended in order
  Owner: 13, //      process id of the owner
  Boot: 14, //       a word that differs between boots of the machine: its clock starts anew
  Config: 15, //     digest of the services last taken from a config file, so that an unchanged one undoes nothing
  /** The change counter, generation.ts: on its own cache line. */
  Generation: 16,
  /** Moves when a neighbour's MAC or usability changed. */
  NeighbourGeneration: 17,
  /** Virtual services of IPv4 and IPv6: with none of its family the kernel's hooks are gone (IPVS-FACTS 6). */
  Services4: 18,
  Services6: 19,
  /**
   * 0: a flow lives in the shard of its hash. 1: in the shard where it arrived first (dataplane/elsewhere.ts). Read
   * when a shard begins.
   */
  ByArrival: 20,
  /** Counts destinations that were deleted while expire_nodest_conn was on: shards then end their connections. */
  Departures: 21,
  /** Guards the persistence templates, lock.ts. */
  TemplateLock: 32,
  /** Three doubles: what all destinations together had counted at the last --zero of everything. */
  TotalZero: 40,
  /** Every shard's stop and state words follow from here. */
  Words: 64,
} as const;

/** Words of `ShardRegion.cells`. */
export const ShardCell = {
  /** 1 asks the shard to stop. */
  Stop: 0,
  /** ShardState, written by the shard. */
  State: 1,
  /** Where the ring stands, so that a new thread goes on with the next frame. */
  RingPosition: 2,
  /** 1 while the shard sleeps in poll(): whoever has work for it must wake it. */
  Sleeping: 3,
  /** The shard's thread id, for people. */
  Thread: 4,
  /** Counts the shard's turns (wraps): a standing one is a hung shard. */
  Beat: 5,
  /** drop_packet's counter. */
  DropCounter: 6,
  /** CPU the shard is pinned to, -1 for none. */
  Cpu: 7,
  /** Frames the kernel dropped before the ring (wraps), so that the count outlives thread and process. */
  Drops: 8,
  /** The tap's descriptor + 1 while somebody looks on (table/tap.ts), else 0; and its bytes. */
  Tap: 9,
  TapBytes: 10,
  /** The service + 1 whose scheduler the shard is asking, else 0: who is to blame when it hangs. */
  Service: 11,
} as const;
export const SHARD_CELLS = 64;

export interface ShardRegion {
  readonly connections: Connections;
  readonly counters: Counters;
  readonly cells: Int32Array;
  /** Queues of frames from the other shards: `inbox[from]`; its own place stays empty. */
  readonly inbox: readonly Handover[];
}

export interface Region {
  readonly sizes: Sizes;
  readonly bytes: number;
  readonly header: Int32Array;
  readonly settings: Int32Array;
  readonly services: Services;
  readonly destinations: Destinations;
  readonly neighbours: Neighbours;
  readonly place: Place;
  readonly marks: Marks;
  readonly templates: Connections;
  readonly shards: readonly ShardRegion[];
}

export class RegionError extends Error {
  override readonly name = "RegionError";
}

function lay(buffer: ArrayBufferLike | undefined, sizes: Sizes): Region {
  const columns = new Columns(buffer);
  const header = columns.int32(Header.Words);
  const settings = columns.int32(SETTINGS);
  const services = layServices(columns, sizes.services);
  const destinations = layDestinations(columns, sizes.destinations);
  const neighbours = layNeighbours(columns, sizes.neighbours, sizes.shards);
  const place = layPlace(columns);
  const marks = layMarks(columns);
  const templates = new Connections(columns, sizes.templates);
  const shards = Array.from({ length: sizes.shards }, () => ({
    connections: new Connections(columns, sizes.connections),
    counters: layCounters(columns, sizes.destinations),
    cells: columns.int32(SHARD_CELLS),
    inbox: Array.from({ length: sizes.shards > 1 ? sizes.shards : 0 }, () => new Handover(columns)),
  }));
  const bytes = columns.bytes;
  return {
    sizes,
    bytes,
    header,
    settings,
    services,
    destinations,
    neighbours,
    place,
    marks,
    templates,
    shards,
  };
}

/** Bytes a region of these sizes needs. */
export function regionBytes(sizes: Sizes): number {
  return lay(undefined, sizes).bytes;
}

/** Lays a new region out in `buffer`, which must be zeroed. `seed` is the hash secret, `tick` the time now. */
export function createRegion(buffer: ArrayBufferLike, sizes: Sizes, seed: number, tick: number): Region {
  const region = lay(buffer, sizes);
  const { header } = region;
  header[Header.Magic] = MAGIC;
  header[Header.Version] = REGION_VERSION;
  header[Header.Bytes] = region.bytes >>> 0;
  header[Header.BytesHigh] = Math.floor(region.bytes / 2 ** 32);
  header[Header.Shards] = sizes.shards;
  header[Header.Services] = sizes.services;
  header[Header.Destinations] = sizes.destinations;
  header[Header.Connections] = sizes.connections;
  header[Header.Templates] = sizes.templates;
  header[Header.Neighbours] = sizes.neighbours;
  header[Header.Seed] = seed;
  setDefaults(region.settings);
  region.services.first.fill(NONE);
  region.destinations.next.fill(NONE);
  region.destinations.service.fill(NONE);
  region.destinations.neighbour.fill(NONE);
  region.templates.startClock(tick);
  for (const shard of region.shards) shard.connections.startClock(tick);
  header[Header.Whole] = 1;
  return region;
}

/** What a buffer's header says of itself; throws RegionError with the reason when it is not one of ours. */
export function readSizes(buffer: ArrayBufferLike): Sizes {
  if (buffer.byteLength < Header.Words * 4) throw new RegionError("it is shorter than a header");
  const header = new Int32Array(buffer, 0, Header.Words);
  if (header[Header.Magic] !== MAGIC) throw new RegionError("it does not begin as a dr-director region does");
  if (header[Header.Version] !== REGION_VERSION) {
    throw new RegionError(
      `it has layout version ${header[Header.Version]}, this program knows ${REGION_VERSION}`,
    );
  }
  if (header[Header.Whole] !== 1) throw new RegionError("it was never completely laid out");
  const sizes: Sizes = {
    shards: header[Header.Shards]!,
    services: header[Header.Services]!,
    destinations: header[Header.Destinations]!,
    connections: header[Header.Connections]!,
    templates: header[Header.Templates]!,
    neighbours: header[Header.Neighbours]!,
  };
  if (Object.values(sizes).some((n) => n < 1 || n > 2 ** 27) || sizes.shards > 256) {
    throw new RegionError("its sizes make no sense");
  }
  const bytes = (header[Header.Bytes]! >>> 0) + header[Header.BytesHigh]! * 2 ** 32;
  if (regionBytes(sizes) !== bytes || buffer.byteLength < bytes) {
    throw new RegionError(`it is ${buffer.byteLength} bytes long, its header speaks of ${bytes}`);
  }
  return sizes;
}

/** Opens a region that was made before, by this process or by one that is gone. */
export function openRegion(buffer: ArrayBufferLike): Region {
  return lay(buffer, readSizes(buffer));
}
