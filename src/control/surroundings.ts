/**
 * The director on its link: our interface and the host's addresses as they are now, ARP and IPv6 neighbour discovery,
 * the real servers' MACs and
 * the virtual addresses that we answer for.
 */
import { native } from "../ring/native.ts";
import { Header, type Region } from "../table/region.ts";
import {
  formatAddress,
  formatMac,
  isMapped,
  type Mac,
  parseAddress,
  parseMac,
  type Words,
} from "../wire/address.ts";
import { ArpSocket } from "./arp-socket.ts";
import type { Config } from "./config.ts";
import type { Events } from "./events.ts";
import { type HostAddresses, type Link, readLink } from "./machine.ts";
import { NdpSocket } from "./ndp-socket.ts";
import { type NeighbourEvent, NeighbourKeeper, type NeighbourLink } from "./neighbours.ts";
import { seededRandom } from "./random.ts";
import { writeLink } from "./region-config.ts";
import { type VipEvent, VipKeeper, type VipLink } from "./vip.ts";

export interface SurroundingsOptions {
  readonly region: Region;
  readonly link: Link;
  readonly host: HostAddresses;
  readonly events: Events;
  /** The shards must look at what changed. */
  readonly wake: () => void;
  /** The ARP socket of another process to go on with. */
  readonly arp?: number;
}

export class Surroundings {
  readonly neighbours: NeighbourKeeper;
  readonly vips: VipKeeper;
  readonly host: HostAddresses;
  readonly #options: SurroundingsOptions;
  readonly #arp: ArpSocket;
  readonly #ndp: NdpSocket;
  #link: Link;
  #vipWords: readonly Words[] = [];
  #vipNumbers: ReadonlySet<number> = new Set();
  #vipList: Config["vips"] = [];
  #trouble = "";

