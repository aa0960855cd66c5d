/**
 * Whole frames built from fields, for tests, the lab and `explain --from … --to …`; not for the data path, which
 * rewrites frames that exist. Lengths and checksums are filled in; everything else has a default.
 */
import type { Mac, Words } from "./address.ts";
import { finish, pseudoHeaderSum, pseudoHeaderSum6, sum } from "./checksum.ts";
import { ETH_HEADER, ETH_MINIMUM, EtherType } from "./ethernet.ts";
import { ICMP_CHECKSUM, ICMP_HEADER } from "./icmp.ts";
import { IPV4_HEADER, Protocol, writeChecksum } from "./ipv4.ts";
import { IPV6_HEADER, IPV6_SOURCE } from "./ipv6.ts";
import { TCP_CHECKSUM, TCP_FLAGS, TCP_HEADER } from "./tcp.ts";
import { UDP_CHECKSUM, UDP_HEADER } from "./udp.ts";
import * as ethernet from "./value/ethernet.ts";
import { put } from "./value/field.ts";
import * as icmp from "./value/icmp.ts";
import * as ipv4 from "./value/ipv4.ts";
import * as ipv6 from "./value/ipv6.ts";
import * as tcp from "./value/tcp.ts";
import * as udp from "./value/udp.ts";
import * as vlan from "./value/vlan.ts";
import { VLAN_HEADER } from "./vlan.ts";

/** What every frame has. `source` and `destination` are both u32 (IPv4) or both four words (IPv6). */
export interface FrameFields {
  readonly source: number | Words;
  readonly destination: number | Words;
  readonly sourceMac?: Mac;
  readonly destinationMac?: Mac;
  /** 802.1Q identifier; untagged without. */
  readonly vlan?: number;
  /** TTL or hop limit. */
  readonly ttl?: number;
  /** Type of service or traffic class. */
  readonly tos?: number;
  readonly payload?: Uint8Array;
  /** Pads to ETH_MINIMUM, as a NIC does. */
  readonly pad?: boolean;
  /** IPv4 only, as are the next four. */
  readonly identification?: number;
  readonly dontFragment?: boolean;
  readonly moreFragments?: boolean;
  /** In bytes, a multiple of eight. */
  readonly fragmentOffset?: number;
  /** IPv4 options, a multiple of four bytes, at most 40. */
  readonly options?: Uint8Array;
}

export interface TcpFields extends FrameFields {
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** TCP_FLAGS or'ed together; SYN by default. */
  readonly flags?: number;
  readonly sequence?: number;
  readonly acknowledgement?: number;
  readonly window?: number;
  readonly tcpOptions?: Uint8Array;
}

export interface UdpFields extends FrameFields {
  readonly sourcePort: number;
  readonly destinationPort: number;
}

export interface IcmpFields extends FrameFields {
  readonly type: number;
  readonly code: number;
  /** The second word: identifier and sequence number, or MTU, or 0. */
  readonly rest?: number;
}

const NOTHING = new Uint8Array(0);
const DEFAULT_SOURCE: Mac = { hi: 0x0200, lo: 0x000000fe };
const DEFAULT_DESTINATION: Mac = { hi: 0x0200, lo: 0x00000001 };

function emitLink(frame: DataView, fields: FrameFields, type: number): number {
  const tagged = fields.vlan !== undefined;
  const at = ethernet.emit(frame, 0, {
    destination: fields.destinationMac ?? DEFAULT_DESTINATION,
    source: fields.sourceMac ?? DEFAULT_SOURCE,
    type: tagged ? EtherType.Vlan : type,
  });
  if (!tagged) return at;
  return at + vlan.emit(frame, at, { priority: 0, dropEligible: false, id: fields.vlan, type });
}

function emitIpv4(
  frame: DataView,
  at: number,
  fields: FrameFields,
  protocol: number,
  payload: number,
): number {
  const options = fields.options ?? NOTHING;
  const length = ipv4.emit(frame, at, {
    tos: fields.tos ?? 0,
    totalLength: IPV4_HEADER + options.length + payload,
    identification: fields.identification ?? 0,
    reservedFlag: false,
    dontFragment: fields.dontFragment ?? false,
    moreFragments: fields.moreFragments ?? false,
    fragmentOffset: fields.fragmentOffset ?? 0,
    ttl: fields.ttl ?? 64,
    protocol,
    checksum: 0,
    source: fields.source as number,
    destination: fields.destination as number,
    options,
  });
  writeChecksum(frame, at);
  return length;
}

function emitIpv6(
  frame: DataView,
  at: number,
  fields: FrameFields,
  nextHeader: number,
  payload: number,
): number {
  return ipv6.emit(frame, at, {
    trafficClass: fields.tos ?? 0,
    flowLabel: 0,
    payloadLength: payload,
    nextHeader,
    hopLimit: fields.ttl ?? 64,
    source: fields.source as Words,
    destination: fields.destination as Words,
  });
}

