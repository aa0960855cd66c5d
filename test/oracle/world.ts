/**
 * The recordings' fixed world around the real thing: a region, the commands over it, one shard with its ring, and the
 * scenario's clock.
 */
import { attachCommands, type Commands } from "../../src/control/commands.ts";
import { Shard } from "../../src/dataplane/shard.ts";
import { VERDICTS, Verdict } from "../../src/dataplane/verdict.ts";
import { MemoryRing } from "../../src/ring/memory-ring.ts";
import { registerBuiltIn } from "../../src/schedulers/built-in.ts";
import { findScheduler } from "../../src/schedulers/registry.ts";
import { TICK } from "../../src/table/connections.ts";
import { beginChange, endChange } from "../../src/table/generation.ts";
import { NeighbourState } from "../../src/table/neighbours.ts";
import { PLACE_VIPS } from "../../src/table/place.ts";
import { createRegion, Header, type Region, regionBytes } from "../../src/table/region.ts";
import { Setting } from "../../src/table/settings.ts";
import { parseAddress, parseIpv4, parseMac, type Words } from "../../src/wire/address.ts";
import { contains, parseCidr } from "../../src/wire/network.ts";

export const DIRECTOR_MAC = parseMac("02:00:00:00:00:01")!;
export const GATEWAY_MAC = parseMac("02:00:00:00:00:fe")!;
const SERVERS = 10;
const VIPS = ["10.0.0.100", "10.0.0.101", "2001:db8::100"];
/** Routed to the machine itself, for schedulers that look at the destination address. */
const LOCAL_NETWORK = parseCidr("198.51.100.0/24")!;
const DIP = "10.0.0.1";
const DIP6 = "2001:db8::1";

const SIZES = {
  shards: 1,
  services: 64,
  destinations: 512,
  connections: 4096,
  templates: 4096,
  neighbours: 64,
};
/** The longest IP packet and its Ethernet header. */
const SLOT = 65_564;
/** A moment after the machine's start; not 0, which tables take for "never". */
const BEGIN = 1_000_000;

/** The last byte of a real server's MAC is its number. */
export function serverMac(n: number): { hi: number; lo: number } {
  return { hi: DIRECTOR_MAC.hi, lo: 0x0000_0100 + n };
}

export class World {
  /** Addresses that the machine has besides the fixed ones. */
  readonly #added: Words[] = [];
  readonly region: Region;
  readonly commands: Commands;
  readonly #shards: readonly Shard[];
  readonly #rings: readonly MemoryRing[];
  #frames = 0;
  /** Scenario seconds. */
  t = 0;

  /** With several shards each frame arrives at the next one, which is mostly not where its flow lives. */
  constructor(kernel: string, shards = 1) {
    registerBuiltIn();
    const sizes = { ...SIZES, shards };
    this.region = createRegion(new ArrayBuffer(regionBytes(sizes)), sizes, 0x5eed, BEGIN / TICK);
    setUp(this.region, kernel);
    this.commands = attachCommands(this.region, {
      now: () => this.now,
      addresses: { isLocal, isBroadcast: (a) => a[3] === parseIpv4("10.0.0.255") },
      // The recorded kernels were built without CONFIG_IP_VS_TWOS.
      schedulers: (name) => (name === "twos" ? undefined : findScheduler(name)),
      info: { size: 4096 },
    });
    this.#rings = Array.from({ length: shards }, () => new MemoryRing({ slots: 4, slotBytes: SLOT }));
    this.#shards = this.#rings.map((ring, index) => new Shard(this.region, index, ring));
    this.#turn();
  }

  /** `ip addr add`. */
  addAddress(text: string): void {
    const address = parseAddress(text);
    if (address !== undefined) this.#added.push(address);
  }

  /** `ip addr del`. */
  removeAddress(text: string): void {
    const address = parseAddress(text);
    const at = this.#added.findIndex((one) => address !== undefined && same(one, address));
    if (at >= 0) this.#added.splice(at, 1);
  }

  /** `ip neigh replace`: the real server has another MAC. */
  setNeighbour(text: string, mac: string): void {
    const { neighbours, header } = this.region;
    const address = parseAddress(text);
    const link = parseMac(mac);
    if (address === undefined || link === undefined) return;
    for (let row = 0; row < neighbours.capacity; row++) {
      if (!address.every((word, w) => neighbours.address[row * 4 + w] === word)) continue;
      neighbours.macHi[row] = link.hi;
      neighbours.macLo[row] = link.lo;
    }
    header[Header.NeighbourGeneration]! += 2;
  }

