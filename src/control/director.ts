/**
 * The director: owns the region, the rings' sockets, the shards, ARP, the virtual addresses and the host's silence;
 * starts them in an order in which no frame is answered twice or lost, and takes everything away again.
 */
import { readSync } from "node:fs";
import { native, Watch } from "../ring/native.ts";
import {
  closePacketSockets,
  openPacketSockets,
  type PacketSockets,
  setPacketFilter,
} from "../ring/packet-sockets.ts";
import { schedulerNames } from "../schedulers/registry.ts";
import { Header, type Region, ShardCell } from "../table/region.ts";
import { formatAddress, type Mac, parseAddress, parseMac } from "../wire/address.ts";
import { ArpSocket } from "./arp-socket.ts";
import { Commands } from "./commands.ts";
import type { Config } from "./config.ts";
import { type DirectorCounters, readCounters } from "./counters.ts";
import { desiredOf, difference } from "./difference.ts";
import { type DirectorListener, Events } from "./events.ts";
import { checkCapabilities, HostAddresses, type Link, MachineError, readLink } from "./machine.ts";
import type {
  CommandError,
  CommandExecutor,
  CommandResult,
  DirectorCommand,
  ServiceListing,
} from "./model.ts";
import { NeighbourKeeper, type NeighbourListing } from "./neighbours.ts";
import { seededRandom } from "./random.ts";
import { servicesDigest, writeConfig, writeLink } from "./region-config.ts";
import { DEFAULT_STATE, type OpenRegion, openState } from "./region-file.ts";
import { loadSchedulers } from "./scheduler-modules.ts";
import { PiscinaShardHost, type ShardHost } from "./shard-host.ts";
import type { ShardTask } from "./shard-task.ts";
import { Silence } from "./silence.ts";
import { ringFilter, shardProgram, silencedTraffic } from "./traffic.ts";
import { VipKeeper, type VipListing } from "./vip.ts";

export interface DirectorOptions {
  /** Absolute paths of modules that export schedulers. */
  readonly schedulers?: readonly string[];
  /** Commands carried out after the config's services (a rules file). */
  readonly rules?: readonly DirectorCommand[];
  /** Hears everything from the first moment on. */
  readonly listener?: DirectorListener;
}

/** A command of a config or rules file that the director refused. */
export interface Refused {
  readonly command: DirectorCommand;
  readonly error: CommandError;
}

export class DirectorError extends Error {
  override readonly name = "DirectorError";
}

const TEND_MS = 100;
const LOOK_MS = 1_000;
/** A shard whose heartbeat stands this long hangs, ms; the longest sleep is a tenth of a second. */
const HUNG_MS = 3_000;

const LISTS: readonly DirectorCommand["kind"][] = ["list", "save", "zero", "setTimeouts"];

export class Director implements CommandExecutor {
  readonly events = new Events();
  #config: Config;
  readonly #schedulers: readonly string[];
  /** What is to be taken away at the end, last made first. */
  readonly #undo: (() => void | Promise<void>)[] = [];
  readonly #host = new HostAddresses();
  #link: Link;
  #state!: OpenRegion;
  #commands!: Commands;
  #neighbours!: NeighbourKeeper;
  #vips!: VipKeeper;
  #arp!: ArpSocket;
  #silence: Silence | undefined;
  #sockets: PacketSockets[] = [];
  #shards: ShardHost | undefined;
  #stale = false;
  #lastLook = 0;
  #beats: { beat: number; since: number }[] = [];
  #stopping: Promise<void> | undefined;

  private constructor(config: Config, link: Link, options: DirectorOptions) {
    this.#config = config;
    this.#link = link;
    this.#schedulers = options.schedulers ?? [];
    if (options.listener !== undefined) this.events.on(options.listener);
  }

