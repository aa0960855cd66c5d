/**
 * First stage: what is this frame? Checks every length once, so that later stages read without checking, and sorts
 * the frame by the way it takes (FrameKind). Follows what Linux' ip_rcv and ipv6_rcv drop before IPVS would see it.
 */

import { FAMILY6 } from "../table/connections.ts";
import { flowHash, foldAddress } from "../table/hash.ts";
import * as ethernet from "../wire/ethernet.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as ipv6 from "../wire/ipv6.ts";
import { TCP_FLAGS_BYTE, TCP_HEADER } from "../wire/tcp.ts";
import { isVlanType, VLAN_HEADER, VLAN_TYPE } from "../wire/vlan.ts";
import { FrameKind, type Frames, NO_FLAGS } from "./frames.ts";
import { Verdict } from "./verdict.ts";

/** Who we are on the link: frames for others and frames from ourselves or from peers go no further. */
export interface Station {
  macHi: number;
  macLo: number;
  /** Peer directors' MACs, two words each; `peerCount` of them are valid. */
  peers: Uint32Array;
  peerCount: number;
}

/** A port pair is the first thing in a TCP, UDP and SCTP header; IPVS asks for no more to find a connection. */
const PORTS = 4;

export function classify(frames: Frames, i: number, view: DataView, station: Station, seed: number): void {
  const at = frames.burst.at[i]!;
  const length = frames.burst.length[i]!;
  frames.kind[i] = FrameKind.Done;
  frames.row[i] = -1;
  if (length < ethernet.ETH_HEADER) {
    frames.verdict[i] = Verdict.Malformed;
    return;
  }
  const sender = checkStation(view, at, station);
  if (sender !== Verdict.Forwarded) {
    frames.verdict[i] = sender;
    return;
  }
  let ip = at + ethernet.ETH_HEADER;
  let type = ethernet.etherType(view, at);
  const end = at + length;
  while (isVlanType(type)) {
    if (ip + VLAN_HEADER > end) {
      frames.verdict[i] = Verdict.Malformed;
      return;
    }
    type = view.getUint16(ip + VLAN_TYPE);
    ip += VLAN_HEADER;
  }
  frames.ip[i] = ip;
  if (type === ethernet.EtherType.Ipv4) frames.verdict[i] = classify4(frames, i, view, ip, end, seed);
  else if (type === ethernet.EtherType.Ipv6) frames.verdict[i] = classify6(frames, i, view, ip, end, seed);
  else frames.verdict[i] = Verdict.NotIp;
}

/** Loop guard: nothing decrements a TTL here, so a frame from a director must never be forwarded by another. */
function checkStation(view: DataView, at: number, station: Station): Verdict {
  const { macHi, macLo } = station;
  if (ethernet.macLo(view, at) !== macLo || ethernet.macHi(view, at) !== macHi) return Verdict.OtherHost;
  const lo = ethernet.macLo(view, at + ethernet.ETH_SOURCE);
  const hi = ethernet.macHi(view, at + ethernet.ETH_SOURCE);
  if (lo === macLo && hi === macHi) return Verdict.Loop;
  for (let p = 0; p < station.peerCount; p++) {
    if (station.peers[p * 2 + 1] === lo && station.peers[p * 2] === hi) return Verdict.Loop;
  }
  return Verdict.Forwarded;
}