  /** Is it an address of the machine? The kernel balances no others (it looks in LOCAL_IN). */
  hasAddress(text: string): boolean {
    const address = parseAddress(text);
    if (address === undefined) return false;
    return (
      isLocal(address) || contains(LOCAL_NETWORK, address) || this.#added.some((one) => same(one, address))
    );
  }

  /** Milliseconds of the director's clock. */
  get now(): number {
    return this.nowAt(this.t);
  }

  nowAt(t: number): number {
    return BEGIN + Math.round(t * 1000);
  }

  /** Lets time pass, with what happens once a second. */
  advance(t: number): void {
    while (this.t < t) {
      this.t = Math.min(t, Math.floor(this.t) + 1);
      this.#turn();
      this.commands.sweep(this.now);
    }
  }

  /** One frame through the data path: what was sent, and the verdict's number. */
  inject(frame: Uint8Array): { sent: Uint8Array[]; verdict: number } {
    const before = this.#verdicts();
    for (const ring of this.#rings) ring.takeSent();
    this.#rings[this.#frames++ % this.#rings.length]!.inject(frame);
    // Frames that were handed over or waited for this one take part in later bursts.
    for (let turn = 0; turn < 4; turn++) this.#turn();
    const after = this.#verdicts();
    const verdict = after.findIndex((count, v) => v !== Verdict.HandedOver && count > before[v]!);
    return { sent: this.#rings.flatMap((ring) => ring.takeSent()), verdict };
  }

  #turn(): void {
    for (const shard of this.#shards) shard.turn(this.now);
  }

  #verdicts(): Float64Array {
    const sums = new Float64Array(VERDICTS);
    for (const { counters } of this.region.shards) {
      for (let v = 0; v < VERDICTS; v++) sums[v]! += counters.verdict[v]!;
    }
    return sums;
  }
}

function same(a: Words, b: Words): boolean {
  return a.every((word, w) => word === b[w]);
}

function isLocal(address: Words): boolean {
  return [DIP, DIP6, ...VIPS].some((text) => same(parseAddress(text)!, address));
}

/** Is it from before 6.1.183, where overhead and threshold edits changed (IPVS-FACTS 8, 9)? */
function isOlder(kernel: string): boolean {
  const [major = 0, minor = 0, patch = 0] = kernel.split(/[.-]/).map(Number);
  if (major !== 6 || minor !== 1) return major < 6 || (major === 6 && minor < 1);
  return patch < 183;
}

function setUp(region: Region, kernel: string): void {
  const { settings, place, header } = region;
  beginChange(header, Header.Generation);
  settings[Setting.mac_hi] = DIRECTOR_MAC.hi;
  settings[Setting.mac_lo] = DIRECTOR_MAC.lo;
  settings[Setting.dip] = parseIpv4(DIP)!;
  settings[Setting.ttl] = 1;
  settings[Setting.icmp_msgs_per_sec] = 0;
  settings[Setting.icmp_ratelimit] = 0;
  if (isOlder(kernel)) {
    settings[Setting.overhead_257] = 0;
    settings[Setting.overload_on_edit] = 0;
  }
  for (const [i, vip] of VIPS.entries()) place.vips.set(parseAddress(vip)!, i * 4);
  place.counts[PLACE_VIPS] = VIPS.length;
  setNeighbours(region);
  endChange(header, Header.Generation);
}

/** Static neighbours: rs3 is 10.0.0.13 and 2001:db8::13. */
function setNeighbours(region: Region): void {
  const { neighbours, header } = region;
  let row = 0;
  for (let n = 1; n <= SERVERS; n++) {
    for (const address of [`10.0.0.${10 + n}`, `2001:db8::${10 + n}`]) {
      neighbours.address.set(parseAddress(address)!, row * 4);
      neighbours.macHi[row] = serverMac(n).hi;
      neighbours.macLo[row] = serverMac(n).lo;
      neighbours.state[row] = NeighbourState.Permanent;
      row++;
    }
  }
  header[Header.NeighbourGeneration]! += 2;
}
