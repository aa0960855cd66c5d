/** A small director in memory: a region, the commands over it, and any number of shards with their rings. */
import { attachCommands, type Commands } from "../../src/control/commands.ts";
import type { ServiceKey } from "../../src/control/model.ts";
import { Shard } from "../../src/dataplane/shard.ts";
import { VERDICT_NAMES, type Verdict } from "../../src/dataplane/verdict.ts";
import { MemoryRing } from "../../src/ring/memory-ring.ts";
import { registerBuiltIn } from "../../src/schedulers/built-in.ts";
import { C_DESTINATION, C_STATUS, ConnectionFlag, ROW_SHIFT, TICK } from "../../src/table/connections.ts";
import { ShardCount } from "../../src/table/counters.ts";
import { beginChange, endChange } from "../../src/table/generation.ts";
import { NeighbourState } from "../../src/table/neighbours.ts";
import { createRegion, Header, type Region, regionBytes } from "../../src/table/region.ts";
import { Setting, type SettingName } from "../../src/table/settings.ts";
import { formatIpv4, parseIpv4, parseMac } from "../../src/wire/address.ts";
import { type TcpFields, tcpFrame, type UdpFields, udpFrame } from "../../src/wire/frame.ts";

export const VIP = "10.0.0.100";
export const DIRECTOR_MAC = parseMac("02:00:00:00:00:01")!;
export const ROUTER_MAC = parseMac("02:00:00:00:00:fe")!;

export interface WorldOptions {
  readonly shards?: number;
  readonly connections?: number;
  readonly protocol?: "tcp" | "udp";
  readonly port?: number;
  readonly scheduler?: string;
  readonly persistence?: number;
  readonly weights?: readonly number[];
  /** Flows live where they arrive first, not in the shard of their hash. */
  readonly byArrival?: boolean;
  /** False leaves the real servers' MACs unknown. */
  readonly resolved?: boolean;
  /** A region that was found: nothing is added to it. */
  readonly region?: Region;
}

export class World {
  readonly region: Region;
  readonly commands: Commands;
  readonly shards: Shard[];
  readonly rings: MemoryRing[];
  readonly key: ServiceKey;
  kicks = 0;
  now = 1_000_000;

  constructor(options: WorldOptions = {}) {
    registerBuiltIn();
    const sizes = options.region?.sizes ?? {
      shards: options.shards ?? 1,
      services: 64,
      destinations: 256,
      connections: options.connections ?? 4096,
      templates: 1024,
      neighbours: 64,
    };
    this.region =
      options.region ??
      createRegion(new ArrayBuffer(regionBytes(sizes)), sizes, 0x5eed_1234, this.now / TICK);
    if (options.byArrival !== undefined) this.region.header[Header.ByArrival] = options.byArrival ? 1 : 0;
    this.commands = attachCommands(this.region, { now: () => this.now });
    this.rings = Array.from({ length: sizes.shards }, () => new MemoryRing({ slots: 512 }));
    this.set("mac_hi", DIRECTOR_MAC.hi);
    this.set("mac_lo", DIRECTOR_MAC.lo);
    this.set("icmp_msgs_per_sec", 0);
    this.set("icmp_ratelimit", 0);
    this.key = {
      protocol: options.protocol ?? "tcp",
      family: 4,
      address: VIP,
      port: options.port ?? 80,
      mark: 0,
    };
    if (options.region === undefined) {
      this.addService(options.scheduler ?? "rr", options.persistence ?? 0);
      (options.weights ?? [1, 1, 1]).forEach((weight, i) => {
        this.addServer(i + 1, weight);
      });
    }
    if (options.resolved !== false) this.resolveAll();
    const kick = () => {
      this.kicks++;
    };
    this.shards = this.rings.map((ring, i) => new Shard(this.region, i, ring, { kick }));
    this.turn();
  }

  set(name: SettingName, value: number): void {
    beginChange(this.region.header, Header.Generation);
    this.region.settings[Setting[name]] = value;
    endChange(this.region.header, Header.Generation);
  }

  addService(scheduler: string, persistence = 0): void {
    this.run({
      kind: "addService",
      service: {
        key: this.key,
        scheduler,
        flags: 0,
        persistence,
        netmask: "255.255.255.255",
        onePacket: false,
      },
    });
  }

  addServer(n: number, weight = 1, upper = 0, lower = 0): void {
    const server = {
      address: `10.0.0.${10 + n}`,
      port: this.key.port,
      weight,
      method: "route" as const,
      upper,
      lower,
    };
    this.run({ kind: "addServer", service: this.key, server });
  }

  editServer(n: number, weight: number, upper = 0, lower = 0): void {
    const server = {
      address: `10.0.0.${10 + n}`,
      port: this.key.port,
      weight,
      method: "route" as const,
      upper,
      lower,
    };
    this.run({ kind: "editServer", service: this.key, server });
  }

