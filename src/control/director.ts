/**
 * The director: owns the tables, its place on the link and what frames go through; starts them in an order in which no
 * frame is answered twice or lost, and takes everything away again.
 */
import { serviceName } from "../dataplane/naming.ts";
import { native } from "../ring/native.ts";
import { TICK } from "../table/connections.ts";
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
import { type Offer, offerMisfit, vipsAsTheyAre } from "./offer.ts";
import { type Predecessor, TakeoverError } from "./predecessor.ts";
import { recoverRegion, settleRegion } from "./recover.ts";
import { servicesDigest, writeConfig } from "./region-config.ts";
import { DEFAULT_STATE, inheritState, type OpenRegion, openState, own } from "./region-file.ts";
import { loadSchedulers } from "./scheduler-modules.ts";
import type { Incumbent } from "./succession.ts";
import { Surroundings } from "./surroundings.ts";
import { Taps } from "./taps.ts";
import { ringFilter } from "./traffic.ts";
import type { VipListing } from "./vip.ts";

export interface DirectorOptions {
  /** Absolute paths of modules that export schedulers. */
  readonly schedulers?: readonly string[];
  /** Commands carried out after the config's services (a rules file). */
  readonly rules?: readonly DirectorCommand[];
  /** Hears everything from the first moment on. */
  readonly listener?: DirectorListener;
  /** A running director to take over from, instead of beginning with the state file and sockets of our own. */
  readonly predecessor?: Predecessor;
  /** What makes rates of the counters (observe/rates.ts); ticked from then on. */
  readonly rates?: (region: Region) => RateSource;
}

export class DirectorError extends Error {
  override readonly name = "DirectorError";
}

/** Another process has taken over while a command waited: it was not carried out, and the other may be asked. */
export class HandedOverError extends Error {
  override readonly name = "HandedOverError";
  readonly statusCode = 503;
}

const TEND_MS = 100;
const LOOK_MS = 1_000;

/** Commands after which filter and silence may have to follow. */
const TRAFFIC: readonly DirectorCommand["kind"][] = ["addService", "deleteService", "clear", "addServer"];

/** What the forwarding asks of a director. */
interface ForForwarding {
  filter(): CbpfInstruction[];
  kicked(): void;
  suspend(service: number): void;
}

/** What a director begins with: opened anew, or another's. */
interface Ground {
  readonly events: Events;
  readonly state: OpenRegion;
  readonly arp?: number;
  readonly forwarding?: Forwarding;
}

export class Director implements CommandExecutor, Incumbent {
  readonly events: Events;
  /** Shows frames to who wants to see them. */
  readonly taps: Taps;
  #config: Config;
  #link: Link;
  readonly #host = new HostAddresses();
  readonly #state: OpenRegion;
  #commands: Commands;
  readonly #rates: RateSource | undefined;
  readonly #surroundings: Surroundings;
  readonly #forwarding: Forwarding;
  #timer: NodeJS.Timeout | undefined;
  #stale = false;
  #lastLook = 0;
  #stopping: Promise<void> | undefined;
  /** Of whom we have our sockets, until it has been dismissed. */
  #predecessor: Predecessor | undefined;
  #handedOver = false;
  #reopening: Promise<void> | undefined;
  /** Resolves when nobody is about to take over; rejects when somebody has. */
  #steady: Promise<void> = Promise.resolve();
  #steadyAgain: (outcome: "ours" | "gone") => void = () => {};

