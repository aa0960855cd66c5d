/** What a frame is, in a few words for lists: read once from its bytes. */

import { formatIpv4, formatIpv6 } from "../../../src/wire/address.ts";
import { EtherType } from "../../../src/wire/ethernet.ts";
import { Protocol } from "../../../src/wire/ipv4.ts";
import { parse as parseArp } from "../../../src/wire/value/arp.ts";
import { parse as parseIp4 } from "../../../src/wire/value/ipv4.ts";
import { parse as parseIp6 } from "../../../src/wire/value/ipv6.ts";
import { flagNames, parse as parseTcp } from "../../../src/wire/value/tcp.ts";
import { parse as parseUdp } from "../../../src/wire/value/udp.ts";
import type { Frame } from "../model.ts";
import { ethernetPayload } from "./link.ts";

export interface Facts {
  /** "SYN", "PSH+ACK", "UDP", "ARP who-has 10.0.0.11" … */
  readonly what: string;
  /** The client's end, as address:port; empty where there is none. */
  readonly client: string;
  /** Bytes of data behind the transport header. */
  readonly data: number;
}

const known = new WeakMap<Frame, Facts>();

export function factsOf(frame: Frame): Facts {
  const found = known.get(frame);
  if (found !== undefined) return found;
  const facts = read(frame);
  known.set(frame, facts);
  return facts;
}

function read({ before, kind }: Frame): Facts {
  const view = new DataView(before.buffer, before.byteOffset, before.length);
  const { type, at } = ethernetPayload(view);
  if (type === EtherType.Arp) return arpFacts(view, at);
  const packet = type === EtherType.Ipv6 ? ip6(view, at) : ip4(view, at);
  if (packet === undefined) return { what: "?", client: "", data: 0 };
  const { protocol, transport, end, source, destination } = packet;
  const back = kind === "answer" || kind === "icmp";
  const client = back ? destination : source;
  const tcp = protocol === Protocol.Tcp ? parseTcp(view, transport, before.length) : undefined;
  if (tcp !== undefined) {
    const data = Math.max(0, end - transport - 20 - tcp.options.length);
    const port = back ? tcp.destinationPort : tcp.sourcePort;
    return { what: flagNames(tcp.flags).replaceAll("+", " "), client: withPort(client, port), data };
  }
  const udp = protocol === Protocol.Udp ? parseUdp(view, transport, before.length) : undefined;
  if (udp !== undefined) {
    const port = back ? udp.destinationPort : udp.sourcePort;
    return { what: "UDP", client: withPort(client, port), data: Math.max(0, udp.length - 8) };
  }
  const icmp = protocol === Protocol.Icmp || protocol === Protocol.Icmpv6;
  return { what: icmp ? "ICMP" : `IP ${protocol}`, client, data: 0 };
}

function arpFacts(view: DataView, at: number): Facts {
  const arp = parseArp(view, at, view.byteLength);
  if (arp === undefined) return { what: "ARP", client: "", data: 0 };
  const what = arp.operation === 1 ? `ARP ${formatIpv4(arp.targetIp)}?` : `ARP ${formatIpv4(arp.senderIp)}!`;
  return { what, client: "", data: 0 };
}

interface Packet {
  readonly protocol: number;
  readonly transport: number;
  readonly end: number;
  readonly source: string;
  readonly destination: string;
}

function ip4(view: DataView, at: number): Packet | undefined {
  const header = parseIp4(view, at, view.byteLength);
  if (header === undefined) return undefined;
  return {
    protocol: header.protocol,
    transport: at + 20 + header.options.length,
    end: at + header.totalLength,
    source: formatIpv4(header.source),
    destination: formatIpv4(header.destination),
  };
}

function ip6(view: DataView, at: number): Packet | undefined {
  const header = parseIp6(view, at, view.byteLength);
  if (header === undefined) return undefined;
  return {
    protocol: header.nextHeader,
    transport: at + 40,
    end: at + 40 + header.payloadLength,
    source: formatIpv6(header.source),
    destination: formatIpv6(header.destination),
  };
}

function withPort(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** A long name by its end, where addresses of one network differ. */
export function ending(name: string, most: number): string {
  return name.length <= most ? name : `…${name.slice(1 - Math.floor(most))}`;
}