  deleteServer(n: number): void {
    this.run({
      kind: "deleteServer",
      service: this.key,
      server: { address: `10.0.0.${10 + n}`, port: this.key.port },
    });
  }

  run(command: Parameters<Commands["execute"]>[0]): void {
    const result = this.commands.execute(command);
    if (!result.ok) throw new Error(`${command.kind}: ${result.error.code} ${result.error.message}`);
  }

  /** Every real server's MAC becomes known: server n is 02:00:00:00:01:0n. */
  resolveAll(): void {
    const { neighbours, header } = this.region;
    for (let n = 0; n < neighbours.capacity; n++) {
      if (neighbours.users[n]! > 0) this.setNeighbour(n, NeighbourState.Permanent);
    }
    Atomics.add(header, Header.NeighbourGeneration, 2);
  }

  setNeighbour(n: number, state: number): void {
    const { neighbours, header } = this.region;
    neighbours.macHi[n] = DIRECTOR_MAC.hi;
    neighbours.macLo[n] = 0x100 + (neighbours.address[n * 4 + 3]! & 0xff) - 10;
    neighbours.state[n] = state;
    Atomics.add(header, Header.NeighbourGeneration, 2);
  }

  /** Lets every shard work until none has anything to do; returns the frames handled. */
  turn(): number {
    let handled = 0;
    for (let round = 0; round < 50; round++) {
      const before = handled;
      for (const shard of this.shards) handled += shard.turn(this.now);
      if (handled === before) return handled;
    }
    throw new Error("the shards do not come to rest: a frame goes round and round");
  }

  /** A frame arrives at a shard; what it led to on the wire, over all shards. */
  send(frame: Uint8Array, at = 0): Uint8Array[] {
    this.rings[at]!.inject(frame);
    this.turn();
    return this.takeSent();
  }

  takeSent(): Uint8Array[] {
    return this.rings.flatMap((ring) => ring.takeSent());
  }

  verdicts(): Partial<Record<keyof typeof Verdict, number>> {
    const sums: Partial<Record<keyof typeof Verdict, number>> = {};
    VERDICT_NAMES.forEach((name, v) => {
      const sum = this.region.shards.reduce((total, shard) => total + shard.counters.verdict[v]!, 0);
      if (sum !== 0) sums[name] = sum;
    });
    return sums;
  }

  /** Every frame that came in ended in exactly one verdict. */
  balance(): { received: number; verdicts: number } {
    let received = 0;
    let verdicts = 0;
    for (const { counters } of this.region.shards) {
      received += counters.shard[ShardCount.Received]!;
      verdicts += counters.verdict.reduce((sum, count) => sum + count, 0);
    }
    return { received, verdicts };
  }

  /** By destination row: connections that live in the tables, and what the counters say of them. */
  census(): Map<number, { live: number; active: number; inactive: number }> {
    const census = new Map<number, { live: number; active: number; inactive: number }>();
    const row = (d: number) => {
      if (!census.has(d)) census.set(d, { live: 0, active: 0, inactive: 0 });
      return census.get(d)!;
    };
    for (const { connections, counters } of this.region.shards) {
      for (let r = 0; r < connections.high; r++) {
        const status = connections.rows[(r << ROW_SHIFT) + C_STATUS]!;
        if ((status & ConnectionFlag.Live) !== 0)
          row(connections.rows[(r << ROW_SHIFT) + C_DESTINATION]!).live++;
      }
      counters.active.forEach((count, d) => {
        if (count !== 0) row(d).active += count;
      });
      counters.inactive.forEach((count, d) => {
        if (count !== 0) row(d).inactive += count;
      });
    }
    return census;
  }
}

/** Which real server a sent frame goes to, by its MAC; 0 when it is not one's. */
export function serverOf(frame: Uint8Array | undefined): number {
  if (frame === undefined || frame[4] !== 1) return 0;
  return frame[5]!;
}

const LINK = { sourceMac: ROUTER_MAC, destinationMac: DIRECTOR_MAC } as const;

export function client(n: number): number {
  return parseIpv4("10.7.0.0")! + n;
}

export function tcp(
  fields: Partial<TcpFields> & { source: number; sourcePort: number; flags: number },
): Uint8Array {
  return tcpFrame({ ...LINK, destination: parseIpv4(VIP)!, destinationPort: 80, ...fields } as TcpFields);
}

export function udp(fields: Partial<UdpFields> & { source: number; sourcePort: number }): Uint8Array {
  return udpFrame({ ...LINK, destination: parseIpv4(VIP)!, destinationPort: 53, ...fields } as UdpFields);
}

export { formatIpv4, parseIpv4 };