  /** Starts a director; resolves when it forwards. Throws, with nothing left behind, when it cannot. */
  static async start(config: Config, options: DirectorOptions = {}): Promise<Director> {
    if (config.interface === undefined)
      throw new MachineError("no interface given: --interface, or `interface` in the config");
    checkCapabilities();
    const director = new Director(config, readLink(config.interface), options);
    try {
      await loadSchedulers(director.#schedulers);
      director.#openTables(options.rules ?? []);
      director.#openArp();
      await director.#openRings();
      director.#beginTending();
      return director;
    } catch (error) {
      await director.stop();
      throw error;
    }
  }

  /** Carries out one command, whole or not at all. The rings follow before `settle` returns. */
  execute(command: DirectorCommand): CommandResult {
    const result = this.#commands.execute(command);
    if (result.ok && !LISTS.includes(command.kind)) this.#changed();
    return result;
  }

  /** Has the packet filter and the host's silence follow the services now, and not only at the end of this turn. */
  settle(): void {
    if (!this.#stale) return;
    this.#stale = false;
    this.#followServices();
  }

  get commands(): CommandExecutor {
    return this;
  }

  get region(): Region {
    return this.#state.region;
  }

  get config(): Config {
    return this.#config;
  }

  counters(): DirectorCounters {
    return readCounters(this.region);
  }

  neighbours(): NeighbourListing[] {
    return this.#neighbours.list(native().monotonic());
  }

  vips(): VipListing[] {
    return this.#vips.list();
  }

  /** Makes an owned virtual address active or standby; false when there is none such. */
  setVipActive(address: string, active: boolean): boolean {
    return this.#vips.setActive(address, active, native().monotonic());
  }

  /** Something else knows that a real server answers. */
  confirmNeighbour(row: number): void {
    this.#neighbours.confirm(row, native().monotonic());
  }

  on(listener: DirectorListener): () => void {
    return this.events.on(listener);
  }

  /** Goes over to another config as a difference; a server that stays keeps its connections. */
  reload(config: Config): Refused[] {
    this.#warnAboutFixed(config);
    this.#config = { ...config, ...this.#fixed() };
    writeConfig(this.region, this.#config);
    const refused = this.#apply(this.#config);
    this.settle();
    this.#place();
    this.events.tell("info", "reloaded", "took the config over", { refused: refused.length });
    return refused;
  }

  /** Ends everything within a second and leaves the host as it was; the state file stays. */
  stop(): Promise<void> {
    this.#stopping ??= this.#takeAway();
    return this.#stopping;
  }

  async #takeAway(): Promise<void> {
    for (let undo = this.#undo.pop(); undo !== undefined; undo = this.#undo.pop()) {
      try {
        await undo();
      } catch (error) {
        this.events.tell("warn", "stop-failed", `while stopping: ${(error as Error).message}`);
      }
    }
  }

  #openTables(rules: readonly DirectorCommand[]): void {
    const config = this.#config;
    const now = native().monotonic();
    const sizes = { shards: config.shards, ...config.sizes };
    this.#state = openState(config.state ?? DEFAULT_STATE, sizes, now);
    this.#undo.push(() => this.#state.close());
    for (const warning of this.#state.warnings) this.events.tell("warn", "state", warning);
    if (this.#state.restored)
      this.events.tell("info", "restored", "goes on with the state of the director before", this.#found());
    this.#commands = new Commands(this.region, {
      now: () => native().monotonic(),
      addresses: this.#host,
      relax: () => native().yieldCpu(),
    });
    writeConfig(this.region, config);
    this.#writeLink();
    const refused = this.#isNews(config) ? this.#apply(config) : [];
    for (const command of rules) {
      const result = this.execute(command);
      // A restored director has most of it already.
      if (!result.ok && result.error.code !== "EEXIST") refused.push({ command, error: result.error });
    }
    if (refused[0] !== undefined) throw new DirectorError(refusalText(refused[0]));
  }

  #found() {
    const { services, shards } = this.region;
    const live = shards.reduce((sum, shard) => sum + shard.connections.live, 0);
    return { services: services.live.reduce((sum, one) => sum + one, 0), connections: live };
  }

  /**
   * A config that was applied before this process began is not applied again: what was changed by command since, a
   * server being drained say, outlives a crash.
   */
  #isNews(config: Config): boolean {
    return !this.#state.restored || this.region.header[Header.Config] !== servicesDigest(config);
  }