  constructor(options: SurroundingsOptions) {
    const { region, link, host, wake } = options;
    this.#options = options;
    this.#link = link;
    this.host = host;
    this.#arp = new ArpSocket({
      interfaceIndex: link.index,
      mac: link.mac,
      ...(options.arp === undefined ? {} : { inherited: options.arp }),
      source: (target) => host.sourceFor(link.name, target, this.#vipNumbers),
      heard: (packet, toUs) => {
        const now = native().monotonic();
        this.neighbours.heard(packet, toUs, now);
        this.vips.heard(packet, now);
      },
      failed: (error) => this.#troubled(`ARP on ${link.name}: ${error.message}`),
    });
    this.#ndp = new NdpSocket({
      interfaceIndex: link.index,
      interfaceName: link.name,
      mac: link.mac,
      source: (target) => host.sourceFor6(link.name, target, this.#vipWords),
      heard: (message) => {
        const now = native().monotonic();
        this.neighbours.heard6(message, now);
        this.vips.heard6(message, now);
      },
      failed: (error) => this.#troubled(`neighbour discovery on ${link.name}: ${error.message}`),
    });
    this.neighbours = new NeighbourKeeper(region, this.#wire(), {
      random: seededRandom(region.header[Header.Seed]! ^ process.pid),
      wake,
      event: (event) => this.#tellNeighbour(event),
    });
    this.vips = new VipKeeper(region, this.#wire(), {
      isLocal: (words) => host.isLocal(words),
      wake,
      event: (event) => this.#tellVip(event),
    });
  }

  /** ARP and neighbour discovery as one. */
  #wire(): NeighbourLink & VipLink {
    const arp = this.#arp;
    const ndp = this.#ndp;
    return {
      get mac() {
        return arp.mac;
      },
      ask: (target, to) => arp.ask(target, to),
      ask6: (target, to) => ndp.ask(target, to),
      answer: (ip, asker, askerIp) => arp.answer(ip, asker, askerIp),
      answer6: (target, asker) => ndp.answer(target, asker),
      announce: (ip) => arp.announce(ip),
      announce6: (target) => ndp.announce(target),
    };
  }

  /** Every virtual address of the config, owned or not. */
  get vipAddresses(): readonly Words[] {
    return this.#vipWords;
  }

  /** What the config says of addresses, but does not yet announce any: see `stand`. */
  learn(config: Config, now: number): void {
    this.#vipList = config.vips;
    this.#vipWords = config.vips
      .map((vip) => parseAddress(vip.address))
      .filter((words) => words !== undefined);
    this.#vipNumbers = new Set(this.#vipWords.filter(isMapped).map((words) => words[3]));
    const statics = new Map<string, Mac>();
    for (const { address, mac } of config.services.flatMap((service) => service.servers)) {
      const words = parseAddress(address);
      const parsed = mac === undefined ? undefined : parseMac(mac);
      if (words !== undefined && parsed !== undefined) statics.set(formatAddress(words), parsed);
    }
    this.#writeLink();
    this.neighbours.setStatics(statics, now);
  }

  /** Answers for the virtual addresses from now on: only once their frames are forwarded. */
  stand(now: number): void {
    this.#ndp.hear(this.#vipWords.filter((words) => !isMapped(words)));
    this.vips.configure(this.#vipList, now);
  }

  tend(now: number): void {
    this.neighbours.tend(now);
    this.vips.tend(now);
  }

  /**
   * Addresses, MAC and MTU may change under us, and the interface may go and come back as another one; call about once
   * a second. The interface as it is now, or undefined while it cannot be used.
   */
  look(now: number): Link | undefined {
    if (this.host.refresh()) this.vips.configure(this.#vipList, now);
    const before = this.#link;
    const { events } = this.#options;
    let link: Link;
    try {
      link = readLink(before.name);
      if (link.index !== before.index) this.#arp.bind(link.index);
    } catch (error) {
      this.#troubled((error as Error).message);
      return undefined;
    }
    const back = this.#trouble !== "";
    if (back) events.tell("info", "link-back", `interface ${link.name} is back`);
    this.#trouble = "";
    this.#link = link;
    this.#arp.mac = link.mac;
    this.#writeLink();
    const moved = link.mac.hi !== before.mac.hi || link.mac.lo !== before.mac.lo;
    if (moved)
      events.tell("info", "mac", `our MAC is ${formatMac(link.mac)} now`, { mac: formatMac(link.mac) });
    // Whoever knows where our addresses were must learn where they are.
    if (back || moved || link.index !== before.index) this.vips.announceAll(now);
    return link;
  }

  /** The socket that another process may go on with. */
  get arp(): number {
    return this.#arp.fd;
  }

  /** Hears nothing until `listen`; what comes in meanwhile waits. */
  rest(): void {
    this.#arp.rest();
    this.#ndp.rest();
  }

  listen(): void {
    this.#arp.listen();
    this.#ndp.listen();
  }

  close(): void {
    this.#arp.close();
    this.#ndp.close();
  }

  #writeLink(): void {
    const { name, mac, mtu } = this.#link;
    writeLink(this.#options.region, mac, mtu, this.host.sourceFor(name, 0, this.#vipNumbers));
  }

  /** Said once, until something else is wrong or all is well again. */
  #troubled(message: string): void {
    if (message === this.#trouble) return;
    this.#trouble = message;
    this.#options.events.tell("warn", "link", message, { interface: this.#link.name });
  }

  #tellNeighbour({ kind, address, mac, before }: NeighbourEvent): void {
    const place = mac === undefined ? "does not answer" : `is at ${mac}${kind === "moved" ? " now" : ""}`;
    const level = kind === "failed" ? "warn" : "info";
    this.#options.events.tell(level, `neighbour-${kind}`, `real server ${address} ${place}`, {
      address,
      mac,
      before,
    });
  }

  #tellVip({ kind, address, mac }: VipEvent): void {
    const text = {
      conflict: `${mac} claims the virtual address ${address} too`,
      activated: `answers for ${address}`,
      deactivated: `no longer answers for ${address}`,
    }[kind];
    this.#options.events.tell(kind === "conflict" ? "error" : "info", `vip-${kind}`, text, { address, mac });
  }
}