/** A frame with `body` as the IP payload, as it stands: for other protocols, later fragments and broken headers. */
export function ipFrame(fields: FrameFields, protocol: number, body: Uint8Array): Uint8Array {
  const v4 = typeof fields.source === "number";
  const link = ETH_HEADER + (fields.vlan === undefined ? 0 : VLAN_HEADER);
  const network = v4 ? IPV4_HEADER + (fields.options?.length ?? 0) : IPV6_HEADER;
  const length = link + network + body.length;
  const bytes = new Uint8Array(fields.pad ? Math.max(ETH_MINIMUM, length) : length);
  const frame = new DataView(bytes.buffer);
  emitLink(frame, fields, v4 ? EtherType.Ipv4 : EtherType.Ipv6);
  const emitNetwork = v4 ? emitIpv4 : emitIpv6;
  emitNetwork(frame, link, fields, protocol, body.length);
  put(frame, link + network, body);
  return bytes;
}

/** Sum of the pseudo-header for a transport header and data of `length` bytes. */
function pseudoSum(fields: FrameFields, protocol: number, length: number): number {
  const { source, destination } = fields;
  if (typeof source === "number") return pseudoHeaderSum(source, destination as number, protocol, length);
  const header = new DataView(new ArrayBuffer(IPV6_HEADER));
  emitIpv6(header, 0, fields, protocol, length);
  return pseudoHeaderSum6(header, IPV6_SOURCE, protocol, length);
}

/** Header from `emit` plus payload, with the checksum at `checksumAt` over both and `initial`. */
function withChecksum(
  headerLength: number,
  payload: Uint8Array,
  checksumAt: number,
  initial: number,
  emit: (view: DataView) => void,
): Uint8Array {
  const body = new Uint8Array(headerLength + payload.length);
  const view = new DataView(body.buffer);
  emit(view);
  body.set(payload, headerLength);
  view.setUint16(checksumAt, finish(sum(view, 0, body.length, initial)));
  return body;
}

export function tcpFrame(fields: TcpFields): Uint8Array {
  const options = fields.tcpOptions ?? NOTHING;
  const payload = fields.payload ?? NOTHING;
  const length = TCP_HEADER + options.length;
  const initial = pseudoSum(fields, Protocol.Tcp, length + payload.length);
  const body = withChecksum(length, payload, TCP_CHECKSUM, initial, (view) =>
    tcp.emit(view, 0, {
      sourcePort: fields.sourcePort,
      destinationPort: fields.destinationPort,
      sequence: fields.sequence ?? 0,
      acknowledgement: fields.acknowledgement ?? 0,
      reserved: 0,
      flags: fields.flags ?? TCP_FLAGS.SYN,
      window: fields.window ?? 64240,
      checksum: 0,
      urgent: 0,
      options,
    }),
  );
  return ipFrame(fields, Protocol.Tcp, body);
}

export function udpFrame(fields: UdpFields): Uint8Array {
  const payload = fields.payload ?? NOTHING;
  const length = UDP_HEADER + payload.length;
  const initial = pseudoSum(fields, Protocol.Udp, length);
  const { sourcePort, destinationPort } = fields;
  const body = withChecksum(UDP_HEADER, payload, UDP_CHECKSUM, initial, (view) =>
    udp.emit(view, 0, { sourcePort, destinationPort, length, checksum: 0 }),
  );
  // RFC 768: a computed checksum of zero is sent as all ones; zero means "none".
  if (body[UDP_CHECKSUM] === 0 && body[UDP_CHECKSUM + 1] === 0) body.fill(0xff, UDP_CHECKSUM, UDP_HEADER);
  return ipFrame(fields, Protocol.Udp, body);
}

/** ICMP for IPv4 addresses, ICMPv6 for IPv6 ones. */
export function icmpFrame(fields: IcmpFields): Uint8Array {
  const payload = fields.payload ?? NOTHING;
  const v4 = typeof fields.source === "number";
  const protocol = v4 ? Protocol.Icmp : Protocol.Icmpv6;
  // Only ICMPv6's checksum covers a pseudo-header (RFC 4443 §2.3).
  const initial = v4 ? 0 : pseudoSum(fields, protocol, ICMP_HEADER + payload.length);
  const { type, code, rest = 0 } = fields;
  const body = withChecksum(ICMP_HEADER, payload, ICMP_CHECKSUM, initial, (view) =>
    icmp.emit(view, 0, { type, code, checksum: 0, rest }),
  );
  return ipFrame(fields, protocol, body);
}
