/**
 * A director without a network: the tables as a set-up says, in plain memory, for explain, replay, lessons and the
 * page. Runs in a browser too: it knows no Node, no YAML and no schema.
 *
 * Nobody answers ARP here, so every real server's neighbour is taken for resolved, with the MAC address that the
 * set-up gives or one made up from its IP address; `setNeighbour` says otherwise.
 */
import { registerBuiltIn } from "../schedulers/built-in.ts";
import { findScheduler } from "../schedulers/registry.ts";
import type { Scheduler } from "../schedulers/scheduler.ts";
import { TICK } from "../table/connections.ts";
import { beginChange, endChange } from "../table/generation.ts";
import { NeighbourState } from "../table/neighbours.ts";
import { MAX_OWN_VIPS, MAX_PEERS, PLACE_PEERS, PLACE_VIPS } from "../table/place.ts";
import { createRegion, Header, type Region, regionBytes, type Sizes } from "../table/region.ts";
import { Setting, type SettingName } from "../table/settings.ts";
import { formatAddress, formatMac, type Mac, parseAddress, parseMac, type Words } from "../wire/address.ts";
import { Commands } from "./commands.ts";
import { wordsAt } from "./keys.ts";
import { type MarkRule, setMarks } from "./marks.ts";
import type { CommandResult, DirectorCommand } from "./model.ts";

/** JSON-able: a recording carries one. Addresses are text. */
export interface OfflineSetup {
  /** The director's own MAC address: frames for any other are not its. */
  readonly mac: string;
  /** Its own IP address, if that matters (nobody may send from it). */
  readonly dip?: string;
  readonly mtu?: number;
  /** Services and servers, in the order in which they are made. */
  readonly commands: readonly DirectorCommand[];
  /** By name in table/settings.ts. */
  readonly settings?: Readonly<Partial<Record<SettingName, number>>>;
  readonly marks?: readonly MarkRule[];
  /** MAC addresses of peer directors. */
  readonly peers?: readonly string[];
  /** Virtual addresses that the director owns, and answers echo requests for. */
  readonly ownVips?: readonly string[];
  /** MAC addresses by real server's address; the others are made up. */
  readonly neighbours?: Readonly<Record<string, string>>;
  readonly sizes?: Partial<Omit<Sizes, "shards">>;
}

export interface OfflineOptions {
  /** The clock when it begins, ms. */
  readonly now: number;
  /** Schedulers that only this director knows, besides the registered ones. */
  readonly schedulers?: (name: string) => Scheduler | undefined;
}

/** Small enough for a page, large enough for any lesson. */
const SIZES: Sizes = {
  shards: 1,
  services: 256,
  destinations: 4096,
  connections: 65_536,
  templates: 8192,
  neighbours: 1024,
};

/** Nobody outside can choose colliding flows of a recording: a constant makes every run the same. */
const SEED = 0x0ff1_1e5d;

export class Offline {
  readonly region: Region;
  readonly commands: Commands;
  /** The clock of commands; whoever plays frames moves it along. */
  now: number;
  /** What was assumed, in sentences. */
  readonly assumed: readonly string[];
  readonly #known: Readonly<Record<string, string>>;

  /** Throws Error with the refusal when a command of the set-up cannot be carried out. */
  constructor(setup: OfflineSetup, options: OfflineOptions) {
    registerBuiltIn();
    this.now = options.now;
    this.#known = setup.neighbours ?? {};
    const sizes = { ...SIZES, ...setup.sizes, shards: 1 };
    const memory = new ArrayBuffer(regionBytes(sizes));
    this.region = createRegion(memory, sizes, SEED, Math.floor(options.now / TICK) | 0);
    this.commands = new Commands(this.region, {
      now: () => this.now,
      schedulers: options.schedulers ?? findScheduler,
    });
    this.#settle(setup);
    for (const command of setup.commands) {
      const result = this.execute(command);
      if (!result.ok) throw new Error(`${command.kind}: ${result.error.message}`);
    }
    this.assumed = this.#assumptions();
  }

  /** Carries a command out; new real servers' neighbours are resolved at once. */
  execute(command: DirectorCommand): CommandResult {
    const result = this.commands.execute(command);
    this.#resolve();
    return result;
  }