function classify4(
  frames: Frames,
  i: number,
  view: DataView,
  ip: number,
  end: number,
  seed: number,
): Verdict {
  if (ip + ipv4.IPV4_HEADER > end || ipv4.version(view, ip) !== 4) return Verdict.Malformed;
  const header = ipv4.headerLength(view, ip);
  const total = ipv4.totalLength(view, ip);
  if (header < ipv4.IPV4_HEADER || total < header || ip + total > end) return Verdict.Malformed;
  const protocol = ipv4.protocol(view, ip);
  const transport = ip + header;
  if (header > ipv4.IPV4_HEADER && ipv4.isSourceRouted(view, ip)) return Verdict.NotOurs;
  frames.transport[i] = transport;
  frames.bytes[i] = total;
  frames.flowKind[i] = protocol;
  frames.client[i] = ipv4.source(view, ip);
  frames.virtual[i] = ipv4.destination(view, ip);
  if (ipv4.isFragment(view, ip)) {
    frames.fragmentId[i] = ipv4.identification(view, ip);
    frames.fragmentOffset[i] = ipv4.fragmentOffset(view, ip);
    frames.kind[i] = FrameKind.Fragment;
    return Verdict.Forwarded;
  }
  if (protocol === ipv4.Protocol.Icmp) {
    frames.kind[i] = FrameKind.Icmp4;
    return Verdict.Forwarded;
  }
  if (!hasPorts(protocol)) return Verdict.NotOurs;
  if (total < header + PORTS) return Verdict.Malformed;
  readFlow(frames, i, view, transport, total - header);
  frames.hash[i] = flowHash(seed, frames.client[i]!, frames.virtual[i]!, frames.ports[i]!);
  frames.kind[i] = FrameKind.Flow4;
  return Verdict.Forwarded;
}

export function hasPorts(protocol: number): boolean {
  return protocol === ipv4.Protocol.Tcp || protocol === ipv4.Protocol.Udp || protocol === ipv4.Protocol.Sctp;
}

/** Reads ports and TCP flags; `length` bytes of transport header and payload are there, at least four. */
export function readFlow(frames: Frames, i: number, view: DataView, transport: number, length: number): void {
  frames.ports[i] = view.getInt32(transport);
  frames.tcpFlags[i] = length >= TCP_HEADER ? view.getUint8(transport + TCP_FLAGS_BYTE) & 0x3f : NO_FLAGS;
}

const walk = ipv6.createWalk();

function classify6(
  frames: Frames,
  i: number,
  view: DataView,
  ip: number,
  end: number,
  seed: number,
): Verdict {
  if (ip + ipv6.IPV6_HEADER > end || ipv6.version(view, ip) !== 6) return Verdict.Malformed;
  const total = ipv6.IPV6_HEADER + ipv6.payloadLength(view, ip);
  if (ip + total > end) return Verdict.Malformed;
  if (!ipv6.walkExtensions(view, ip, ip + total, walk)) return Verdict.Malformed;
  frames.transport[i] = walk.at;
  frames.bytes[i] = total;
  frames.flowKind[i] = walk.protocol | FAMILY6;
  const words = frames.words;
  for (let w = 0; w < 4; w++) {
    words[i * 8 + w] = ipv6.source(view, ip, w);
    words[i * 8 + 4 + w] = ipv6.destination(view, ip, w);
  }
  frames.client[i] = foldAddress(words[i * 8]!, words[i * 8 + 1]!, words[i * 8 + 2]!, words[i * 8 + 3]!);
  frames.virtual[i] = foldAddress(words[i * 8 + 4]!, words[i * 8 + 5]!, words[i * 8 + 6]!, words[i * 8 + 7]!);
  if (walk.fragmentAt >= 0 && (walk.moreFragments || walk.fragmentOffset > 0)) {
    frames.fragmentId[i] = walk.identification;
    frames.fragmentOffset[i] = walk.fragmentOffset;
    frames.kind[i] = FrameKind.Fragment;
    return Verdict.Forwarded;
  }
  if (walk.protocol === ipv4.Protocol.Icmpv6) {
    frames.kind[i] = FrameKind.Icmp6;
    return Verdict.Forwarded;
  }
  if (!hasPorts(walk.protocol)) return Verdict.NotOurs;
  const length = ip + total - walk.at;
  if (length < PORTS) return Verdict.Malformed;
  readFlow(frames, i, view, walk.at, length);
  frames.hash[i] = flowHash(seed, frames.client[i]!, frames.virtual[i]!, frames.ports[i]!);
  frames.kind[i] = FrameKind.Flow6;
  return Verdict.Forwarded;
}
