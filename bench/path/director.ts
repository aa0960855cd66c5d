/** Our director and the reference over the same ring, with the same services, real servers and hash seed. */
import { Commands } from "../../src/control/commands.ts";
import { Shard } from "../../src/dataplane/shard.ts";
import { native } from "../../src/ring/native.ts";
import { registerBuiltIn } from "../../src/schedulers/built-in.ts";
import { TICK } from "../../src/table/connections.ts";
import { beginChange, endChange } from "../../src/table/generation.ts";
import { NeighbourState } from "../../src/table/neighbours.ts";
import {
  createRegion,
  DEFAULT_SIZES,
  Header,
  type Region,
  regionBytes,
  type Sizes,
} from "../../src/table/region.ts";
import { Setting } from "../../src/table/settings.ts";
import { formatIpv4 } from "../../src/wire/address.ts";
import { SERVICE_PORT, serviceAddress } from "./flows.ts";
import { loadReference, type Reference, type ReferenceDirector } from "./reference.ts";
import { SlotRing } from "./slots.ts";

export const OUR_MAC = { hi: 0x0200, lo: 0xd1a5_0001 };
const TCP = 6;
const SEED = 0x5eed_5eed;

export interface Shape {
  /** Room in the connection table. */
  readonly connections: number;
  readonly services: number;
  /** Of each service. */
  readonly destinations: number;
  readonly scheduler: string;
  /**
   * Of our side. All frames come to the first of them, and flows live where they arrive, as with AF_XDP: so what is
   * measured is what one shard does the others' sake for, not their threads.
   */
  readonly shards: number;
}

export interface Pair {
  readonly shape: Shape;
  readonly ring: SlotRing;
  readonly region: Region;
  readonly shard: Shard;
  readonly reference: Reference;
  readonly c: ReferenceDirector;
  /** The bench's own clock, ms: it moves only when a case says so. */
  now: number;
}

export function makePair(shape: Shape): Pair {
  const now = 1_000_000;
  const ring = new SlotRing();
  const region = makeRegion(shape, now);
  const reference = loadReference();
  const c = makeReference(reference, shape, now);
  return { shape, ring, region, shard: new Shard(region, 0, ring), reference, c, now };
}

/** Destination `d` counts over all services, in the order they are added. */
export function serverMac(d: number): { hi: number; lo: number } {
  return { hi: 0x0202, lo: 0x9000_0000 + d };
}

function makeReference(reference: Reference, shape: Shape, now: number): ReferenceDirector {
  const { connections, services, destinations, scheduler } = shape;
  const all = services * destinations;
  const c = reference.create(connections, services, all, SEED, OUR_MAC.hi, OUR_MAC.lo, now);
  for (let s = 0; s < services; s++) {
    reference.addService(c, TCP, serviceAddress(s), SERVICE_PORT, scheduler);
    for (let k = 0; k < destinations; k++) {
      const mac = serverMac(s * destinations + k);
      reference.addDestination(c, s, 1, mac.hi, mac.lo);
    }
  }
  return c;
}

/** The services of a shape in a region of its own, as the daemon would have them. */
export function makeRegion(shape: Shape, now: number): Region {
  registerBuiltIn();
  const sizes: Sizes = {
    ...DEFAULT_SIZES,
    shards: shape.shards,
    connections: shape.connections,
    neighbours: Math.max(DEFAULT_SIZES.neighbours, shape.services * shape.destinations),
  };
  const bytes = regionBytes(sizes);
  // A mapped file, as the daemon's.
  const memory = native().mapShared(native().memfd("bench", bytes), bytes, 0);
  const region = createRegion(memory, sizes, SEED, Math.floor(now / TICK));
  region.settings[Setting.mac_hi] = OUR_MAC.hi;
  region.settings[Setting.mac_lo] = OUR_MAC.lo;
  region.header[Header.ByArrival] = 1;
  const commands = new Commands(region, { now: () => now });
  for (let s = 0; s < shape.services; s++) addService(commands, shape, s);
  settleNeighbours(region);
  return region;
}

/** All real servers are known, as with static entries. */
function settleNeighbours(region: Region): void {
  const { neighbours, destinations } = region;
  beginChange(region.header, Header.NeighbourGeneration);
  for (let d = 0; d < destinations.capacity; d++) {
    const n = destinations.neighbour[d]!;
    if (n < 0) continue;
    neighbours.macHi[n] = serverMac(d).hi;
    neighbours.macLo[n] = serverMac(d).lo;
    neighbours.state[n] = NeighbourState.Permanent;
  }
  endChange(region.header, Header.NeighbourGeneration);
}

function addService(commands: Commands, shape: Shape, s: number): void {
  const address = formatIpv4(serviceAddress(s));
  const key = { protocol: "tcp", family: 4, address, port: SERVICE_PORT, mark: 0 } as const;
  commands.addService({
    key,
    scheduler: shape.scheduler,
    flags: 0,
    persistence: 0,
    netmask: "255.255.255.255",
    onePacket: false,
  });
  for (let k = 0; k < shape.destinations; k++) {
    const server = formatIpv4(0x0a640001 + s * shape.destinations + k); // 10.100.0.1 …
    commands.addServer(key, {
      address: server,
      port: SERVICE_PORT,
      weight: 1,
      method: "route",
      upper: 0,
      lower: 0,
    });
  }
}
