/**
 * Which traffic is the services': from the tables to the packet filter of the rings and to the host-silence rule.
 * Both follow the services as they are now, whoever changed them.
 */
import { HASH_MULTIPLIERS } from "../table/hash.ts";
import { PLACE_VIPS } from "../table/place.ts";
import { Header, type Region } from "../table/region.ts";
import { isMapped, mapped, type Words } from "../wire/address.ts";
import type { CbpfInstruction } from "../wire/cbpf.ts";
import { fanoutByFlow } from "../wire/fanout.ts";
import { Protocol } from "../wire/ipv4.ts";
import { prefixOfMask } from "../wire/network.ts";
import type { SilencedNetwork, SilencedService } from "../wire/silence.ts";
import { type Ipv4Network, type Ipv6Network, vipFilter } from "../wire/vip-filter.ts";
import { networkKey, serviceKey } from "../wire/xdp-program.ts";
import { wordsAt } from "./keys.ts";
import type { SilencedTraffic } from "./silence.ts";

interface MarkRule {
  readonly protocol: number;
  readonly network: Words;
  readonly prefix: number;
  readonly firstPort: number;
  readonly lastPort: number;
}

/** Rows of live services. */
function* live(region: Region): Generator<number> {
  const { services } = region;
  for (let s = 0; s < services.capacity; s++) if (services.live[s] === 1) yield s;
}

/** Rules for marks that some service wants; the others concern nobody. */
function* usedMarks(region: Region): Generator<MarkRule> {
  const { marks, services } = region;
  const wanted = new Set<string>();
  for (const s of live(region))
    if (services.mark[s] !== 0) wanted.add(`${services.family[s]} ${services.mark[s]}`);
  for (let r = 0; r < marks.count[0]!; r++) {
    if (!wanted.has(`${marks.family[r]} ${marks.mark[r]}`)) continue;
    const mask = wordsAt(marks.mask, r);
    const bits = mask.reduce((sum, word) => sum + (prefixOfMask(word) ?? 0), 0);
    yield {
      protocol: marks.protocol[r]!,
      network: wordsAt(marks.network, r),
      prefix: marks.family[r] === 4 ? bits - 96 : bits,
      firstPort: marks.firstPort[r]!,
      lastPort: marks.lastPort[r]!,
    };
  }
}

/** The filter for the rings: the services' addresses, marked networks, VIPs that are ours, ICMP errors to `dips`. */
export function ringFilter(
  region: Region,
  vips: readonly Words[],
  dips: readonly number[],
): CbpfInstruction[] {
  const { services } = region;
  const addresses = new Set<number>();
  const networks: Ipv4Network[] = [];
  const networks6: Ipv6Network[] = [];
  const add = (words: Words, bits: number) => {
    if (!isMapped(words)) networks6.push({ address: words, bits });
    else if (bits === 32) addresses.add(words[3]);
    else networks.push({ address: words[3], bits });
  };
  const whole = (words: Words) => add(words, isMapped(words) ? 32 : 128);
  for (const vip of vips) whole(vip);
  for (const s of live(region)) if (services.mark[s] === 0) whole(wordsAt(services.address, s));
  for (const { network, prefix } of usedMarks(region)) add(network, prefix);
  return vipFilter([...addresses], networks, { dips, networks6 });
}

/** The program that brings each flow's frames to the flow's shard. */
export function shardProgram(region: Region): CbpfInstruction[] {
  return fanoutByFlow({ seed: region.header[Header.Seed]! >>> 0, multipliers: HASH_MULTIPLIERS });
}

/** A mark rule for one address and few ports is as exact as services are; more than this is taken as a network. */
const FEW_PORTS = 256;
const TRANSPORTS: readonly number[] = [Protocol.Tcp, Protocol.Udp, Protocol.Sctp];

const portsOf = (rule: MarkRule): number => rule.lastPort - rule.firstPort + 1;

/** Can the rule be told as services, an address with its ports? */
function isExact(rule: MarkRule): boolean {
  const ports = portsOf(rule);
  const host = rule.prefix === (isMapped(rule.network) ? 32 : 128);
  return host && (ports === 65_536 || ports <= FEW_PORTS);
}

/** What the host's own stack must not see. */
export function silencedTraffic(region: Region): SilencedTraffic {
  const { services: table } = region;
  const services: SilencedService[] = [];
  const networks: SilencedNetwork[] = [];
  for (const s of live(region)) {
    if (table.mark[s] !== 0) continue;
    services.push({ protocol: table.protocol[s]!, address: wordsAt(table.address, s), port: table.port[s]! });
  }
  for (const rule of usedMarks(region)) {
    const protocols = rule.protocol === 0 ? TRANSPORTS : [rule.protocol];
    const ports = portsOf(rule);
    const exact = isExact(rule);
    for (const protocol of protocols) {
      if (exact && ports === 65_536) services.push({ protocol, address: rule.network, port: 0 });
      else if (exact) {
        for (let port = rule.firstPort; port <= rule.lastPort; port++) {
          services.push({ protocol, address: rule.network, port });
        }
      } else if (ports === 65_536) {
        networks.push({ protocol, network: { address: rule.network, prefix: rule.prefix } });
      }
      // Some ports of a whole network: left to the host's stack, which owns such addresses in the rarest case.
    }
  }
  return { services, networks };
}

/** What the XDP program takes, as keys of its maps. */
export interface TakenTraffic {
  readonly services: readonly Uint8Array[];
  readonly networks: readonly Uint8Array[];
  /** Addresses whose echo requests the director answers. */
  readonly echo: readonly Uint8Array[];
}

/**
 * What goes past the host's stack into the AF_XDP rings. A marked network is taken with all its ports, also those that
 * no mark rule names: the program knows no ranges.
 */
export function takenTraffic(region: Region): TakenTraffic {
  const { place } = region;
  const services = silencedTraffic(region).services.map(({ protocol, address, port }) =>
    serviceKey(typeof address === "number" ? mapped(address) : address, protocol, port),
  );
  const networks: Uint8Array[] = [];
  for (const rule of usedMarks(region))
    if (!isExact(rule)) networks.push(networkKey(rule.network, rule.prefix));
  const echo = Array.from({ length: place.counts[PLACE_VIPS]! }, (_, i) =>
    serviceKey(wordsAt(place.vips, i), 0, 0),
  );
  return { services, networks, echo };
}