  /** A real server answers ARP with this MAC address, or (undefined) no longer answers. False when there is none such. */
  setNeighbour(address: string, mac: string | undefined): boolean {
    const words = parseAddress(address);
    const row = words === undefined ? -1 : this.#neighbour(words);
    if (row < 0) return false;
    const parsed = mac === undefined ? undefined : parseMac(mac);
    const { neighbours } = this.region;
    if (parsed !== undefined) {
      neighbours.macHi[row] = parsed.hi;
      neighbours.macLo[row] = parsed.lo;
    }
    neighbours.state[row] = parsed === undefined ? NeighbourState.Failed : NeighbourState.Permanent;
    neighbours.since[row] = this.now;
    this.#neighboursChanged();
    return true;
  }

  set(name: SettingName, value: number): void {
    const { header, settings } = this.region;
    beginChange(header, Header.Generation);
    settings[Setting[name]] = value;
    endChange(header, Header.Generation);
  }

  #settle(setup: OfflineSetup): void {
    const { header, settings, place } = this.region;
    const mac = parseMac(setup.mac);
    if (mac === undefined) throw new Error(`"${setup.mac}" is no MAC address`);
    beginChange(header, Header.Generation);
    for (const [name, value] of Object.entries(setup.settings ?? {}))
      settings[Setting[name as SettingName]] = value;
    settings[Setting.mac_hi] = mac.hi;
    settings[Setting.mac_lo] = mac.lo | 0;
    settings[Setting.dip] = (parseAddress(setup.dip ?? "0.0.0.0")?.[3] ?? 0) | 0;
    if (setup.mtu !== undefined) settings[Setting.mtu] = setup.mtu;
    const vips = addresses(setup.ownVips).slice(0, MAX_OWN_VIPS);
    for (const [i, words] of vips.entries()) place.vips.set(words, i * 4);
    place.counts[PLACE_VIPS] = vips.length;
    const peers = (setup.peers ?? []).map(parseMac).filter((peer) => peer !== undefined);
    for (const [i, { hi, lo }] of peers.slice(0, MAX_PEERS).entries()) place.peers.set([hi, lo], i * 2);
    place.counts[PLACE_PEERS] = Math.min(peers.length, MAX_PEERS);
    endChange(header, Header.Generation);
    setMarks(this.region, setup.marks ?? []);
  }

  /** Gives every neighbour that is not known yet its MAC address. */
  #resolve(): void {
    const { neighbours } = this.region;
    let changed = false;
    for (let row = 0; row < neighbours.capacity; row++) {
      if (neighbours.state[row] !== NeighbourState.Incomplete) continue;
      const mac = this.#macOf(wordsAt(neighbours.address, row));
      neighbours.macHi[row] = mac.hi;
      neighbours.macLo[row] = mac.lo;
      neighbours.state[row] = NeighbourState.Permanent;
      neighbours.since[row] = this.now;
      changed = true;
    }
    if (changed) this.#neighboursChanged();
  }

  #macOf(words: Words): Mac {
    const known = this.#known[formatAddress(words)];
    return (known === undefined ? undefined : parseMac(known)) ?? madeUpMac(words);
  }

  #neighboursChanged(): void {
    beginChange(this.region.header, Header.NeighbourGeneration);
    endChange(this.region.header, Header.NeighbourGeneration);
  }

  #neighbour(words: Words): number {
    const { neighbours } = this.region;
    for (let row = 0; row < neighbours.capacity; row++) {
      const same = words.every((word, w) => neighbours.address[row * 4 + w] === word);
      if (same && neighbours.state[row] !== NeighbourState.Free) return row;
    }
    return -1;
  }

  #assumptions(): string[] {
    const { neighbours } = this.region;
    const made: string[] = [];
    for (let row = 0; row < neighbours.capacity; row++) {
      if (neighbours.state[row] === NeighbourState.Free) continue;
      const address = formatAddress(wordsAt(neighbours.address, row));
      if (this.#known[address] === undefined) made.push(address);
    }
    if (made.length === 0) return [];
    const some =
      made.length > 3 ? `${made.slice(0, 3).join(", ")} and ${made.length - 3} more` : made.join(", ");
    const example = formatMac(this.#macOf(parseAddress(made[0]!)!));
    return [
      `No network was asked: the MAC addresses of ${some} are made up (${made[0]} is ${example}), and they are taken to answer.`,
    ];
  }
}

/** 02:00 and the IPv4 address; of an IPv6 address 02:06 and its last word. Locally administered, one station each. */
export function madeUpMac(words: Words): Mac {
  const six = !(words[0] === 0 && words[1] === 0 && words[2] === 0xffff);
  return { hi: six ? 0x0206 : 0x0200, lo: words[3] };
}

function addresses(texts: readonly string[] = []): Words[] {
  return texts.map(parseAddress).filter((words) => words !== undefined);
}
