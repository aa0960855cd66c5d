/**
 * Connections found in a capture: a TCP one begins with a SYN without ACK and is active until its client's first FIN
 * or RST; a UDP one begins with its first datagram. What never ended lasts until its last frame.
 */
import { mapped, type Words } from "../../wire/address.ts";
import type { CapturedPacket } from "../../wire/capture.ts";
import { ETH_HEADER, EtherType, etherType } from "../../wire/ethernet.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import * as ipv6 from "../../wire/ipv6.ts";
import * as tcp from "../../wire/tcp.ts";
import { VLAN_HEADER, VLAN_TYPE } from "../../wire/vlan.ts";
import type { Arrival } from "./arrivals.ts";

/** Of what was captured, only what goes there: a virtual service. */
export interface Wanted {
  readonly address: Words;
  /** 0 is any. */
  readonly port: number;
}

interface Found {
  key: string;
  /** The key of the other direction's frames: answers open no connection. */
  answers: string;
  family: 4 | 6;
  client: Words;
  clientPort: number;
  virtual: Words;
  virtualPort: number;
  opens: boolean;
  closes: boolean;
}

interface Open {
  arrival: Omit<Arrival, "duration">;
  last: number;
  closed: boolean;
}

const walk = ipv6.createWalk();

/** Where the IP header begins and of which type it is, behind any VLAN tags. */
function findNetwork(frame: DataView): { at: number; type: number } | undefined {
  if (frame.byteLength < ETH_HEADER) return undefined;
  let at = ETH_HEADER;
  let type = etherType(frame, 0);
  while ((type === EtherType.Vlan || type === EtherType.QinQ) && frame.byteLength >= at + VLAN_HEADER) {
    type = frame.getUint16(at + VLAN_TYPE);
    at += VLAN_HEADER;
  }
  return { at, type };
}

interface Network {
  family: 4 | 6;
  source: Words;
  destination: Words;
  protocol: number;
  /** Where the transport header begins. */
  at: number;
}

function readIpv4(frame: DataView, at: number): Network | undefined {
  if (frame.byteLength < at + ipv4.IPV4_HEADER || ipv4.fragmentOffset(frame, at) !== 0) return undefined;
  return {
    family: 4,
    source: mapped(ipv4.source(frame, at)),
    destination: mapped(ipv4.destination(frame, at)),
    protocol: ipv4.protocol(frame, at),
    at: at + ipv4.headerLength(frame, at),
  };
}

function readIpv6(frame: DataView, at: number): Network | undefined {
  if (frame.byteLength < at + ipv6.IPV6_HEADER) return undefined;
  if (!ipv6.walkExtensions(frame, at, frame.byteLength, walk) || walk.fragmentOffset !== 0) return undefined;
  const words = (read: typeof ipv6.source): Words =>
    [0, 1, 2, 3].map((w) => read(frame, at, w)) as unknown as Words;
  return {
    family: 6,
    source: words(ipv6.source),
    destination: words(ipv6.destination),
    protocol: walk.protocol,
    at: walk.at,
  };
}

function read(bytes: Uint8Array): Found | undefined {
  const frame = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const found = findNetwork(frame);
  if (found === undefined) return undefined;
  let network: Network | undefined;
  if (found.type === EtherType.Ipv4) network = readIpv4(frame, found.at);
  if (found.type === EtherType.Ipv6) network = readIpv6(frame, found.at);
  if (network === undefined) return undefined;
  const { family, source, destination, protocol, at } = network;
  const isTcp = protocol === ipv4.Protocol.Tcp;
  if (!isTcp && protocol !== ipv4.Protocol.Udp) return undefined;
  if (frame.byteLength < at + (isTcp ? tcp.TCP_FLAGS_BYTE + 1 : 4)) return undefined;
  const flags = isTcp ? tcp.flags(frame, at) : 0;
  const { SYN, ACK, FIN, RST } = tcp.TCP_FLAGS;
  const clientPort = tcp.sourcePort(frame, at);
  const virtualPort = tcp.destinationPort(frame, at);
  return {
    key: `${protocol}/${source}/${clientPort}/${destination}/${virtualPort}`,
    answers: `${protocol}/${destination}/${virtualPort}/${source}/${clientPort}`,
    family,
    client: source,
    clientPort,
    virtual: destination,
    virtualPort,
    opens: !isTcp || (flags & (SYN | ACK | RST)) === SYN,
    closes: (flags & (FIN | RST)) !== 0,
  };
}

function fits(found: Found, wanted: Wanted | undefined): boolean {
  if (wanted === undefined) return true;
  return (
    (wanted.port === 0 || wanted.port === found.virtualPort) &&
    wanted.address.every((w, i) => w === found.virtual[i])
  );
}

/**
 * The connections of a capture, in the order of their beginnings. With `wanted` only those of one virtual service;
 * without, every connection's destination is taken for a virtual address.
 */
export function capturedArrivals(packets: Iterable<CapturedPacket>, wanted?: Wanted): Arrival[] {
  const open = new Map<string, Open>();
  const all: Open[] = [];
  let begin: number | undefined;
  for (const packet of packets) {
    const time = packet.seconds * 1000 + packet.nanoseconds / 1e6;
    begin ??= time;
    const at = Math.max(0, time - begin);
    const found = read(packet.bytes);
    if (found === undefined || !fits(found, wanted)) continue;
    const { key, answers, opens, closes, ...flow } = found;
    let connection = open.get(key);
    if (opens && !open.has(answers) && (connection === undefined || connection.closed)) {
      connection = { arrival: { at, ...flow }, last: at, closed: false };
      open.set(key, connection);
      all.push(connection);
    }
    if (connection === undefined || connection.closed) continue;
    connection.last = at;
    connection.closed = closes;
  }
  return all.map(({ arrival, last }) => ({ ...arrival, duration: last - arrival.at }));
}
