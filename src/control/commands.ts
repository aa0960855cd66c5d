/**
 * ipvsadm's verbs carried out over a region: one method a verb, each whole or not at all. Everything is checked
 * before anything is written; the writes of one command stand between one begin and end of the region's generation,
 * so a shard sees a command done or not done.
 *
 * The order of the checks and their error codes are the kernel's (ip_vs_ctl.c), as recorded in test/oracle/.
 * There must be one `Commands` for a region; it keeps indexes of its own, built anew from the region when it begins.
 */
import { findScheduler } from "../schedulers/registry.ts";
import type { Scheduler } from "../schedulers/scheduler.ts";
import { Method } from "../table/destinations.ts";
import { beginChange, endChange } from "../table/generation.ts";
import type { Relax } from "../table/lock.ts";
import { Header, type Region } from "../table/region.ts";
import { ServiceFlag, schedulerName } from "../table/services.ts";
import { Setting } from "../table/settings.ts";
import { type AddressBook, isOwn, LOOPBACK_ONLY, mayServe } from "./addresses.ts";
import { checkServer, checkService, checkTimeouts } from "./checks.ts";
import { listConnections } from "./connection-listing.ts";
import { depart, type RateSource, zeroDestination, zeroDirector } from "./counters-view.ts";
import { DestinationRows, type DestinationValues } from "./destination-rows.ts";
import { type ServerNumbers, type ServiceNumbers, serverNumbers, serviceNumbers } from "./keys.ts";
import { listService, listServices, members, serviceSum, type Tables } from "./listing.ts";
import { mendTables } from "./mend.ts";
import type {
  CommandExecutor,
  CommandResult,
  DirectorCommand,
  DirectorInfo,
  Listing,
  ServerKey,
  ServerSpec,
  ServiceKey,
  ServiceSpec,
  Timeouts,
} from "./model.ts";
import { Refusal, refuse } from "./refusal.ts";
import { SchedulerBinding } from "./scheduler-binding.ts";
import { ServiceRows } from "./service-rows.ts";

export interface CommandsOptions {
  /** The time, ms, of the clock that the shards' `turn` is given. */
  readonly now: () => number;
  readonly addresses?: AddressBook;
  readonly rates?: RateSource;
  /** Finds a scheduler by name; the registry's by default. */
  readonly schedulers?: (name: string) => Scheduler | undefined;
  /** Lets a shard that holds a lock run. */
  readonly relax?: Relax;
  /** The listing's first line; `size` is the number of buckets of the connection tables by default. */
  readonly info?: Partial<DirectorInfo>;
}

/** TCP states whose timeouts --set moves, numbered as in linux/ip_vs.h. */
const ESTABLISHED = 1;
const FIN_WAIT = 4;

const IPVS_VERSION = "1.2.1";

/** The service of a server command, and the server in numbers. */
interface Place {
  readonly s: number;
  readonly key: ServiceNumbers;
  readonly server: ServerNumbers;
}

export class Commands implements CommandExecutor {
  readonly region: Region;
  readonly services: ServiceRows;
  readonly destinations: DestinationRows;
  readonly #options: CommandsOptions;
  readonly #binding: SchedulerBinding;
  readonly #book: AddressBook;
  readonly #tables: Tables;