  private constructor(config: Config, link: Link, options: DirectorOptions, ground: Ground) {
    const { events, state } = ground;
    this.events = events;
    this.#config = config;
    this.#link = link;
    this.#state = state;
    this.taps = new Taps(state.region);
    for (const warning of state.warnings) this.events.tell("warn", "state", warning);
    try {
      this.#rates = options.rates?.(state.region);
      this.#commands = this.#attach();
      this.#surroundings = new Surroundings({
        region: state.region,
        link,
        host: this.#host,
        events,
        wake: () => this.#forwarding.wake(),
        ...(ground.arp === undefined ? {} : { arp: ground.arp }),
      });
    } catch (error) {
      state.close();
      throw error;
    }
    this.#forwarding =
      ground.forwarding ?? Director.#lay(config, link, options, ground, () => this.#forForwarding);
  }

  readonly #forForwarding: ForForwarding = {
    filter: () => ringFilter(this.region, this.#surroundings.vipAddresses, this.#host.on(this.#link.name)),
    kicked: () => this.#surroundings.neighbours.tend(native().monotonic()),
    suspend: (service) => this.#suspend(service),
  };

  static #lay(
    config: Config,
    link: Link,
    options: DirectorOptions,
    { state, events }: Ground,
    director: () => ForForwarding | undefined,
  ): Forwarding {
    return new Forwarding({
      state,
      config,
      interfaceName: link.name,
      schedulers: options.schedulers ?? [],
      events,
      filter: () => director()?.filter() ?? [],
      kicked: () => director()?.kicked(),
      suspend: (service) => director()?.suspend(service),
      serviceName: (service) => serviceName(state.region, service).text,
    });
  }

  #suspend(service: number): void {
    this.#commands.suspend(service);
    this.#forwarding.wake();
    const name = serviceName(this.region, service).text;
    const message = `${name} takes no new connections: its scheduler hung a shard twice; edit the service to try it again`;
    this.events.tell("error", "scheduler-suspended", message, { service: name });
  }

  /** The executor over the region as it is now. */
  #attach(): Commands {
    const rates = this.#rates;
    return new Commands(this.#state.region, {
      now: () => native().monotonic(),
      ...(rates === undefined ? {} : { rates }),
      addresses: this.#host,
      relax: () => native().yieldCpu(),
    });
  }

  /** Starts a director; resolves when it forwards. Throws, with nothing left behind, when it cannot. */
  static async start(config: Config, options: DirectorOptions = {}): Promise<Director> {
    const { predecessor } = options;
    try {
      if (config.interface === undefined) {
        throw new MachineError("no interface given: --interface, or `interface` in the config");
      }
      checkCapabilities();
      const link = readLink(config.interface);
      await loadSchedulers(options.schedulers ?? []);
      const events = new Events();
      if (options.listener !== undefined) events.on(options.listener);
      return predecessor === undefined
        ? await Director.#begin(config, link, options, events)
        : await Director.#takeOver(config, link, options, events, predecessor);
    } catch (error) {
      predecessor?.close();
      throw error;
    }
  }

  static async #begin(
    config: Config,
    link: Link,
    options: DirectorOptions,
    events: Events,
  ): Promise<Director> {
    const sizes = { shards: config.shards, ...config.sizes };
    const state = openState(config.state ?? DEFAULT_STATE, sizes, native().monotonic());
    const director = new Director(config, link, options, { events, state });
    try {
      director.#fill(options.rules ?? []);
      await director.#forwarding.open();
      director.#stand();
      return director;
    } catch (error) {
      await director.stop();
      throw error;
    }
  }

  /**
   * Goes on with everything that a running director has open. Its shards rest only once ours are ready, and for as
   * long as it takes to say so; frames wait in the rings meanwhile.
   */
  static async #takeOver(
    config: Config,
    link: Link,
    options: DirectorOptions,
    events: Events,
    predecessor: Predecessor,
  ): Promise<Director> {
    const { offer } = predecessor;
    const misfit = offerMisfit(offer, config, link);
    if (misfit !== undefined) throw new TakeoverError(misfit);
    const state = inheritState(offer.state, offer.stateBytes);
    let director: Director | undefined;
    let moved: ForForwarding | undefined;
    const forwarding = Director.#lay(config, link, options, { state, events }, () => moved);
    try {
      await forwarding.inherit(offer);
      if ((await predecessor.rest()) === "rested") settleRegion(state.region);
      else recoverRegion(state.region, Math.floor(native().monotonic() / TICK) | 0);
      own(state.region);
      await forwarding.start();
      director = new Director({ ...config, vips: vipsAsTheyAre(config.vips, offer) }, link, options, {
        events,
        state,
        forwarding,
        arp: offer.arp,
      });
      director.#predecessor = predecessor;
      moved = director.#forForwarding;
      director.#moveIn(options.rules ?? []);
      return director;
    } catch (error) {
      await (director?.stop() ?? forwarding.letGo().then(() => state.letGo()));
      throw error;
    }
  }

  /** Is there one that we took over from and that would go on if we failed? */
  get hasPredecessor(): boolean {
    return this.#predecessor !== undefined;
  }

  /** The director that we took over from goes; resolves when it has gone. */
  async dismissPredecessor(): Promise<void> {
    const predecessor = this.#predecessor;
    this.#predecessor = undefined;
    await predecessor?.dismiss();
  }

  /** What a successor needs to go on where we are. */
  offer(): Offer {
    const { region, fd, bytes } = this.#state;
    return {
      pid: process.pid,
      interface: this.#link.name,
      interfaceIndex: this.#link.index,
      sizes: region.sizes,
      state: fd,
      stateBytes: bytes,
      arp: this.#surroundings.arp,
      ...this.#forwarding.inheritance,
      vips: this.vips().map(({ address, active }) => ({ address, active })),
    };
  }

  /** Resolves when commands may be carried out; rejects when another process has taken over. */
  get steady(): Promise<void> {
    return this.#steady;
  }

  async rest(): Promise<void> {
    this.settle();
    this.#steady = new Promise((resolve, reject) => {
      const gone = new HandedOverError("another process has just taken over: ask again");
      this.#steadyAgain = (outcome) => (outcome === "ours" ? resolve() : reject(gone));
    });
    this.#steady.catch(() => {}); // nobody may be waiting
    clearInterval(this.#timer);
    await this.#reopening;
    this.#surroundings.rest();
    try {
      await this.#forwarding.rest();
    } catch (error) {
      this.#goOn();
      throw error;
    }
  }

  async goOn(): Promise<void> {
    // Whoever tried to take over may have ended anywhere.
    recoverRegion(this.region, Math.floor(native().monotonic() / TICK) | 0);
    own(this.region);
    this.#commands = this.#attach();
    await this.#forwarding.start();
    this.#forwarding.follow();
    this.#goOn();
  }

  #goOn(): void {
    this.#surroundings.listen();
    this.#timer = setInterval(() => this.#tend(), TEND_MS);
    this.#steadyAgain("ours");
  }

  async letGo(): Promise<void> {
    this.#handedOver = true;
    await this.stop();
    this.#steadyAgain("gone");
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
    await this.#reopening;
    this.taps.close();
    // What another process works with, or will again when we give up, stays.
    const shared = this.#handedOver || this.#predecessor !== undefined;
    await (shared ? this.#forwarding.letGo() : this.#forwarding.close());
    this.#surroundings.close();
    if (shared) this.#state.letGo();
    else this.#state.close();
    this.#predecessor?.close();
  }

  /** Brings the tables to what config and rules say, while the shards work on them already. */
  #moveIn(rules: readonly DirectorCommand[]): void {
    this.#tellRestored(`took over from process ${this.#predecessor!.offer.pid}`);
    for (const refused of this.#adjust(rules)) this.events.tell("error", "refused", refusalText(refused));
    this.#forwarding.follow();
    this.#stand();
  }

  #tellRestored(message: string): void {
    const { services, shards } = this.region;
    this.events.tell("info", "restored", message, {
      services: services.live.reduce((sum, live) => sum + live, 0),
      connections: shards.reduce((sum, shard) => sum + shard.connections.live, 0),
    });
  }

  /** Brings the tables to what config and rules say, before any frame is taken. */
  #fill(rules: readonly DirectorCommand[]): void {
    if (this.#state.restored) this.#tellRestored("goes on with the state of the director before");
    const [refused] = this.#adjust(rules);
    if (refused !== undefined) throw new DirectorError(refusalText(refused));
  }

  #adjust(rules: readonly DirectorCommand[]): Refused[] {
    const config = this.#config;
    writeConfig(this.region, config);
    this.#surroundings.learn(config, native().monotonic());
    const refused = this.#isNews(config) ? this.#apply(config) : [];
    // A restored director has most of the rules' services already.
    refused.push(...carryOut(this, rules).filter(({ error }) => error.code !== "EEXIST"));
    return refused;
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

  #stand(): void {
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
    const link = this.#surroundings.look(now);
    if (this.#reopening !== undefined) return;
    if (link !== undefined && link.index !== this.#link.index) this.#reopening = this.#reopen(link);
    else this.#forwarding.feelPulses(now);
  }

  /** Another interface of the same name: sockets and rule hung on the one that is gone. Tried again until it is done. */
  async #reopen(link: Link): Promise<void> {
    try {
      await this.#forwarding.reopen();
      this.#link = link;
      this.events.tell("info", "reopened", `forwards on ${link.name} again, which was made anew`);
    } catch (error) {
      await this.#forwarding.close();
      const message = `cannot forward on ${link.name}: ${(error as Error).message}; tries again`;
      this.events.tell("error", "reopen-failed", message);
    } finally {
      this.#reopening = undefined;
    }
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
