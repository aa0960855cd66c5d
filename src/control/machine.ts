/** What the director knows of the machine it runs on: its interface, and which addresses are the host's own. */
import { networkInterfaces } from "node:os";
import { isNativeError, native } from "../ring/native.ts";
import { isMapped, type Mac, parseAddress, type Words } from "../wire/address.ts";
import { contains, parseCidr } from "../wire/network.ts";
import type { AddressBook } from "./addresses.ts";

export class MachineError extends Error {
  override readonly name = "MachineError";
}

export interface Link {
  readonly name: string;
  readonly index: number;
  readonly mtu: number;
  readonly mac: Mac;
}

const IFF_UP = 0x1;
const ARPHRD_ETHER = 1;
/** Characters of a name that cannot be one that an error repeats. */
const LONGEST_SHOWN = 64;

/** The interface as it is now; throws MachineError, with the cure, when it cannot serve. */
export function readLink(name: string): Link {
  const { index, mtu, flags, hardwareType, macHigh, macLow } = linkOf(name);
  if (hardwareType !== ARPHRD_ETHER) {
    throw new MachineError(
      `interface ${name} is not Ethernet: direct routing rewrites MAC addresses, it needs one that is`,
    );
  }
  if ((flags & IFF_UP) === 0)
    throw new MachineError(`interface ${name} is down: \`ip link set ${name} up\` first`);
  return { name, index, mtu, mac: { hi: macHigh, lo: macLow } };
}

function linkOf(name: string) {
  try {
    return native().link(name);
  } catch (error) {
    // A TypeError: longer than any interface's name.
    if (!isNativeError(error, "ENODEV") && !(error instanceof TypeError)) throw error;
    const others = Object.keys(networkInterfaces()).filter((other) => other !== "lo");
    throw new MachineError(
      `there is no interface ${name.slice(0, LONGEST_SHOWN)} here${others.length === 0 ? "" : `, only ${others.join(", ")}`}: see \`ip link\``,
    );
  }
}

interface HostAddress {
  readonly words: Words;
  readonly prefix: number;
  readonly on: string;
}

/** The host's own addresses, read again by `refresh`; addresses of interfaces that are down are not among them. */
export class HostAddresses implements AddressBook {
  #all: HostAddress[] = [];
  #local = new Set<string>();

  constructor() {
    this.refresh();
  }

  /** Returns whether something changed. */
  refresh(): boolean {
    const all: HostAddress[] = [];
    for (const [on, entries = []] of Object.entries(networkInterfaces())) {
      for (const { address, cidr } of entries) {
        const words = parseAddress(address.split("%")[0]!);
        if (words !== undefined) all.push({ words, prefix: parseCidr(cidr ?? "")?.prefix ?? 32, on });
      }
    }
    const local = new Set(all.map(({ words }) => words.join()));
    const changed = local.size !== this.#local.size || [...local].some((key) => !this.#local.has(key));
    this.#all = all;
    this.#local = local;
    return changed;
  }

  isLocal(address: Words): boolean {
    return this.#local.has(address.join());
  }

  isBroadcast(address: Words): boolean {
    if (!isMapped(address)) return false;
    return this.#all.some(({ words, prefix }) => {
      if (!isMapped(words) || prefix > 30) return false;
      const host = 0xffff_ffff >>> prefix;
      return (words[3] | host) >>> 0 === address[3];
    });
  }

  /** IPv4 addresses of one interface, u32, in the kernel's order. */
  on(name: string): number[] {
    return this.#all.filter(({ on, words }) => on === name && isMapped(words)).map(({ words }) => words[3]);
  }

  /**
   * Our address to ask `target` from: one of its network, else any of the interface, else 0, an address probe, which
   * Linux answers too. Never one of `except` (VIPs): asking from a VIP would announce it (arp_announce).
   */
  sourceFor(name: string, target: number, except: ReadonlySet<number>): number {
    const own = this.#all.filter(({ on, words }) => on === name && isMapped(words) && !except.has(words[3]));
    const near = own.find(({ words, prefix }) =>
      contains({ address: words, prefix }, [0, 0, 0xffff, target]),
    );
    return (near ?? own[0])?.words[3] ?? 0;
  }

  /** The same for IPv6: one of its network, else the link-local one, else the unspecified address. */
  sourceFor6(name: string, target: Words, except: readonly Words[]): Words {
    const own = this.#all.filter(
      ({ on, words }) =>
        on === name && !isMapped(words) && !except.some((vip) => vip.join() === words.join()),
    );
    const near = own.find(({ words, prefix }) => contains({ address: words, prefix }, target));
    const local = own.find(({ words }) => isLinkLocal(words));
    return (near ?? local)?.words ?? [0, 0, 0, 0];
  }
}

/** fe80::/10 */
const isLinkLocal = (words: Words): boolean => words[0] >>> 22 === 0x3fa;

const CAP_NET_ADMIN = 12n;
const CAP_NET_RAW = 13n;

/** Throws MachineError when this process may not do what a director does. */
export function checkCapabilities(): void {
  const has = native().capabilities();
  const missing = [
    ...((has >> CAP_NET_RAW) & 1n ? [] : ["CAP_NET_RAW"]),
    ...((has >> CAP_NET_ADMIN) & 1n ? [] : ["CAP_NET_ADMIN"]),
  ];
  if (missing.length === 0) return;
  throw new MachineError(
    `missing ${missing.join(" and ")}: run as root, or as a service with AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN`,
  );
}
