/** The director of this page: the same core as the daemon's, over a region in this browser's memory. */
import { attachCommands, type Commands } from "../../../src/control/commands.ts";
import { listConnections } from "../../../src/control/connection-listing.ts";
import { readCounters } from "../../../src/control/counters.ts";
import type { ConnectionListing, ServiceKey, ServiceListing } from "../../../src/control/model.ts";
import { NeighbourKeeper } from "../../../src/control/neighbours.ts";
import type { Context } from "../../../src/dataplane/context.ts";
import { explain } from "../../../src/dataplane/explain.ts";
import type { Explanation } from "../../../src/dataplane/explanation.ts";
import { addressText, serverName } from "../../../src/dataplane/naming.ts";
import { Shard } from "../../../src/dataplane/shard.ts";
import type { Tap } from "../../../src/dataplane/tap.ts";
import { VERDICT_NAMES, Verdict } from "../../../src/dataplane/verdict.ts";
import { MemoryRing } from "../../../src/ring/memory-ring.ts";
import { registerBuiltIn } from "../../../src/schedulers/built-in.ts";
import { TICK } from "../../../src/table/connections.ts";
import { beginChange, endChange } from "../../../src/table/generation.ts";
import { createRegion, Header, type Region, regionBytes, type Sizes } from "../../../src/table/region.ts";
import { Setting, type SettingName } from "../../../src/table/settings.ts";
import type { Mac } from "../../../src/wire/address.ts";
import type { ArpPacket } from "../../../src/wire/value/arp.ts";
import type { VerdictName } from "../model.ts";

const SIZES: Sizes = {
  shards: 1,
  services: 16,
  destinations: 128,
  connections: 16_384,
  templates: 1024,
  neighbours: 128,
};
/** The longest frame a slot holds: dropped captures have super-frames. */
const SLOT_BYTES = 65_568;
const SLOTS = 64;

/** What became of one frame. */
export interface Outcome {
  readonly verdict: VerdictName;
  /** Address of the real server it was for. */
  readonly server: string | undefined;
  /** As it was sent on. */
  readonly after: Uint8Array | undefined;
  /** What the director answered in its stead. */
  readonly answers: readonly Uint8Array[];
  readonly explanation: Explanation | undefined;
}

/** A frame that had waited for its real server's MAC. */
export interface LateFrame {
  readonly verdict: VerdictName;
  readonly server: string;
  readonly bytes: Uint8Array;
}

export interface PageDirectorOptions {
  readonly mac: Mac;
  /** Its own address on the link, u32. */
  readonly dip: number;
  /** How the director asks who has an address: everybody, or one MAC. */
  readonly ask: (target: number, to?: Mac) => void;
  readonly onLate: (frame: LateFrame) => void;
}

/** Writes down what the shard did with the last burst. */
class Witness implements Tap {
  /** False saves the copies while thousands a second go by. */
  keep = true;
  server: string | undefined;
  after_: Uint8Array | undefined;
  answers: Uint8Array[] = [];
  verdict: VerdictName = "Forwarded";
  readonly #onLate: (frame: LateFrame) => void;

  constructor(onLate: (frame: LateFrame) => void) {
    this.#onLate = onLate;
  }

  before(): void {}

  after({ frames, ring, answers, region }: Context): void {
    if (!this.keep) return;
    const verdict = frames.verdict[0] as Verdict;
    const copy = (at: number, length: number): Uint8Array => ring.bytes.slice(at, at + length);
    this.verdict = VERDICT_NAMES[verdict]!;
    const chosen =
      verdict === Verdict.Forwarded || verdict === Verdict.Waiting || verdict === Verdict.NeighbourFailed;
    this.server = chosen ? serverName(region, frames.destination[0]!).address : undefined;
    this.after_ =
      verdict === Verdict.Forwarded ? copy(frames.burst.at[0]!, frames.burst.length[0]!) : undefined;
    this.answers = Array.from({ length: answers.count }, (_, a) => copy(answers.at(a), answers.length(a)));
  }

  late({ ring, region }: Context, at: number, length: number, neighbour: number, verdict: Verdict): void {
    const server = addressText(4, region.neighbours.address, neighbour * 4);
    this.#onLate({ verdict: VERDICT_NAMES[verdict]!, server, bytes: ring.bytes.slice(at, at + length) });
  }

  end(): void {}
}

export class PageDirector {
  readonly region: Region;
  readonly commands: Commands;
  readonly keeper: NeighbourKeeper;
  readonly #shard: Shard;
  readonly #ring: MemoryRing;
  readonly #witness: Witness;
  #now = 1000;
  #swept = 0;
  /** A frame wants a neighbour that is unknown, failed or stale. */
  #kicked = false;

