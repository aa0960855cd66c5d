/**
 * First stage: what is this frame? Checks every length once, so that later stages read without checking, and sorts
 * the frame by the way it takes (FrameKind). Follows what Linux' ip_rcv and ipv6_rcv drop before IPVS would see it.
 */

import { FAMILY6 } from "../table/connections.ts";
import { ShardCount } from "../table/counters.ts";
import { flowHash, foldAddress } from "../table/hash.ts";
import * as ethernet from "../wire/ethernet.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as ipv6 from "../wire/ipv6.ts";
import { TCP_FLAGS_BYTE, TCP_HEADER } from "../wire/tcp.ts";
import { isVlanType, VLAN_HEADER, VLAN_TYPE } from "../wire/vlan.ts";
import type { Context } from "./context.ts";
import { FrameKind, type Frames, NO_FLAGS } from "./frames.ts";
import type { Pass } from "./passes.ts";
import { Verdict } from "./verdict.ts";

/** Who we are on the link: frames for others and frames from ourselves or from peers go no further. */
export interface Station {
  macHi: number;
  /** Its last four bytes as an int32: V8 keeps it unboxed. */
  macLo: number;
  /** Peer directors' MACs, two words each; `peerCount` of them are valid. */
  peers: Uint32Array;
  peerCount: number;
}

/** A port pair is the first thing in a TCP, UDP and SCTP header; IPVS asks for no more to find a connection. */
const PORTS = 4;

/**
 * Makes the pass that classifies a burst. Its functions are closures over the shard's columns (passes.ts says why):
 * `network` and `ipv4` have the frame's number, where the header begins and where the frame ends, and return the
 * verdict, Forwarded for whatever later stages are to decide.
 */
export function makeClassify(context: Context): Pass {
  const { frames, ring, directory, seed, counters, extras } = context;
  const { burst, kind, verdict, ip, transport, bytes, flowKind, client, virtual, hash } = frames;
  const { view } = ring;
  const { station } = directory;

  function classify(i: number): Verdict {
    const at = burst.at[i]!;
    const length = burst.length[i]!;
    if (length < ethernet.ETH_HEADER) return Verdict.Malformed;
    const sender = checkStation(view, at, station);
    if (sender !== Verdict.Forwarded) return sender;
    const type = ethernet.etherType(view, at);
    if (type === ethernet.EtherType.Ipv4) return classify4(i, at + ethernet.ETH_HEADER, at + length);
    return classifyOther(i, at + ethernet.ETH_HEADER, at + length, type);
  }

  /** Behind VLAN tags, IPv6, or nothing of ours. */
  function classifyOther(i: number, start: number, end: number, type: number): Verdict {
    while (isVlanType(type)) {
      if (start + VLAN_HEADER > end) return Verdict.Malformed;
      type = view.getUint16(start + VLAN_TYPE);
      start += VLAN_HEADER;
    }
    if (type === ethernet.EtherType.Ipv4) return classify4(i, start, end);
    ip[i] = start;
    return type === ethernet.EtherType.Ipv6 ? classify6(frames, i, view, start, end, seed) : Verdict.NotIp;
  }

  function classify4(i: number, start: number, end: number): Verdict {
    ip[i] = start;
    if (start + ipv4.IPV4_HEADER > end) return Verdict.Malformed;
    const first = ipv4.firstWord(view, start);
    if (ipv4.versionOf(first) !== 4) return Verdict.Malformed;
    const header = ipv4.headerLengthOf(first);
    const total = ipv4.totalLengthOf(first);
    if (header < ipv4.IPV4_HEADER || total < header || start + total > end) return Verdict.Malformed;
    const protocol = ipv4.protocol(view, start);
    transport[i] = start + header;
    if (header > ipv4.IPV4_HEADER && ipv4.isSourceRouted(view, start)) return Verdict.NotOurs;
    bytes[i] = total;
    flowKind[i] = protocol;
    if (ipv4.isFragment(view, start) || !hasPorts(protocol)) return withoutPorts(i, start);
    return total < header + PORTS ? Verdict.Malformed : flow4(i, start, start + header, total - header);
  }

  /** A whole datagram with ports; `length` bytes of transport header and payload. */
  function flow4(i: number, start: number, at: number, length: number): Verdict {
    const source = ipv4.source(view, start);
    const destination = ipv4.destination(view, start);
    client[i] = source;
    virtual[i] = destination;
    hash[i] = flowHash(seed, source, destination, readFlow(frames, i, view, at, length));
    kind[i] = FrameKind.Flow4;
    return Verdict.Forwarded;
  }

  /** Fragments, ICMP, and protocols that IPVS has nothing to do with. */
  function withoutPorts(i: number, start: number): Verdict {
    client[i] = ipv4.source(view, start);
    virtual[i] = ipv4.destination(view, start);
    if (ipv4.isFragment(view, start)) {
      frames.fragmentId[i] = ipv4.identification(view, start);
      frames.fragmentOffset[i] = ipv4.fragmentOffset(view, start);
      kind[i] = FrameKind.Fragment;
      return Verdict.Forwarded;
    }
    if (flowKind[i] !== ipv4.Protocol.Icmp) return Verdict.NotOurs;
    kind[i] = FrameKind.Icmp4;
    return Verdict.Forwarded;
  }

  return () => {
    const { count } = burst;
    const { released } = extras;
    let sum = 0;
    for (let i = 0; i < count; i++) {
      kind[i] = FrameKind.Done;
      verdict[i] = classify(i);
      sum += burst.length[i]!;
    }
    for (let i = released; i < count; i++) sum -= burst.length[i]!;
    counters.shard[ShardCount.Received]! += released;
    counters.shard[ShardCount.Bytes]! += sum;
    counters.shard[ShardCount.Bursts]!++;
    if (count === burst.capacity) counters.shard[ShardCount.FullBursts]!++;
  };
}

/** Loop guard: nothing decrements a TTL here, so a frame from a director must never be forwarded by another. */
function checkStation(view: DataView, at: number, station: Station): Verdict {
  const { macHi, macLo } = station;
  // Both MACs are three words: the middle one has the end of the first and the begin of the second.
  const middle = view.getInt32(at + 4);
  if (view.getInt32(at) !== ((macHi << 16) | (macLo >>> 16)) || middle >>> 16 !== (macLo & 0xffff))
    return Verdict.OtherHost;
  const lo = view.getInt32(at + 8);
  const hi = middle & 0xffff;
  if (lo === macLo && hi === macHi) return Verdict.Loop;
  return station.peerCount > 0 && isPeer(station, hi, lo) ? Verdict.Loop : Verdict.Forwarded;
}

function isPeer(station: Station, hi: number, lo: number): boolean {
  for (let p = 0; p < station.peerCount; p++) {
    if (station.peers[p * 2 + 1] === lo >>> 0 && station.peers[p * 2] === hi) return true;
  }
  return false;
}

export function hasPorts(protocol: number): boolean {
  return protocol === ipv4.Protocol.Tcp || protocol === ipv4.Protocol.Udp || protocol === ipv4.Protocol.Sctp;
}

/**
 * Reads ports and TCP flags; `length` bytes of transport header and payload are there, at least four. Returns the
 * ports as in `frames.ports`.
 */
export function readFlow(
  frames: Frames,
  i: number,
  view: DataView,
  transport: number,
  length: number,
): number {
  const ports = view.getInt32(transport);
  frames.ports[i] = ports;
  frames.tcpFlags[i] = length >= TCP_HEADER ? view.getUint8(transport + TCP_FLAGS_BYTE) & 0x3f : NO_FLAGS;
  return ports;
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
