/**
 * Stands for the virtual addresses that the director owns: answers ARP and IPv6 neighbour solicitations for the active
 * ones, announces them when
 * they become active, and notices another owner (RFC 5227 §2.3, §2.4). It says nothing for an address it is not
 * active for, and nothing for one that the host's own stack has, because then the kernel answers.
 */
import { beginChange, endChange } from "../table/generation.ts";
import { MAX_OWN_VIPS, PLACE_VIPS } from "../table/place.ts";
import { Header, type Region } from "../table/region.ts";
import { formatAddress, formatMac, isMapped, type Mac, parseAddress, type Words } from "../wire/address.ts";
import { ArpOperation } from "../wire/arp.ts";
import { isUnspecified, type NdpMessage, sameAddress } from "../wire/ndp.ts";
import type { ArpPacket } from "../wire/value/arp.ts";

/** Announcements after activation, in ms: a lost one is made good, a switch that wakes late hears one. */
export const ANNOUNCE_AT = [0, 1_000, 3_000] as const;
/** RFC 5227 §1.1, DEFEND_INTERVAL: an address is defended at most this often. */
export const DEFEND_INTERVAL = 10_000;

export interface VipLink {
  readonly mac: Mac;
  /** "`ip` is at our MAC", to the asker. */
  answer(ip: number, asker: Mac, askerIp: number): void;
  /** "`ip` is at our MAC", to everybody. */
  announce(ip: number): void;
  /** The same for IPv6; an asker without an address is answered by `announce6`. */
  answer6(target: Words, asker: { readonly mac: Mac; readonly address: Words }): void;
  announce6(target: Words): void;
}

export interface VipEvent {
  readonly kind: "activated" | "deactivated" | "conflict";
  readonly address: string;
  /** Who else claims the address. */
  readonly mac?: string;
}

export interface VipListing {
  readonly address: string;
  readonly own: boolean;
  readonly active: boolean;
  /** The host's own stack has this address, so it answers for it. */
  readonly onHost: boolean;
  readonly conflicts: number;
}

export interface VipOptions {
  /** Does the host's own stack have this address? */
  readonly isLocal: (address: Words) => boolean;
  /** The shards must look: they answer echo requests to owned addresses. */
  readonly wake: () => void;
  readonly event?: (event: VipEvent) => void;
}

interface Vip {
  readonly words: Words;
  readonly text: string;
  readonly own: boolean;
  active: boolean;
  /** Times at which announcements are still to be made, soonest first. */
  announcements: number[];
  defended: number;
  conflicts: number;
}

export class VipKeeper {
  readonly #region: Region;
  readonly #link: VipLink;
  readonly #options: VipOptions;
  #vips: Vip[] = [];

  constructor(region: Region, link: VipLink, options: VipOptions) {
    this.#region = region;
    this.#link = link;
    this.#options = options;
  }

