/**
 * The director: owns the tables, its place on the link and what frames go through; starts them in an order in which no
 * frame is answered twice or lost, and takes everything away again.
 */
import { native } from "../ring/native.ts";
import { Header, type Region } from "../table/region.ts";
import type { CbpfInstruction } from "../wire/cbpf.ts";
import { carryOut, planConfig, type Refused, refusalText } from "./apply.ts";
import { Commands } from "./commands.ts";
import type { Config } from "./config.ts";
import { type DirectorCounters, readCounters } from "./counters.ts";
import { directorSum, type RateSource, statsOf } from "./counters-view.ts";
import { type DirectorListener, Events } from "./events.ts";
import { Forwarding } from "./forwarding.ts";
import { checkCapabilities, HostAddresses, type Link, MachineError, readLink } from "./machine.ts";
import {
  type CommandExecutor,
  type CommandResult,
  type DirectorCommand,
  NO_RATES,
  type Rates,
  type ServiceListing,
  type Stats,
} from "./model.ts";
import type { NeighbourListing } from "./neighbours.ts";
import { servicesDigest, writeConfig } from "./region-config.ts";
import { DEFAULT_STATE, type OpenRegion, openState } from "./region-file.ts";
import { loadSchedulers } from "./scheduler-modules.ts";
import { Surroundings } from "./surroundings.ts";
import { ringFilter } from "./traffic.ts";
import type { VipListing } from "./vip.ts";

export interface DirectorOptions {
  /** Absolute paths of modules that export schedulers. */
  readonly schedulers?: readonly string[];
  /** Commands carried out after the config's services (a rules file). */
  readonly rules?: readonly DirectorCommand[];
  /** Hears everything from the first moment on. */
  readonly listener?: DirectorListener;
  /** What makes rates of the counters (observe/rates.ts); ticked from then on. */
  readonly rates?: (region: Region) => RateSource;
}

export class DirectorError extends Error {
  override readonly name = "DirectorError";
}

const TEND_MS = 100;
const LOOK_MS = 1_000;

/** Commands after which filter and silence may have to follow. */
const TRAFFIC: readonly DirectorCommand["kind"][] = ["addService", "deleteService", "clear", "addServer"];

export class Director implements CommandExecutor {
  readonly events = new Events();
  #config: Config;
  readonly #link: Link;
  readonly #schedulers: readonly string[];
  readonly #host = new HostAddresses();
  readonly #state: OpenRegion;
  readonly #commands: Commands;
  readonly #rates: RateSource | undefined;
  readonly #surroundings: Surroundings;
  readonly #forwarding: Forwarding;
  #timer: NodeJS.Timeout | undefined;
  #stale = false;
  #lastLook = 0;
  #stopping: Promise<void> | undefined;