  #apply(config: Config): Refused[] {
    const listing = this.#commands.list("services");
    const services: ServiceListing[] = listing.kind === "services" ? [...listing.services] : [];
    const refused: Refused[] = [];
    for (const command of difference({ services, timeouts: this.#commands.timeouts() }, desiredOf(config))) {
      const result = this.execute(command);
      if (!result.ok) refused.push({ command, error: result.error });
    }
    if (refused.length === 0) this.region.header[Header.Config] = servicesDigest(config);
    return refused;
  }

  #openArp(): void {
    const wake = () => this.#shards?.wake();
    const now = () => native().monotonic();
    const vipSet = () => new Set(this.#config.vips.map((vip) => parseAddress(vip.address)?.[3] ?? 0));
    const arp = new ArpSocket({
      interfaceIndex: this.#link.index,
      mac: this.#link.mac,
      source: (target) => this.#host.sourceFor(this.#link.name, target, vipSet()),
      heard: (packet, toUs) => {
        this.#neighbours.heard(packet, toUs, now());
        this.#vips.heard(packet, now());
      },
      failed: (error) =>
        this.events.tell("warn", "arp-failed", `ARP on ${this.#link.name}: ${error.message}`),
    });
    this.#arp = arp;
    this.#undo.push(() => arp.close());
    this.#neighbours = new NeighbourKeeper(this.region, arp, {
      random: seededRandom(this.region.header[Header.Seed]! ^ process.pid),
      wake,
      event: ({ kind, address, mac, before }) => {
        const level = kind === "failed" ? "warn" : "info";
        this.events.tell(level, `neighbour-${kind}`, neighbourSentence(kind, address, mac), {
          address,
          mac,
          before,
        });
      },
    });
    this.#vips = new VipKeeper(this.region, arp, {
      isLocal: (words) => this.#host.isLocal(words),
      wake,
      event: ({ kind, address, mac }) => {
        const level = kind === "conflict" ? "error" : "info";
        this.events.tell(level, `vip-${kind}`, vipSentence(kind, address, mac), { address, mac });
      },
    });
  }

  async #openRings(): Promise<void> {
    const { config, region } = { config: this.#config, region: this.region };
    this.#beginSilence();
    if (config.ring.kind === "xdp!")
      throw new MachineError("ring xdp!: this build has no AF_XDP ring; use `packet`");
    if (config.ring.kind === "xdp")
      this.events.tell("warn", "ring", "this build has no AF_XDP ring: uses AF_PACKET");
    this.#sockets = openPacketSockets({
      interfaceName: this.#link.name,
      shards: config.shards,
      filter: this.#filter(),
      fanout: { group: process.pid & 0xffff, program: shardProgram(region) },
      qdiscBypass: config.ring.bypass,
      ...(config.ring.frames === undefined ? {} : { slots: config.ring.frames }),
    });
    this.#undo.push(() => this.#sockets.forEach(closePacketSockets));
    const control = native().eventFd();
    this.#undo.push(() => native().close(control));
    const watch = new Watch(control, () => this.#kicked(control));
    this.#undo.push(() => watch.end());
    // The rings are new: where the last process's ring stood says nothing about them.
    for (const shard of region.shards) shard.cells[ShardCell.RingPosition] = 0;
    const tasks = this.#sockets.map((sockets, index) => this.#task(sockets, index, control));
    const shards = new PiscinaShardHost({
      region,
      tasks,
      event: ({ kind, shard, reason }) => {
        const text =
          kind === "started"
            ? `shard ${shard} started`
            : `shard ${shard} died (${reason}) and is started again`;
        this.events.tell(kind === "died" ? "error" : "debug", `shard-${kind}`, text, { shard, reason });
      },
    });
    this.#shards = shards;
    this.#undo.push(() => shards.stop());
    await shards.start();
  }

  #task(sockets: PacketSockets, index: number, control: number): ShardTask {
    const { cpus, ring } = this.#config;
    return {
      index,
      regionFd: this.#state.fd,
      regionBytes: this.#state.bytes,
      sockets,
      wakes: this.#sockets.map(({ wake }) => wake),
      control,
      wait: ring.wait,
      cpu: cpus.length === 0 ? -1 : cpus[index % cpus.length]!,
      schedulers: this.#schedulers,
    };
  }

  #beginSilence(): void {
    const mode = this.#config.silence;
    if (mode === "off") return;
    try {
      const silence = new Silence(this.#link.name);
      this.#undo.push(() => silence.close());
      silence.update(silencedTraffic(this.region));
      this.#silence = silence;
      if (!silence.vanishes) {
        this.events.tell(
          "warn",
          "silence",
          `this kernel keeps table ${silence.table} if the director is killed; the next start replaces it`,
        );
      }
    } catch (error) {
      const text = `the host's own stack may answer the services' traffic: ${(error as Error).message}`;
      if (mode === "require") throw new DirectorError(`${text} (silence: require)`);
      this.events.tell("warn", "silence", text);
    }
  }

  #beginTending(): void {
    this.#place();
    const timer = setInterval(() => this.#tend(), TEND_MS);
    this.#undo.push(() => clearInterval(timer));
    this.#tend();
  }

  /** What the config says about addresses: static neighbours and the VIPs, which are announced from now on. */
  #place(): void {
    const now = native().monotonic();
    const statics = new Map<string, Mac>();
    for (const { address, mac } of this.#config.services.flatMap((service) => service.servers)) {
      const words = parseAddress(address);
      const parsed = mac === undefined ? undefined : parseMac(mac);
      if (words !== undefined && parsed !== undefined) statics.set(formatAddress(words), parsed);
    }
    this.#neighbours.setStatics(statics, now);
    this.#vips.configure(this.#config.vips, now);
  }

  #tend(): void {
    const now = native().monotonic();
    this.#neighbours.tend(now);
    this.#vips.tend(now);
    if (now - this.#lastLook < LOOK_MS) return;
    this.#lastLook = now;
    this.#commands.sweep(now);
    this.#lookAround();
    this.#feelPulses(now);
  }

  /** A shard wants a neighbour. */
  #kicked(control: number): void {
    readSync(control, new Uint8Array(8));
    this.#neighbours.tend(native().monotonic());
  }

  /** Addresses, MAC and MTU of our interface may change under us. */
  #lookAround(): void {
    if (this.#host.refresh()) this.#vips.configure(this.#config.vips, native().monotonic());
    try {
      this.#link = readLink(this.#link.name);
    } catch (error) {
      this.events.tell("warn", "link", (error as Error).message, { interface: this.#link.name });
      return;
    }
    this.#arp.mac = this.#link.mac;
    this.#writeLink();
  }

  #writeLink(): void {
    const vips = new Set(this.#config.vips.map((vip) => parseAddress(vip.address)?.[3] ?? 0));
    writeLink(this.region, this.#link.mac, this.#link.mtu, this.#host.sourceFor(this.#link.name, 0, vips));
  }

  #feelPulses(now: number): void {
    for (const [i, { cells }] of this.region.shards.entries()) {
      const beat = cells[ShardCell.Beat]!;
      const pulse = (this.#beats[i] ??= { beat, since: now });
      if (pulse.beat !== beat) this.#beats[i] = { beat, since: now };
      else if (now - pulse.since > HUNG_MS) {
        pulse.since = now;
        this.events.tell("error", "shard-hung", `shard ${i} has not turned for ${HUNG_MS / 1000} s`, {
          shard: i,
        });
      }
    }
  }

  #changed(): void {
    if (this.#stale) return;
    this.#stale = true;
    // Many commands in one turn of the event loop make one change of filter and rule.
    setImmediate(() => this.settle());
  }

  /** The host falls silent about new traffic before the rings take it, so that nothing is answered twice. */
  #followServices(): void {
    if (this.#stopping !== undefined || this.#shards === undefined) return;
    try {
      this.#silence?.update(silencedTraffic(this.region));
    } catch (error) {
      this.events.tell(
        "error",
        "silence",
        `the host's silence does not follow the services: ${(error as Error).message}`,
      );
    }
    const filter = this.#filter();
    for (const sockets of this.#sockets) setPacketFilter(sockets, filter);
    this.#neighbours.tend(native().monotonic());
    this.#shards.wake();
  }

  #filter() {
    const vips = this.#config.vips
      .map((vip) => parseAddress(vip.address))
      .filter((words) => words !== undefined);
    return ringFilter(this.region, vips, this.#host.on(this.#link.name));
  }

  /** What cannot change while the director runs. */
  #fixed() {
    const { interface: name, shards, sizes, state, ring, cpus, socket, group } = this.#config;
    const given = { interface: name, shards, sizes, state, ring, cpus, socket, group };
    return Object.fromEntries(
      Object.entries(given).filter(([, value]) => value !== undefined),
    ) as Partial<Config>;
  }

  #warnAboutFixed(config: Config): void {
    for (const [key, value] of Object.entries(this.#fixed())) {
      const wanted = config[key as keyof Config];
      if (wanted === undefined || JSON.stringify(wanted) === JSON.stringify(value)) continue;
      this.events.tell("warn", "reload", `${key} takes effect at the next start`, { key });
    }
  }
}

function neighbourSentence(kind: string, address: string, mac?: string): string {
  if (kind === "failed") return `real server ${address} does not answer ARP`;
  return kind === "moved" ? `real server ${address} is at ${mac} now` : `real server ${address} is at ${mac}`;
}

function vipSentence(kind: string, address: string, mac?: string): string {
  if (kind === "conflict") return `${mac} claims the virtual address ${address} too`;
  return kind === "activated" ? `answers for ${address}` : `no longer answers for ${address}`;
}

/** A sentence about what could not be done, for the one who wrote the file. */
export function refusalText({ command, error }: Refused): string {
  const about = "service" in command && command.service !== undefined ? command.service : undefined;
  const key = about === undefined ? undefined : "key" in about ? about.key : about;
  const name =
    key === undefined
      ? ""
      : key.protocol === "fwm"
        ? ` fwm ${key.mark}`
        : ` ${key.protocol} ${key.address}:${key.port}`;
  const server = "server" in command ? ` server ${command.server.address}` : "";
  const hint = error.message.includes("no scheduler") ? ` (known: ${schedulerNames().join(", ")})` : "";
  return `${command.kind}${name}${server}: ${error.message}${hint}`;
}