  constructor(region: Region, options: CommandsOptions) {
    this.region = region;
    this.#options = options;
    this.#binding = new SchedulerBinding(
      region,
      options.schedulers ?? findScheduler,
      options.relax ?? (() => {}),
    );
    this.#book = options.addresses ?? LOOPBACK_ONLY;
    const torn = mendTables(region);
    this.services = new ServiceRows(region);
    this.destinations = new DestinationRows(region);
    this.#tables = {
      region,
      services: this.services,
      destinations: this.destinations,
      rates: options.rates,
    };
    for (const s of this.services.newestFirst()) this.#binding.adopt(s);
    if (torn) this.#settle();
  }

  execute(command: DirectorCommand): CommandResult {
    try {
      const listing = this.#carryOut(command);
      return listing === undefined ? { ok: true } : { ok: true, listing };
    } catch (error) {
      if (error instanceof Refusal) {
        return { ok: false, error: { code: error.code, message: error.message } };
      }
      throw error;
    }
  }

  #carryOut(command: DirectorCommand): Listing | undefined {
    switch (command.kind) {
      case "addService":
        return this.addService(command.service);
      case "editService":
        return this.editService(command.service);
      case "deleteService":
        return this.deleteService(command.service);
      case "clear":
        return this.clear();
      case "addServer":
        return this.addServer(command.service, command.server);
      case "editServer":
        return this.editServer(command.service, command.server);
      case "deleteServer":
        return this.deleteServer(command.service, command.server);
      case "zero":
        return this.zero(command.service);
      case "setTimeouts":
        return this.setTimeouts(command.timeouts);
      case "list":
        return this.list(command.what, command.service);
      case "save":
        return this.list("services");
    }
  }

  /** -A. Throws Refusal, as the other verbs do. */
  addService(spec: ServiceSpec): undefined {
    const key = serviceNumbers(spec.key);
    checkService(spec);
    if (this.services.find(key) >= 0) refuse("EEXIST", "such a service exists already");
    this.#checkScheduler(spec);
    if (!this.services.hasRoom) refuse("ENOMEM", `no room for more than ${this.services.count} services`);
    this.#change(() => {
      const s = this.services.add(key, spec);
      this.#binding.start(s);
    });
  }

  /** -E: what is not said goes back to its default, which the grammar fills in. */
  editService(spec: ServiceSpec): undefined {
    const s = this.#service(spec.key);
    checkService(spec);
    this.#checkScheduler(spec);
    this.#change(() => {
      this.services.describe(s, spec);
      if (schedulerName(this.region.services, s) === spec.scheduler) {
        this.#binding.touch(s);
      } else {
        this.services.setScheduler(s, spec.scheduler);
        this.#binding.start(s);
      }
    });
  }

  /** -D. */
  deleteService(key: ServiceKey): undefined {
    const s = this.#service(key);
    this.#change(() => this.#dropService(s));
  }

  /** -C. */
  clear(): undefined {
    this.#change(() => {
      for (const s of this.services.newestFirst()) this.#dropService(s);
    });
  }

  /** -a. */
  addServer(serviceKey: ServiceKey, spec: ServerSpec): undefined {
    const place = this.#place(serviceKey, spec, spec.method === "route");
    const { s, key, server } = place;
    checkServer(spec);
    if (this.destinations.find(s, server) >= 0) refuse("EEXIST", "such a real server exists already");
    this.#checkAddress(spec, key, server);
    if (!this.destinations.hasRoom(key, server)) refuse("ENOMEM", "no room for another real server");
    this.#change(() => {
      const d = this.destinations.add(s, key, server, this.#values(spec, server), this.#options.now());
      this.#binding.changed(s, { kind: "added", destination: d, before: -1 });
    });
  }

  /** -e. */
  editServer(serviceKey: ServiceKey, spec: ServerSpec): undefined {
    const { s, server } = this.#place(serviceKey, spec, spec.method === "route");
    checkServer(spec);
    const d = this.#server(s, server);
    if (spec.method !== "route") this.#refuseMethod(spec);
    this.#change(() => {
      this.destinations.set(d, this.#values(spec, server));
      this.#binding.changed(s, { kind: "edited", destination: d, before: -1 });
    });
  }

  /** -d. */
  deleteServer(serviceKey: ServiceKey, serverKey: ServerKey): undefined {
    const { s, server } = this.#place(serviceKey, serverKey, false);
    const d = this.#server(s, server);
    this.#change(() => {
      const before = this.destinations.remove(s, d, this.#options.now());
      this.#binding.changed(s, { kind: "removed", destination: d, before });
    });
  }

  /** -Z, of one service or of all. */
  zero(key?: ServiceKey): undefined {
    const rows = key === undefined ? this.services.newestFirst() : [this.#service(key)];
    for (const s of rows) {
      for (const d of members(this.region, s)) zeroDestination(this.region, d);
      // Deleted destinations keep their counts, as in the kernel: the service's sum is brought to 0 without them.
      depart(this.region, s, serviceSum(this.#tables, s), -1);
      this.#options.rates?.zeroed?.(s);
    }
    if (key === undefined) zeroDirector(this.region);
  }

  /** --set: 0 keeps the present value. */
  setTimeouts(timeouts: Timeouts): undefined {
    checkTimeouts(timeouts);
    const { settings } = this.region;
    if (timeouts.tcp !== 0) settings[Setting.timeout_tcp + ESTABLISHED] = timeouts.tcp;
    if (timeouts.tcpfin !== 0) settings[Setting.timeout_tcp + FIN_WAIT] = timeouts.tcpfin;
    if (timeouts.udp !== 0) settings[Setting.timeout_udp] = timeouts.udp;
  }

  /** The service's scheduler is not asked any more until -E gives it one anew: no new connections, the others go on. */
  suspend(s: number): void {
    const { services } = this.region;
    this.#change(() => {
      services.flags[s]! |= ServiceFlag.Suspended;
      this.#binding.touch(s);
    });
  }

  timeouts(): Timeouts {
    const { settings } = this.region;
    return {
      tcp: settings[Setting.timeout_tcp + ESTABLISHED]!,
      tcpfin: settings[Setting.timeout_tcp + FIN_WAIT]!,
      udp: settings[Setting.timeout_udp]!,
    };
  }

  /** -L, and -S, which lists the services. What it answers is read lazily. */
  list(what: "services" | "connections" | "timeouts" | "daemons", key?: ServiceKey): Listing {
    switch (what) {
      case "services": {
        const services =
          key === undefined ? listServices(this.#tables) : [listService(this.#tables, this.#service(key))];
        return { kind: "services", info: this.info(), services };
      }
      case "connections":
        return { kind: "connections", connections: listConnections(this.region, this.#options.now()) };
      case "timeouts":
        return { kind: "timeouts", timeouts: this.timeouts() };
      case "daemons":
        return { kind: "daemons" };
    }
  }

  info(): DirectorInfo {
    const buckets = this.region.shards.reduce((sum, shard) => sum + shard.connections.heads.length, 0);
    return { version: IPVS_VERSION, size: buckets, ...this.#options.info };
  }

  /** Frees deleted destinations that lay idle for two minutes. Call about once a second. */
  sweep(now: number): void {
    if (this.destinations.trashed > 0) this.destinations.sweep(now);
  }

  #service(key: ServiceKey): number {
    const s = this.services.find(serviceNumbers(key));
    return s >= 0 ? s : refuse("ESRCH", "there is no such service");
  }

  #server(s: number, server: ServerNumbers): number {
    const d = this.destinations.find(s, server);
    return d >= 0 ? d : refuse("ENOENT", "the service has no such real server");
  }

  /**
   * Direct routing cannot change ports: unless the service is a firewall mark, the server's port is the service's,
   * whatever was asked for (ipvsadm does the same in silence).
   */
  #place(serviceKey: ServiceKey, serverKey: ServerKey, routed: boolean): Place {
    const key = serviceNumbers(serviceKey);
    const s = this.services.find(key);
    if (s < 0) refuse("ESRCH", "there is no such service");
    const port = routed && key.mark === 0 ? key.port : serverKey.port;
    return { s, key, server: serverNumbers(key.family, { address: serverKey.address, port }) };
  }

  #checkScheduler(spec: ServiceSpec): void {
    if (!this.#binding.knows(spec.scheduler)) refuse("ENOENT", `there is no scheduler "${spec.scheduler}"`);
    if (spec.pe !== undefined && spec.pe !== "")
      refuse("ENOENT", `there is no persistence engine "${spec.pe}"`);
  }

  #checkAddress(spec: ServerSpec, key: ServiceNumbers, server: ServerNumbers): void {
    if (spec.method !== "route") this.#refuseMethod(spec);
    if (!mayServe(server.address, key.family, this.#book)) {
      refuse("EINVAL", `${spec.address} is not a unicast address, so it cannot be a real server's`);
    }
  }

  #refuseMethod(spec: ServerSpec): never {
    const what = spec.method === "masq" ? "masquerading (-m)" : "tunnelling (-i)";
    return refuse("EOPNOTSUPP", `this director forwards by direct routing (-g) only, not by ${what}`);
  }

  #values(spec: ServerSpec, server: ServerNumbers): DestinationValues {
    const method = isOwn(server.address, this.#book) ? Method.LocalNode : Method.Route;
    return { weight: spec.weight, upper: spec.upper, lower: spec.lower, method };
  }

  #dropService(s: number): void {
    // First, so that whoever finds this half done does the rest (mend.ts).
    this.region.services.live[s] = 0;
    this.destinations.removeAll(s, this.#options.now());
    this.services.remove(s);
    this.#binding.forget(s);
  }

  /** Runs the writes of one command as one change. */
  #change(write: () => void): void {
    const { header } = this.region;
    beginChange(header, Header.Generation);
    try {
      write();
    } finally {
      endChange(header, Header.Generation);
    }
  }

  /** The last owner ended in the middle of a change: the schedulers look at their lists once more. */
  #settle(): void {
    this.#change(() => {
      for (const s of this.services.newestFirst()) {
        const first = this.region.services.first[s]!;
        if (first >= 0) this.#binding.changed(s, { kind: "edited", destination: first, before: -1 });
      }
    });
  }
}

/** The executor for a region, new or found again: makes whole what a crash left half, and builds the indexes. */
export function attachCommands(region: Region, options: CommandsOptions): Commands {
  return new Commands(region, options);
}
