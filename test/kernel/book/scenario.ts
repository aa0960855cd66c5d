/** Scenarios by lot: an administrator's commands, packets and sleeps, told to the book and to the director alike. */
import { parseAddress, parseIpv4, parseIpv6, type Words } from "../../../src/wire/address.ts";
import { icmpFrame, tcpFrame, udpFrame } from "../../../src/wire/frame.ts";
import { servicesOf } from "../../oracle/compare.ts";
import { Story } from "../story.ts";
import { Book } from "./book.ts";
import { lots } from "./lots.ts";
import { type Dest, SCHEDULERS } from "./schedulers.ts";
import type { Fate, Packet, Service, ServiceOptions } from "./words.ts";

const HOST_VERDICTS = ["NotOurs", "NoConnection", "NotScheduled"];

/** Verdicts' names as they stand in listings may be written otherwise; letters count. */
function fateOf(told: string): Fate {
  if (told.startsWith("rs")) return told as Fate;
  if (told.startsWith("director:icmp")) return "icmp";
  const letters = told.replace(/[^a-zA-Z]/g, "").toLowerCase();
  return HOST_VERDICTS.some((name) => name.toLowerCase() === letters) ? "host" : "none";
}

function addressOf(text: string): number | Words {
  return text.includes(":") ? parseIpv6(text)! : parseIpv4(text)!;
}

function foldOf(address: string): number {
  const [a, b, c, d] = parseAddress(address)!;
  return address.includes(":") ? a ^ b ^ c ^ d : d;
}

/** The first `bits` of an address, as listings write it. Addresses here end in one group or byte below 2^16. */
function networkOf(address: string, bits: number): string {
  if (!address.includes(":")) {
    const kept = address
      .split(".")
      .map((byte, i) => Number(byte) & (0xff00 >> Math.min(8, bits - i * 8)) & 0xff);
    return bits === 32 ? address : kept.join(".");
  }
  return bits === 128 ? address : address.replace(/::.*$/, "::");
}

export class Scenario {
  readonly #lot: () => number;
  readonly book: Book;
  readonly story: Story;
  readonly #pool: Service[];
  readonly #sharded: boolean;
  readonly #schedulers: readonly string[];
  /** May a service look at virtual addresses? */
  readonly #byVirtual: boolean;
  /** Packets of late, whose flows go on. */
  #recent: Packet[] = [];
  /** What was done, for whoever has to look for a difference. */
  readonly log: string[] = [];

  constructor(seed: number, shards: number, schedulers: readonly string[]) {
    this.#schedulers = schedulers;
    this.#byVirtual = schedulers.some((name) => /^dh|^lblc/.test(name));
    this.#lot = lots(seed);
    this.#sharded = shards > 1;
    const older = this.#lot() < 0.3;
    this.book = new Book(older);
    this.story = new Story({ kernel: older ? "6.1.176" : "6.1.192", shards });
    const family = this.#lot();
    const pool = family < 0.5 ? pool4() : family < 0.7 ? pool6() : [...pool4(), ...pool6()];
    // A template whose time is up in the very tick in which its last connection ends, in another shard, may stay for
    // another minute or not: the kernel's timers have no order either, but it would disturb everything after it.
    this.#pool = pool.filter((each) => shards === 1 || !isAnyPort(each));
    const ofMark = (mark: number, destination: string, ports: readonly [number, number]) => {
      return { mark, protocol: "any" as const, destination, ports };
    };
    this.story.marks(
      ofMark(1, "198.51.100.0/24", [0, 65535]),
      ofMark(1, "2001:db8:5::/64", [0, 65535]),
      ofMark(2, "10.0.0.101", [443, 8443]),
      ofMark(2, "2001:db8::101", [443, 8443]),
    );
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#lot() * from.length)]!;
  }

