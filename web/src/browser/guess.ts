/**
 * What a capture of unknown origin is about: which address and port its clients ask for, which MAC is the
 * director's, and, where the capture shows them, the real servers.
 */

import { formatIpv4, formatIpv6, formatMac } from "../../../src/wire/address.ts";
import { type CapturedPacket, type CaptureInterface, LINKTYPE_ETHERNET } from "../../../src/wire/capture.ts";
import { EtherType } from "../../../src/wire/ethernet.ts";
import { Protocol } from "../../../src/wire/ipv4.ts";
import { TCP_FLAGS } from "../../../src/wire/tcp.ts";
import { parse as parseArp } from "../../../src/wire/value/arp.ts";
import { mac } from "../../../src/wire/value/ethernet.ts";
import { parse as parseIp4 } from "../../../src/wire/value/ipv4.ts";
import { parse as parseIp6 } from "../../../src/wire/value/ipv6.ts";
import { parse as parseTcp } from "../../../src/wire/value/tcp.ts";
import { ethernetPayload } from "../view/link.ts";

/** A frame of a flow, as far as a capture tells. */
export interface Seen {
  readonly packet: CapturedPacket;
  readonly destinationMac: string;
  readonly sourceMac: string;
  readonly family: 4 | 6;
  readonly protocol: number;
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** TCP flags; 0 for anything else. */
  readonly flags: number;
}

export interface Guess {
  readonly family: 4 | 6;
  readonly protocol: "tcp" | "udp";
  readonly vip: string;
  readonly port: number;
  readonly directorMac: string;
  /** Real servers' MACs as the capture shows them; empty when it does not. */
  readonly servers: readonly { readonly mac: string; readonly address: string | undefined }[];
  readonly seen: readonly Seen[];
}

export function seenIn(packets: readonly CapturedPacket[], interfaces: readonly CaptureInterface[]): Seen[] {
  return packets.flatMap((packet) => {
    if (interfaces[packet.interface]?.linkType !== LINKTYPE_ETHERNET) return [];
    const seen = read(packet);
    return seen === undefined ? [] : [seen];
  });
}

function read(packet: CapturedPacket): Seen | undefined {
  const { bytes } = packet;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const { type, at } = ethernetPayload(view);
  const network =
    type === EtherType.Ipv6 ? network6(view, at) : type === EtherType.Ipv4 ? network4(view, at) : undefined;
  if (network === undefined || network.transport + 4 > bytes.length) return undefined;
  const { transport, protocol } = network;
  if (protocol !== Protocol.Tcp && protocol !== Protocol.Udp) return undefined;
  return {
    packet,
    ...network,
    destinationMac: formatMac(mac(view, 0)),
    sourceMac: formatMac(mac(view, 6)),
    sourcePort: view.getUint16(transport),
    destinationPort: view.getUint16(transport + 2),
    flags: protocol === Protocol.Tcp ? (parseTcp(view, transport, bytes.length)?.flags ?? 0) : 0,
  };
}

function network4(view: DataView, at: number) {
  const header = parseIp4(view, at, view.byteLength);
  if (header === undefined || header.fragmentOffset > 0) return undefined;
  return {
    family: 4 as const,
    protocol: header.protocol,
    transport: at + 20 + header.options.length,
    source: formatIpv4(header.source),
    destination: formatIpv4(header.destination),
  };
}

function network6(view: DataView, at: number) {
  const header = parseIp6(view, at, view.byteLength);
  if (header === undefined) return undefined;
  return {
    family: 6 as const,
    protocol: header.nextHeader,
    transport: at + 40,
    source: formatIpv6(header.source),
    destination: formatIpv6(header.destination),
  };
}

const { SYN, ACK } = TCP_FLAGS;

/** Whose frames ask for a service: SYNs without ACK; where there are none, whatever goes to the commonest port. */
function requests(seen: readonly Seen[]): readonly Seen[] {
  const opening = seen.filter(({ flags }) => (flags & (SYN | ACK)) === SYN);
  if (opening.length > 0) return opening;
  const udp = seen.filter(({ protocol }) => protocol === Protocol.Udp);
  return udp.length > 0 ? udp : seen;
}

function commonest<T>(items: readonly T[], keyOf: (item: T) => string): T | undefined {
  const counts = new Map<string, { count: number; item: T }>();
  for (const item of items) {
    const key = keyOf(item);
    const entry = counts.get(key) ?? { count: 0, item };
    entry.count++;
    counts.set(key, entry);
  }
  return [...counts.values()].sort((a, b) => b.count - a.count)[0]?.item;
}

/** Undefined when nothing in the capture asks for anything. */
export function guess(
  packets: readonly CapturedPacket[],
  interfaces: readonly CaptureInterface[],
): Guess | undefined {
  const seen = seenIn(packets, interfaces);
  const chief = commonest(
    requests(seen),
    ({ destination, destinationPort, protocol }) => `${protocol} ${destination} ${destinationPort}`,
  );
  if (chief === undefined) return undefined;
  const { destination: vip, destinationPort: port, protocol, family } = chief;
  const toVip = seen.filter(
    (each) => each.destination === vip && each.destinationPort === port && each.protocol === protocol,
  );
  // Where the capture holds a frame twice, once to the director and once from it, the first MAC is the director's.
  const senders = new Set(toVip.map(({ sourceMac }) => sourceMac));
  const relayed = toVip.find(({ destinationMac }) => senders.has(destinationMac));
  const directorMac =
    relayed?.destinationMac ?? commonest(toVip, ({ destinationMac }) => destinationMac)!.destinationMac;
  const relays = toVip.filter(({ sourceMac }) => sourceMac === directorMac);
  // A capture without the director's own frames may still show the answers, which go past it.
  const answers = seen.filter((each) => isAnswer(each, chief) && each.sourceMac !== directorMac);
  const macs = new Set(
    relays.length > 0
      ? relays.map(({ destinationMac }) => destinationMac)
      : answers.map(({ sourceMac }) => sourceMac),
  );
  const addresses = addressesOf(packets, interfaces);
  return {
    family,
    protocol: protocol === Protocol.Udp ? "udp" : "tcp",
    vip,
    port,
    directorMac,
    servers: [...macs].sort().map((each) => ({ mac: each, address: addresses.get(each) })),
    seen,
  };
}

function isAnswer({ source, sourcePort, protocol }: Seen, to: Seen): boolean {
  return source === to.destination && sourcePort === to.destinationPort && protocol === to.protocol;
}

/** Who said by ARP which address is theirs. */
function addressesOf(
  packets: readonly CapturedPacket[],
  interfaces: readonly CaptureInterface[],
): Map<string, string> {
  const addresses = new Map<string, string>();
  for (const { bytes, interface: from } of packets) {
    if (interfaces[from]?.linkType !== LINKTYPE_ETHERNET) continue;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const { type, at } = ethernetPayload(view);
    const arp = type === EtherType.Arp ? parseArp(view, at, bytes.length) : undefined;
    if (arp !== undefined && arp.senderIp !== 0 && !addresses.has(formatMac(arp.senderMac)))
      addresses.set(formatMac(arp.senderMac), formatIpv4(arp.senderIp));
  }
  return addresses;
}