  constructor(options: PageDirectorOptions) {
    registerBuiltIn();
    this.region = createRegion(new ArrayBuffer(regionBytes(SIZES)), SIZES, 0x5eed_1234, this.#now / TICK);
    this.commands = attachCommands(this.region, { now: () => this.#now });
    // The clusters of this page are of IPv4; IPv6 recordings come with their MACs.
    const link = { ask: options.ask, ask6: () => {} };
    // A page always draws the same reachable time: the lesson is the same for everybody.
    this.keeper = new NeighbourKeeper(this.region, link, { random: () => 0.5, wake: () => {} });
    this.#ring = new MemoryRing({ slots: SLOTS, slotBytes: SLOT_BYTES, record: false });
    this.#witness = new Witness(options.onLate);
    const kick = (): void => {
      this.#kicked = true;
    };
    this.#shard = new Shard(this.region, 0, this.#ring, { tap: this.#witness, kick });
    this.set("mac_hi", options.mac.hi);
    this.set("mac_lo", options.mac.lo);
    this.set("dip", options.dip);
    this.set("icmp_ratelimit", 0);
  }

  set(name: SettingName, value: number): void {
    beginChange(this.region.header, Header.Generation);
    this.region.settings[Setting[name]] = value;
    endChange(this.region.header, Header.Generation);
  }

  /** A frame comes in. With `told` its explanation is made first, over a copy of the tables. */
  receive(frame: Uint8Array, now: number, told: boolean): Outcome {
    this.#now = Math.max(now, this.#now);
    this.#shard.turn(this.#now);
    const explanation = told ? explain(this.region, frame, { now: this.#now }) : undefined;
    this.#ring.inject(frame);
    this.#shard.turn(this.#now);
    const { verdict, server, after_, answers } = this.#witness;
    this.#askWhoIsWanted();
    return { verdict, server, after: after_, answers, explanation };
  }

  /** Many frames come in and nobody looks at any one of them. */
  receiveMany(frames: Iterable<Uint8Array>, now: number): void {
    this.#now = Math.max(now, this.#now);
    this.#witness.keep = false;
    let waiting = 0;
    for (const frame of frames) {
      this.#ring.inject(frame);
      if (++waiting === SLOTS) waiting -= this.#shard.turn(this.#now);
    }
    this.#shard.turn(this.#now);
    this.#witness.keep = true;
    this.#askWhoIsWanted();
  }

  /** As the daemon does when a shard kicks it: the question goes out with the frame that needs the answer. */
  #askWhoIsWanted(): void {
    if (!this.#kicked) return;
    this.#kicked = false;
    this.keeper.tend(this.#now);
  }

  /** Time passes: timers, neighbours, deleted servers. */
  tend(now: number): void {
    this.#now = Math.max(now, this.#now);
    this.keeper.tend(this.#now);
    this.#shard.turn(this.#now);
    if (this.#now - this.#swept < 1000) return;
    this.#swept = this.#now;
    this.commands.sweep(this.#now);
  }

  heard(packet: ArpPacket, toUs: boolean, now: number): void {
    this.#now = Math.max(now, this.#now);
    this.keeper.heard(packet, toUs, this.#now);
    this.#shard.turn(this.#now);
  }

  services(): ServiceListing[] {
    const listing = this.commands.list("services");
    return listing.kind === "services" ? [...listing.services].reverse() : [];
  }

  /** Connections as `ipvsadm -Lnc` lists them, the latest first, at most `most`. */
  connections(most: number): { rows: ConnectionListing[]; count: number } {
    const count = this.region.shards[0]!.connections.live;
    const rows: ConnectionListing[] = [];
    for (const row of listConnections(this.region, this.#now)) rows.push(row);
    rows.sort((a, b) => b.expiresSeconds - a.expiresSeconds);
    return { rows: rows.slice(0, most), count };
  }

  counters(): { received: number; verdicts: Record<string, number> } {
    const { received, verdicts } = readCounters(this.region);
    return { received, verdicts: { ...verdicts } };
  }

  neighbours() {
    return this.keeper.list(this.#now);
  }

  setScheduler(key: ServiceKey, scheduler: string): void {
    const spec = this.services().find((service) => sameKey(service.key, key));
    if (spec === undefined) return;
    const { flags, persistence, netmask, onePacket } = spec;
    this.commands.execute({
      kind: "editService",
      service: { key, scheduler, flags, persistence, netmask, onePacket },
    });
  }

  setWeight(key: ServiceKey, address: string, weight: number): void {
    const server = this.services()
      .find((service) => sameKey(service.key, key))
      ?.servers.find((candidate) => candidate.address === address);
    if (server === undefined) return;
    const { port, method, upper, lower } = server;
    this.commands.execute({
      kind: "editServer",
      service: key,
      server: { address, port, weight, method, upper, lower },
    });
  }
}

export function sameKey(a: ServiceKey, b: ServiceKey): boolean {
  return a.protocol === b.protocol && a.address === b.address && a.port === b.port && a.mark === b.mark;
}

export function keyText(key: ServiceKey): string {
  if (key.protocol === "fwm") return `fwm ${key.mark}`;
  return `${key.protocol} ${key.family === 6 ? `[${key.address}]` : key.address}:${key.port}`;
}
