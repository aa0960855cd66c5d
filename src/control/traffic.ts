/**
 * Which traffic is the services': from the tables to the packet filter of the rings and to the host-silence rule.
 * Both follow the services as they are now, whoever changed them.
 */
import { HASH_MULTIPLIERS } from "../table/hash.ts";
import { Header, type Region } from "../table/region.ts";
import { isMapped, type Words } from "../wire/address.ts";
import type { CbpfInstruction } from "../wire/cbpf.ts";
import { fanoutByFlow } from "../wire/fanout.ts";
import { Protocol } from "../wire/ipv4.ts";
import { prefixOfMask } from "../wire/network.ts";
import type { SilencedNetwork, SilencedService } from "../wire/silence.ts";
import { type Ipv4Network, vipFilter } from "../wire/vip-filter.ts";
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
  const addresses = new Set(vips.filter(isMapped).map((words) => words[3]));
  for (const s of live(region)) {
    if (services.mark[s] === 0 && services.family[s] === 4) addresses.add(services.address[s * 4 + 3]!);
  }
  const networks: Ipv4Network[] = [];
  for (const { network, prefix } of usedMarks(region)) {
    if (isMapped(network)) networks.push({ address: network[3], bits: prefix });
  }
  return vipFilter([...addresses], networks, { dips });
}

/** The program that brings each flow's frames to the flow's shard. */
export function shardProgram(region: Region): CbpfInstruction[] {
  return fanoutByFlow({ seed: region.header[Header.Seed]! >>> 0, multipliers: HASH_MULTIPLIERS });
}

/** A mark rule for one address and few ports is as exact as services are; more than this is taken as a network. */
const FEW_PORTS = 256;
const TRANSPORTS: readonly number[] = [Protocol.Tcp, Protocol.Udp, Protocol.Sctp];

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
    const host = rule.prefix === (isMapped(rule.network) ? 32 : 128);
    const ports = rule.lastPort - rule.firstPort + 1;
    for (const protocol of protocols) {
      if (host && ports === 65_536) services.push({ protocol, address: rule.network, port: 0 });
      else if (host && ports <= FEW_PORTS) {
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
