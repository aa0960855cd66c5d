/**
 * A whole cluster in network namespaces on this machine: a client, a router, a switch, the director's host and real
 * servers (topology.ts). Needs root, or a user namespace in which we are root (privilege.ts); touches nothing outside.
 */
import { type InterfaceCounters, parseNetDev } from "./counters.ts";
import { Namespace } from "./namespace.ts";
import type { Outcome, Program, RunOptions } from "./program.ts";
import {
  clientLink,
  DIP,
  hostAddresses,
  hostSettings,
  type LabOptions,
  neighboursOnSwitch,
  realServerName,
  switchLinks,
} from "./topology.ts";

export class Lab {
  readonly options: LabOptions;
  /** By name: client, router, switch, director, rs1 … rsN. */
  readonly namespaces: ReadonlyMap<string, Namespace>;
  /** rs1 … rsN */
  readonly realServers: readonly string[];
  readonly #programs: Program[] = [];
  #closing: Promise<void> | undefined;

  private constructor(
    options: LabOptions,
    realServers: string[],
    namespaces: ReadonlyMap<string, Namespace>,
  ) {
    this.options = options;
    this.realServers = realServers;
    this.namespaces = namespaces;
  }

  /** Makes the namespaces and the links and addresses in them; nothing runs in them yet. */
  static async create(options: LabOptions = {}): Promise<Lab> {
    const count = options.realServers ?? 3;
    if (!(count >= 1 && count <= 80)) throw new RangeError(`a lab has 1 to 80 real servers, not ${count}`);
    const realServers = Array.from({ length: count }, (_, i) => realServerName(i));
    const names = ["client", "router", "switch", "director", ...realServers];
    const lab = new Lab(options, realServers, new Map(names.map((name) => [name, new Namespace(name)])));
    try {
      await lab.#build(count);
      return lab;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  async #build(count: number): Promise<void> {
    const { options } = this;
    const hosts = neighboursOnSwitch(count);
    const mtu = options.mtu ?? {};
    const everybody = [...this.namespaces.keys()].filter((name) => name !== "switch");
    // `true` comes back only when a holder stands in its new namespace: only then may links be sent there.
    await Promise.all([...this.namespaces.values()].map((namespace) => namespace.sh("true")));
    await Promise.all(everybody.map((name) => this.in(name).sysctl(hostSettings(name, options))));
    const pids = new Map([...this.namespaces].map(([name, namespace]) => [name, namespace.pid]));
    const quiet = hostSettings("switch", options);
    await Promise.all([
      this.in("switch")
        .sysctl(quiet)
        .then(() => this.in("switch").ip(switchLinks(hosts, pids, options))),
      this.in("router").ip(clientLink(pids.get("client")!, mtu)),
    ]);
    await Promise.all(
      everybody.map((name) => this.in(name).ip(hostAddresses(name, hosts.get(name) ?? DIP, options))),
    );
  }

  /** The namespace of that name. */
  in(name: string): Namespace {
    const namespace = this.namespaces.get(name);
    if (namespace === undefined)
      throw new Error(`the lab has no ${name}, only ${[...this.namespaces.keys()].join(", ")}`);
    return namespace;
  }

  /** Runs a program in a namespace to its end. */
  run(name: string, argv: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    return this.in(name).run(argv, options);
  }

  /** Starts a program in a namespace; close() ends it. */
  spawn(name: string, argv: readonly string[], env: Record<string, string> = {}): Program {
    const program = this.in(name).spawn(argv, env);
    this.#programs.push(program);
    return program;
  }

  /** What each interface of a namespace has carried. On the switch, a port is named after the host it leads to. */
  async counters(name: string): Promise<Map<string, InterfaceCounters>> {
    return parseNetDev(await this.in(name).sh("cat /proc/net/dev"));
  }

  /** Which port of the switch leads to a MAC, as the switch has learned it; undefined when it has not. */
  async portOf(mac: string): Promise<string | undefined> {
    const entries = JSON.parse(await this.in("switch").sh("bridge -j fdb show br br0")) as FdbEntry[];
    return entries.find((entry) => entry.mac === mac && entry.state !== "permanent")?.ifname;
  }

  /** Ends every program, then every namespace. May be called twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    // The last started first: traffic before the director, the director before the servers.
    for (const program of this.#programs.reverse()) await program.stop();
    await Promise.all([...this.namespaces.values()].map((namespace) => namespace.close()));
  }
}

interface FdbEntry {
  mac: string;
  ifname: string;
  state?: string;
}