  #chance(of: number): boolean {
    return this.#lot() < of;
  }

  /** One thing happens; what differs afterwards, in words. */
  async step(): Promise<string | undefined> {
    const lot = this.#lot();
    if (this.book.services.size === 0 || lot < 0.02) await this.#newService();
    else if (lot < 0.78) return this.#packet();
    else if (lot < 0.8) return this.#error();
    else if (lot < 0.85) await this.#addServer();
    else if (lot < 0.9) await this.#editServer();
    else if (lot < 0.925) await this.#deleteServer();
    else if (lot < 0.935) await this.#editService();
    else if (lot < 0.94) await this.#deleteService();
    else if (lot < 0.95) this.#sysctl();
    else if (lot < 0.955) await this.#timeouts();
    else if (lot < 0.957) await this.#zero();
    else this.#sleep();
    return this.compare();
  }

  async #tell(line: string): Promise<void> {
    this.log.push(line);
    await this.story.ipvsadm(line);
  }

  #options(service: Service): { options: ServiceOptions; words: string } {
    const scheduler = this.#pick(this.#schedulers);
    const hashes = scheduler === "sh" || scheduler === "mh";
    const fallback = hashes && this.#chance(0.5);
    const withPort = hashes && this.#chance(0.5);
    const persistence = this.#sharded ? 0 : isAnyPort(service) ? 20 : this.#pick([0, 0, 0, 7, 20, 90]);
    const four = service.family === 4;
    const whole = four ? 32 : 128;
    const bits = persistence > 0 ? this.#pick(four ? [32, 24] : [128, 64]) : whole;
    const onePacket = service.protocol !== "TCP" && this.#chance(0.3);
    const flags = [fallback ? `${scheduler}-fallback` : "", withPort ? `${scheduler}-port` : ""].filter(
      Boolean,
    );
    const mask = four ? "255.255.255.0" : String(bits);
    const words = [
      ` -s ${scheduler}`,
      flags.length > 0 ? ` -b ${flags.join(",")}` : "",
      persistence > 0 ? ` -p ${persistence}` : "",
      bits !== whole ? ` -M ${mask}` : "",
      onePacket ? " -o" : "",
    ];
    const options = { scheduler, fallback, withPort, persistence, bits, onePacket };
    return { options, words: words.join("") };
  }

  async #newService(): Promise<void> {
    const free = this.#pool.filter(({ name }) => !this.book.services.has(name));
    if (free.length === 0) return;
    const service = this.#pick(free);
    const { options, words } = this.#options(service);
    await this.#tell(`-A ${service.name}${words}`);
    this.book.addService(service, options);
    for (let n = 0; n < 3; n++) await this.#addServer(service.name);
  }

  async #editService(): Promise<void> {
    const { service } = this.book.services.get(this.#serviceName())!;
    const { options, words } = this.#options(service);
    await this.#tell(`-E ${service.name}${words}`);
    this.book.editService(service.name, options);
  }

  async #deleteService(): Promise<void> {
    const name = this.#serviceName();
    await this.#tell(`-D ${name}`);
    this.book.deleteService(name);
  }

  #serviceName(): string {
    return this.#pick([...this.book.services.keys()]);
  }

  #thresholds(): { upper: number; lower: number; words: string } {
    if (this.#chance(0.6)) return { upper: 0, lower: 0, words: "" };
    const upper = 1 + Math.floor(this.#lot() * 7);
    const lower = this.#chance(0.5) ? 0 : 1 + Math.floor(this.#lot() * upper);
    return { upper, lower, words: ` -x ${upper}${lower > 0 ? ` -y ${lower}` : ""}` };
  }

  #weight(): number {
    return this.#pick([0, 1, 1, 1, 2, 3, 4, 6, 9, 130]);
  }

  #address({ family }: Service, host: number): string {
    return family === 4 ? `10.0.0.${host}` : `2001:db8::${host}`;
  }

  /** A mark's servers keep the port they are given; the others have the service's, whatever is said. */
  #portOf(service: Service, host: number): number {
    return service.mark > 0 && host % 2 === 0 ? 8080 : service.port;
  }

  #server(service: Service, host: number): string {
    const address = this.#address(service, host);
    const port = this.#portOf(service, host);
    return service.family === 4 ? `${address}:${port}` : `[${address}]:${port}`;
  }

  async #addServer(name = this.#serviceName()): Promise<void> {
    const { service, list } = this.book.services.get(name)!;
    const host = 11 + Math.floor(this.#lot() * 6);
    if (list.some((dest) => dest.host === host)) return;
    const weight = this.#weight();
    const { upper, lower, words } = this.#thresholds();
    await this.#tell(`-a ${name} -r ${this.#server(service, host)} -g -w ${weight}${words}`);
    const fold = foldOf(this.#address(service, host));
    const port = this.#portOf(service, host);
    this.book.addServer(name, { ...NOBODY, host, fold, port, weight, upper, lower });
  }

  async #editServer(): Promise<void> {
    const name = this.#serviceName();
    const { service, list } = this.book.services.get(name)!;
    if (list.length === 0) return;
    const { host } = this.#pick(list);
    const weight = this.#weight();
    const { upper, lower, words } = this.#thresholds();
    await this.#tell(`-e ${name} -r ${this.#server(service, host)} -g -w ${weight}${words}`);
    this.book.editServer(name, host, weight, upper, lower);
  }

  async #deleteServer(): Promise<void> {
    const name = this.#serviceName();
    const { service, list } = this.book.services.get(name)!;
    if (list.length === 0) return;
    const { host } = this.#pick(list);
    await this.#tell(`-d ${name} -r ${this.#server(service, host)}`);
    this.book.deleteServer(name, host);
  }

  #sysctl(): void {
    const names = Object.keys(this.book.sysctl) as (keyof Book["sysctl"])[];
    const name = this.#pick(names.filter((each) => this.#allows(each)));
    const values = { conn_reuse_mode: [0, 1, 1, 2, 3], drop_packet: [0, 0, 0, 3], secure_tcp: [0, 3] }[
      name as string
    ] ?? [0, 1];
    const value = this.#pick(values);
    this.log.push(`sysctl ${name}=${value}`);
    this.book.sysctl[name] = value;
    this.story.sysctl(name, value);
  }

  /**
   * Each shard counts for itself which new connections drop_packet hits; and of what an ICMP error opens, the kernel's
   * dh and its like look at the wrong address (test/kernel/icmp.test.ts).
   */
  #allows(sysctl: string): boolean {
    if (sysctl === "drop_packet") return !this.#sharded;
    return sysctl !== "schedule_icmp" || !this.#byVirtual;
  }

  async #timeouts(): Promise<void> {
    const [tcp, fin, udp] = [this.#pick([0, 30, 900]), this.#pick([0, 5, 120]), this.#pick([0, 15, 300])];
    await this.#tell(`--set ${tcp} ${fin} ${udp}`);
    const { timeouts } = this.book;
    if (tcp !== 0) timeouts.ESTABLISHED = tcp;
    if (fin !== 0) timeouts.FIN_WAIT = fin;
    if (udp !== 0) timeouts.UDP = udp;
  }

  async #zero(): Promise<void> {
    const name = this.#serviceName();
    await this.#tell(`-Z ${name}`);
    this.book.zero(name);
  }

  #sleep(): void {
    const seconds = this.#pick([1, 1, 2, 5, 11, 30, 61, 130, 400]);
    this.log.push(`sleep ${seconds}`);
    this.book.pass(seconds);
    this.story.pass(seconds);
  }

  #packet(): string | undefined {
    const again = this.#chance(0.6) && this.#recent.length > 0;
    const packet = again ? { ...this.#pick(this.#recent) } : this.#newPacket();
    if (again && packet.protocol === "TCP") packet.flags = this.#flags();
    this.#recent = [packet, ...this.#recent.slice(0, 7)];
    const { client, clientPort, vip, port, flags } = packet;
    const from = packet.family === 4 ? `${client}:${clientPort}` : `[${client}]:${clientPort}`;
    const to = packet.family === 4 ? `${vip}:${port}` : `[${vip}]:${port}`;
    const told = packet.protocol === "TCP" ? this.story.tcp(from, flags, to) : this.story.udp(from, to);
    const fate = this.book.packet(packet);
    this.log.push(`${packet.protocol} ${from} ${flags} ${to}: ${fate}`);
    return fateOf(told) === fate ? undefined : `${told}, by the book ${fate}`;
  }

  #flags(): string {
    return this.#pick(["S", "S", "S", "A", "A", "A", "FA", "FA", "F", "R", "RA", "", "SA", "SR"]);
  }

  /** A router tells of trouble with a packet to a client of late. */
  #error(): string | undefined {
    // The kernel's mark would be the error's own, ours is the flow's; and dh and its like hash the error's destination.
    const known = this.#recent.filter(({ mark }) => mark === 0);
    if (known.length === 0) return undefined;
    const packet = this.#pick(known);
    const ends = {
      source: addressOf(packet.vip),
      destination: addressOf(packet.client),
      sourcePort: packet.port,
      destinationPort: packet.clientPort,
    };
    const payload = (packet.protocol === "TCP" ? tcpFrame(ends) : udpFrame(ends)).subarray(14);
    const router = addressOf(packet.family === 4 ? "192.0.2.9" : "2001:db8:9::9");
    const error = icmpFrame({
      source: router,
      destination: ends.source,
      type: packet.family === 4 ? 3 : 1,
      code: 1,
      payload,
    });
    const told = this.story.frame(error);
    const fate = this.book.error({ ...packet, bytes: error.length - 14 });
    this.log.push(
      `error about ${packet.protocol} ${packet.client}:${packet.clientPort} ${packet.vip}:${packet.port}: ${fate}`,
    );
    return fateOf(told) === fate ? undefined : `${told}, by the book ${fate}`;
  }

  #newPacket(): Packet {
    const service = this.#chance(0.05)
      ? this.#pick(this.#pool)
      : this.book.services.get(this.#serviceName())!.service;
    const four = service.family === 4;
    const host = 1 + Math.floor(this.#lot() * 4);
    const net = Math.floor(this.#lot() * 3);
    const client = four ? `10.7.${net}.${host}` : `2001:db8:7:${net + 1}::${host}`;
    const clientPort = this.#chance(0.02) ? 20 : 1000 + Math.floor(this.#lot() * 3);
    let { vip, port } = service;
    if (service.mark === 1) vip = (four ? "198.51.100." : "2001:db8:5::") + (1 + Math.floor(this.#lot() * 4));
    if (service.mark === 2) vip = four ? "10.0.0.101" : "2001:db8::101";
    if (service.mark === 2) port = this.#pick([443, 443, 8443]);
    else if (port === 0) port = this.#pick([80, 443, 8080]);
    if (service.port === 21 && this.#chance(0.5)) port = this.#pick([20, 1024, 4000, 80]);
    else if (this.#chance(0.03)) port = this.#pick([20, 21, 80, 443, 5000]);
    const protocol = service.protocol === "FWM" ? this.#pick(["TCP", "UDP"] as const) : service.protocol;
    const flags = protocol === "TCP" ? this.#flags() : "";
    const marked = vip.startsWith(four ? "198." : "2001:db8:5:") ? 1 : 0;
    const second = vip === (four ? "10.0.0.101" : "2001:db8::101") && port >= 443 && port <= 8443 ? 2 : 0;
    return {
      protocol,
      family: service.family,
      client,
      clientPort,
      vip,
      port,
      flags,
      bytes: (four ? 20 : 40) + (protocol === "TCP" ? 20 : 9),
      mark: marked || second,
      folds: { client: foldOf(client), virtual: foldOf(vip) },
      network: (bits) => networkOf(client, bits),
    };
  }

  /** The tables of both, whole. */
  compare(): string | undefined {
    const ours = this.#ours().sort().join("\n");
    const theirs = this.#theirs().sort().join("\n");
    if (ours !== theirs) return `counts\n${ours}\nby the book\n${theirs}`;
    const listed = this.story.connections().filter((line) => !line.endsWith(" 0"));
    const book = this.book.connections();
    if (listed.join("\n") === book.join("\n")) return undefined;
    const only = listed.filter((line) => !book.includes(line));
    const missing = book.filter((line) => !listed.includes(line));
    return `connections ${only.join(" | ")}; by the book ${missing.join(" | ")}`;
  }

  /**
   * --stats of a real server. What the kernel's lblc remembers keeps a deleted one, and its numbers, for as long; ours
   * knows it by its address when it comes back, with new numbers.
   */
  #numbers(...numbers: readonly number[]): string {
    return this.#schedulers.some((name) => name.startsWith("lblc")) ? "" : numbers.join("/");
  }

  #ours(): string[] {
    return servicesOf(this.story.world).map(({ key, servers }) => {
      const name =
        key.protocol === "fwm"
          ? `fwm ${key.family} ${key.mark}`
          : `${key.protocol} ${key.address}:${key.port}`;
      const rows = servers.map((server) => {
        const host = server.address.split(/[.:]/).at(-1);
        const { conns, inPkts, inBytes } = server.stats;
        const counts = `${server.activeConns}+${server.inactiveConns}+${server.persistentConns}`;
        return `${host} w${server.weight} ${counts} ${this.#numbers(conns, inPkts, inBytes)}`;
      });
      return `${name}: ${rows.join(", ")}`;
    });
  }

  #theirs(): string[] {
    return [...this.book.services.values()].map(({ service, list }) => {
      const { family, protocol, mark, vip, port } = service;
      const name = mark > 0 ? `fwm ${family} ${mark}` : `${protocol.toLowerCase()} ${vip}:${port}`;
      const rows = list.map((dest) => {
        const counts = `${dest.active}+${dest.inactive}+${dest.persistent}`;
        const numbers = this.#numbers(dest.connections, dest.packets, dest.bytes);
        return `${dest.host} w${dest.weight} ${counts} ${numbers}`;
      });
      return `${name}: ${rows.join(", ")}`;
    });
  }
}

const NOBODY: Omit<Dest, "host" | "fold" | "port" | "weight" | "upper" | "lower"> = {
  lastWeight: 0,
  overloaded: false,
  active: 0,
  inactive: 0,
  persistent: 0,
  available: true,
  packets: 0,
  bytes: 0,
  connections: 0,
};

function services(family: 4 | 6, vips: readonly [string, string]): Service[] {
  const at = (protocol: "TCP" | "UDP", vip: string, port: number): Service => {
    const place = family === 4 ? `${vip}:${port}` : `[${vip}]:${port}`;
    return { name: `${protocol === "TCP" ? "-t" : "-u"} ${place}`, family, protocol, vip, port, mark: 0 };
  };
  const of = (mark: number): Service => {
    const name = family === 4 ? `-f ${mark}` : `-f ${mark} -6`;
    return { name, family, protocol: "FWM", vip: "", port: 0, mark };
  };
  const [one, two] = vips;
  return [
    at("TCP", one, 80),
    at("TCP", one, 21),
    at("TCP", one, 0),
    at("UDP", one, 53),
    at("UDP", one, 0),
    at("TCP", two, 443),
    of(1),
    of(2),
  ];
}

function isAnyPort({ port, mark }: Service): boolean {
  return port === 0 && mark === 0;
}

const pool4 = (): Service[] => services(4, ["10.0.0.100", "10.0.0.101"]);
const pool6 = (): Service[] => services(6, ["2001:db8::100", "2001:db8::101"]);

export const ALL = SCHEDULERS;