  /** Takes over a list of addresses. One that stays keeps its state, unless it stops being owned. */
  configure(list: readonly { address: string; own: boolean; active: boolean }[], now: number): void {
    const before = new Map(this.#vips.map((vip) => [vip.text, vip]));
    this.#vips = [];
    for (const { address, own, active } of list) {
      const words = parseAddress(address);
      if (words === undefined) throw new TypeError(`"${address}" is no address`);
      const text = formatAddress(words);
      const old = before.get(text);
      before.delete(text);
      const vip: Vip =
        old !== undefined && old.own === own
          ? old
          : {
              words,
              text,
              own,
              active: false,
              announcements: [],
              defended: Number.NEGATIVE_INFINITY,
              conflicts: 0,
            };
      this.#vips.push(vip);
      if (vip !== old) this.#turn(vip, own && active, now);
    }
    for (const gone of before.values()) this.#turn(gone, false, now);
    this.#publish();
  }

  /** Makes an owned address active or standby; false when there is no such owned address. */
  setActive(address: string, active: boolean, now: number): boolean {
    const words = parseAddress(address);
    const vip = this.#vips.find((entry) => words !== undefined && entry.text === formatAddress(words));
    if (vip === undefined || !vip.own) return false;
    this.#turn(vip, active, now);
    this.#publish();
    return true;
  }

  heard(packet: ArpPacket, now: number): void {
    const { mac } = this.#link;
    if (packet.senderMac.hi === mac.hi && packet.senderMac.lo === mac.lo) return;
    const claimed = this.#active4(packet.senderIp);
    if (claimed !== undefined) {
      this.#conflict(claimed, packet.senderMac, now);
      return;
    }
    if (packet.operation !== ArpOperation.Request) return;
    const asked = this.#active4(packet.targetIp);
    if (asked === undefined || this.#options.isLocal(asked.words)) return;
    this.#link.answer(packet.targetIp, packet.senderMac, packet.senderIp);
  }

  /** The same in IPv6: an advertisement claims its target, a solicitation asks (RFC 4861 §7.2.4, RFC 4862 §5.4). */
  heard6({ kind, source, target, mac, sender }: NdpMessage, now: number): void {
    const own = this.#link.mac;
    if (sender.hi === own.hi && sender.lo === own.lo) return;
    const vip = this.#vips.find(({ active, words }) => active && sameAddress(words, target));
    if (vip === undefined) return;
    if (kind === "advertisement") this.#conflict(vip, mac ?? sender, now);
    else if (this.#options.isLocal(vip.words)) return;
    else if (isUnspecified(source)) this.#link.announce6(vip.words);
    else this.#link.answer6(vip.words, { mac: mac ?? sender, address: source });
  }

  /** Announces every active address anew: our MAC, or the link we are on, is another one. */
  announceAll(now: number): void {
    for (const vip of this.#vips) {
      if (vip.active && isMapped(vip.words)) vip.announcements = ANNOUNCE_AT.map((after) => now + after);
    }
    this.tend(now);
  }

  /** Makes the announcements that are due. */
  tend(now: number): void {
    for (const vip of this.#vips) {
      while (vip.announcements.length > 0 && vip.announcements[0]! <= now) {
        vip.announcements.shift();
        this.#announce(vip);
      }
    }
  }

  list(): VipListing[] {
    return this.#vips.map(({ text, own, active, words, conflicts }) => ({
      address: text,
      own,
      active,
      onHost: this.#options.isLocal(words),
      conflicts,
    }));
  }

  #announce({ words }: Vip): void {
    if (this.#options.isLocal(words)) return;
    if (isMapped(words)) this.#link.announce(words[3]);
    else this.#link.announce6(words);
  }

  #active4(ip: number): Vip | undefined {
    if (ip === 0) return undefined;
    return this.#vips.find(({ active, words }) => active && words[3] === ip && isMapped(words));
  }

  #turn(vip: Vip, active: boolean, now: number): void {
    if (vip.active === active) return;
    vip.active = active;
    vip.announcements = active ? ANNOUNCE_AT.map((after) => now + after) : [];
    this.#options.event?.({ kind: active ? "activated" : "deactivated", address: vip.text });
    this.tend(now);
  }

  #conflict(vip: Vip, mac: Mac, now: number): void {
    vip.conflicts++;
    // RFC 5227 §2.4 (c): hold on to the address, but never answer a claim with a claim endlessly.
    if (now - vip.defended < DEFEND_INTERVAL) return;
    vip.defended = now;
    this.#options.event?.({ kind: "conflict", address: vip.text, mac: formatMac(mac) });
    this.#announce(vip);
  }

  /** Tells the shards which addresses are ours, for echo requests; the host answers those that it has itself. */
  #publish(): void {
    const { header, place } = this.#region;
    const { isLocal } = this.#options;
    const owned = this.#vips.filter((vip) => vip.active && !isLocal(vip.words)).slice(0, MAX_OWN_VIPS);
    beginChange(header, Header.Generation);
    for (const [i, vip] of owned.entries()) place.vips.set(vip.words, i * 4);
    place.counts[PLACE_VIPS] = owned.length;
    endChange(header, Header.Generation);
    this.#options.wake();
  }
}