  private constructor(config: Config, link: Link, options: DirectorOptions) {
    this.#config = config;
    this.#link = link;
    this.#schedulers = options.schedulers ?? [];
    if (options.listener !== undefined) this.events.on(options.listener);
    const now = native().monotonic();
    const state = openState(config.state ?? DEFAULT_STATE, { shards: config.shards, ...config.sizes }, now);
    this.#state = state;
    for (const warning of state.warnings) this.events.tell("warn", "state", warning);
    const { events } = this;
    try {
      const rates = options.rates?.(state.region);
      this.#rates = rates;
      this.#commands = new Commands(state.region, {
        now: () => native().monotonic(),
        ...(rates === undefined ? {} : { rates }),
        addresses: this.#host,
        relax: () => native().yieldCpu(),
      });
      const wake = () => this.#forwarding.wake();
      this.#surroundings = new Surroundings({ region: state.region, link, host: this.#host, events, wake });
    } catch (error) {
      state.close();
      throw error;
    }
    this.#forwarding = new Forwarding({
      state,
      config,
      interfaceName: link.name,
      schedulers: this.#schedulers,
      events,
      filter: () => this.#filter(),
      kicked: () => this.#surroundings.neighbours.tend(native().monotonic()),
    });
  }

  /** Starts a director; resolves when it forwards. Throws, with nothing left behind, when it cannot. */
  static async start(config: Config, options: DirectorOptions = {}): Promise<Director> {
    if (config.interface === undefined) {
      throw new MachineError("no interface given: --interface, or `interface` in the config");
    }
    checkCapabilities();
    const link = readLink(config.interface);
    await loadSchedulers(options.schedulers ?? []);
    const director = new Director(config, link, options);
    try {
      director.#fill(options.rules ?? []);
      await director.#forwarding.open();
      director.#begin();
      return director;
    } catch (error) {
      await director.stop();
      throw error;
    }
  }

  /** Carries out one command, whole or not at all. Rings and silence follow by the end of this turn, or at `settle`. */
  execute(command: DirectorCommand): CommandResult {
    const result = this.#commands.execute(command);
    if (result.ok && TRAFFIC.includes(command.kind) && !this.#stale) {
      this.#stale = true;
      // Many commands in one turn of the event loop make one change of filter and rule.
      setImmediate(() => this.settle());
    }
    return result;
  }

  /** Has the packet filter and the host's silence follow the services now. */
  settle(): void {
    if (!this.#stale || this.#stopping !== undefined) return;
    this.#stale = false;
    this.#forwarding.follow();
    this.#surroundings.neighbours.tend(native().monotonic());
  }

  get region(): Region {
    return this.#state.region;
  }

  get config(): Config {
    return this.#config;
  }

  /** Which path the rings really got: "af_packet", "af_xdp native copy". */
  get ring(): string {
    return this.#forwarding.ring;
  }

  /** Frames received and what became of them. */
  counters(): DirectorCounters {
    return readCounters(this.region, this.ring, () => native().yieldCpu());
  }

  /** Virtual services with their real servers, newest first, made one by one while they are read. */
  services(): Iterable<ServiceListing> {
    const listing = this.#commands.list("services");
    return listing.kind === "services" ? listing.services : [];
  }

  /** What went through the director as a whole. */
  total(): { stats: Stats; rates: Rates } {
    return { stats: statsOf(directorSum(this.region)), rates: this.#rates?.total?.() ?? NO_RATES };
  }

  neighbours(): NeighbourListing[] {
    return this.#surroundings.neighbours.list(native().monotonic());
  }

  vips(): VipListing[] {
    return this.#surroundings.vips.list();
  }

  /** Makes an owned virtual address active or standby; false when there is none such. */
  setVipActive(address: string, active: boolean): boolean {
    return this.#surroundings.vips.setActive(address, active, native().monotonic());
  }

  /** Something else knows that a real server answers: the neighbour's row is confirmed. */
  confirmNeighbour(row: number): void {
    this.#surroundings.neighbours.confirm(row, native().monotonic());
  }

  on(listener: DirectorListener): () => void {
    return this.events.on(listener);
  }

  /** The commands that would lead from how things are to this config. */
  plan(config: Config): DirectorCommand[] {
    return planConfig(this.#commands, config);
  }

  /** Goes over to another config as a difference; a server that stays keeps its connections. */
  reload(config: Config): Refused[] {
    this.#warnAboutFixed(config);
    this.#config = { ...config, ...this.#fixed() };
    writeConfig(this.region, this.#config);
    const refused = this.#apply(this.#config);
    const now = native().monotonic();
    this.#surroundings.learn(this.#config, now);
    // Marks and VIPs may have changed without any command.
    this.#stale = true;
    this.settle();
    this.#surroundings.stand(now);
    this.events.tell("info", "reloaded", "took the config over", { refused: refused.length });
    return refused;
  }

  /** Ends everything within a second and leaves the host as it was; the state file stays. */
  stop(): Promise<void> {
    this.#stopping ??= this.#takeAway();
    return this.#stopping;
  }

  async #takeAway(): Promise<void> {
    clearInterval(this.#timer);
    await this.#forwarding.close();
    this.#surroundings.close();
    this.#state.close();
  }

  /** Brings the tables to what config and rules say, before any frame is taken. */
  #fill(rules: readonly DirectorCommand[]): void {
    const config = this.#config;
    if (this.#state.restored) {
      const { services, shards } = this.region;
      const found = {
        services: services.live.reduce((sum, live) => sum + live, 0),
        connections: shards.reduce((sum, shard) => sum + shard.connections.live, 0),
      };
      this.events.tell("info", "restored", "goes on with the state of the director before", found);
    }
    writeConfig(this.region, config);
    this.#surroundings.learn(config, native().monotonic());
    const refused = this.#isNews(config) ? this.#apply(config) : [];
    // A restored director has most of the rules' services already.
    refused.push(...carryOut(this, rules).filter(({ error }) => error.code !== "EEXIST"));
    if (refused[0] !== undefined) throw new DirectorError(refusalText(refused[0]));
  }

  /**
   * A config that was applied before this process began is not applied again: what was changed by command since, a
   * server being drained say, outlives a crash.
   */
  #isNews(config: Config): boolean {
    return !this.#state.restored || this.region.header[Header.Config] !== servicesDigest(config);
  }

  #apply(config: Config): Refused[] {
    const refused = carryOut(this, this.plan(config));
    if (refused.length === 0) this.region.header[Header.Config] = servicesDigest(config);
    return refused;
  }

  #begin(): void {
    this.#surroundings.stand(native().monotonic());
    this.#timer = setInterval(() => this.#tend(), TEND_MS);
    this.#tend();
  }

  #tend(): void {
    const now = native().monotonic();
    this.#surroundings.tend(now);
    this.#rates?.tick?.(now);
    if (now - this.#lastLook < LOOK_MS) return;
    this.#lastLook = now;
    this.#commands.sweep(now);
    this.#surroundings.look(now);
    this.#forwarding.feelPulses(now);
  }

  #filter(): CbpfInstruction[] {
    return ringFilter(this.region, this.#surroundings.vipAddresses, this.#host.on(this.#link.name));
  }

  /** What cannot change while the director runs. */
  #fixed(): Partial<Config> {
    const { interface: name, shards, sizes, state, ring, cpus, socket, group, metrics } = this.#config;
    const given = { interface: name, shards, sizes, state, ring, cpus, socket, group, metrics };
    return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  }

  #warnAboutFixed(config: Config): void {
    for (const [key, value] of Object.entries(this.#fixed())) {
      const wanted = config[key as keyof Config];
      if (wanted === undefined || JSON.stringify(wanted) === JSON.stringify(value)) continue;
      this.events.tell("warn", "reload", `${key} takes effect at the next start`, { key });
    }
  }
}
