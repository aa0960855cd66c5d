/**
 * Neighbour discovery for IPv6 over Ethernet (RFC 4861 §4.3, §4.4; RFC 2464): the solicitation "who has this address?"
 * and the advertisement "it is here", as whole frames. Control plane only: what is read becomes a value.
 */
import type { Mac, Words } from "./address.ts";
import { CbpfAssembler, type CbpfInstruction, Op, Test } from "./cbpf.ts";
import { finish, pseudoHeaderSum6, sum } from "./checksum.ts";
import {
  ETH_DESTINATION,
  ETH_HEADER,
  ETH_SOURCE,
  EtherType,
  etherType,
  isGroupMac,
  macHi,
  macLo,
  writeEtherType,
  writeMac,
} from "./ethernet.ts";
import { ICMPV6_CHECKSUM, ICMPV6_CODE, ICMPV6_TYPE, Icmpv6Type } from "./icmpv6.ts";
import { Protocol } from "./ipv4.ts";
import * as ipv6 from "./ipv6.ts";

/** From the ICMPv6 header on. */
const FLAGS = 4;
const TARGET = 8;
const OPTIONS = 24;
const OPTION_BYTES = 8;

const SOURCE_MAC = 1;
const TARGET_MAC = 2;

/** Flags of an advertisement: R, S, O. */
const SOLICITED = 0x40;
const OVERRIDE = 0x20;

/** RFC 4861 §7.1: what a router has passed on is no neighbour's. */
const HOP_LIMIT = 255;

/** The largest frame that the writers make. */
export const NDP_FRAME = ETH_HEADER + ipv6.IPV6_HEADER + OPTIONS + OPTION_BYTES;

export const ANY_ADDRESS: Words = [0, 0, 0, 0];
/** ff02::1, every node on the link. */
export const ALL_NODES: Words = [0xff02_0000, 0, 0, 1];

export interface NdpMessage {
  readonly kind: "solicitation" | "advertisement";
  /** Of the IPv6 header; all zero while the sender makes sure that an address is free (RFC 4862 §5.4.2). */
  readonly source: Words;
  /** Who is asked for, or who it is. */
  readonly target: Words;
  /** The asker's, or the target's; a solicited advertisement may leave it out. */
  readonly mac: Mac | undefined;
  /** Answers a solicitation; may replace a MAC that is known. False in a solicitation. */
  readonly solicited: boolean;
  readonly override: boolean;
  /** The frame's own source. */
  readonly sender: Mac;
}

function wordsAt(frame: DataView, at: number): Words {
  return [frame.getUint32(at), frame.getUint32(at + 4), frame.getUint32(at + 8), frame.getUint32(at + 12)];
}

function writeWords(frame: DataView, at: number, words: Words): void {
  words.forEach((word, w) => {
    frame.setUint32(at + w * 4, word);
  });
}

export function sameAddress(a: Words, b: Words): boolean {
  return a[0] === b[0] && a[1] === b[1] && a[2] === b[2] && a[3] === b[3];
}

export function isUnspecified(words: Words): boolean {
  return sameAddress(words, ANY_ADDRESS);
}

/** ff02::1:ff and the last three bytes: the group in which everybody listens for their own (RFC 4291 §2.7.1). */
export function solicitedNode(words: Words): Words {
  return [0xff02_0000, 0, 1, (0xff00_0000 | (words[3] & 0xff_ffff)) >>> 0];
}

/** The group's MAC: 33:33 and the last four bytes (RFC 2464 §7). */
export function groupMac(group: Words): Mac {
  return { hi: 0x3333, lo: group[3] };
}

/**
 * The message in a frame of `length` bytes; undefined for everything else and for what RFC 4861 §7.1.1 and §7.1.2 have
 * us discard.
 */
export function parseNdp(frame: DataView, length: number): NdpMessage | undefined {
  const ip = ETH_HEADER;
  const icmp = ip + ipv6.IPV6_HEADER;
  if (length < icmp + OPTIONS || etherType(frame, 0) !== EtherType.Ipv6) return undefined;
  const bytes = ipv6.payloadLength(frame, ip);
  const end = icmp + bytes;
  if (end > length || bytes < OPTIONS || !isNdp(frame, ip, icmp, bytes)) return undefined;
  const solicitation = frame.getUint8(icmp + ICMPV6_TYPE) === Icmpv6Type.NeighbourSolicitation;
  const mac = option(frame, icmp + OPTIONS, end, solicitation ? SOURCE_MAC : TARGET_MAC);
  if (mac === "broken") return undefined;
  const source = wordsAt(frame, ip + ipv6.IPV6_SOURCE);
  const target = wordsAt(frame, icmp + TARGET);
  if (target[0] >>> 24 === 0xff || (isUnspecified(source) && (!solicitation || mac !== undefined)))
    return undefined;
  const flags = solicitation ? 0 : frame.getUint8(icmp + FLAGS);
  return {
    kind: solicitation ? "solicitation" : "advertisement",
    source,
    target,
    mac,
    solicited: (flags & SOLICITED) !== 0,
    override: (flags & OVERRIDE) !== 0,
    sender: { hi: macHi(frame, ETH_SOURCE), lo: macLo(frame, ETH_SOURCE) },
  };
}

function isNdp(frame: DataView, ip: number, icmp: number, bytes: number): boolean {
  const type = frame.getUint8(icmp + ICMPV6_TYPE);
  return (
    ipv6.version(frame, ip) === 6 &&
    ipv6.nextHeader(frame, ip) === Protocol.Icmpv6 &&
    ipv6.hopLimit(frame, ip) === HOP_LIMIT &&
    (type === Icmpv6Type.NeighbourSolicitation || type === Icmpv6Type.NeighbourAdvertisement) &&
    frame.getUint8(icmp + ICMPV6_CODE) === 0 &&
    finish(
      sum(frame, icmp, bytes, pseudoHeaderSum6(frame, ip + ipv6.IPV6_SOURCE, Protocol.Icmpv6, bytes)),
    ) === 0
  );
}

/** The MAC in the option of this type. Options are counted in eights; one of length 0 makes the message void. */
function option(frame: DataView, at: number, end: number, type: number): Mac | undefined | "broken" {
  let found: Mac | undefined;
  while (at < end) {
    const bytes = at + 2 <= end ? frame.getUint8(at + 1) * 8 : 0;
    if (bytes === 0 || at + bytes > end) return "broken";
    if (frame.getUint8(at) === type && bytes === OPTION_BYTES) {
      found = { hi: macHi(frame, at + 2), lo: macLo(frame, at + 2) };
      if (isGroupMac(found.hi)) return "broken";
    }
    at += bytes;
  }
  return found;
}

/** Everything but the message's own part; then the checksum. */
function finishFrame(
  frame: DataView,
  to: Mac,
  own: Mac,
  source: Words,
  destination: Words,
  bytes: number,
): number {
  const ip = ETH_HEADER;
  const icmp = ip + ipv6.IPV6_HEADER;
  writeMac(frame, ETH_DESTINATION, to.hi, to.lo);
  writeMac(frame, ETH_SOURCE, own.hi, own.lo);
  writeEtherType(frame, 0, EtherType.Ipv6);
  ipv6.writeStart(frame, ip, 0, 0, bytes, Protocol.Icmpv6, HOP_LIMIT);
  writeWords(frame, ip + ipv6.IPV6_SOURCE, source);
  writeWords(frame, ip + ipv6.IPV6_DESTINATION, destination);
  frame.setUint16(icmp + ICMPV6_CHECKSUM, 0);
  const pseudo = pseudoHeaderSum6(frame, ip + ipv6.IPV6_SOURCE, Protocol.Icmpv6, bytes);
  frame.setUint16(icmp + ICMPV6_CHECKSUM, finish(sum(frame, icmp, bytes, pseudo)));
  return icmp + bytes;
}

function writeMessage(
  frame: DataView,
  type: number,
  flags: number,
  target: Words,
  optionType: number,
  own: Mac,
): void {
  const icmp = ETH_HEADER + ipv6.IPV6_HEADER;
  frame.setUint8(icmp + ICMPV6_TYPE, type);
  frame.setUint8(icmp + ICMPV6_CODE, 0);
  frame.setUint32(icmp + FLAGS, flags << 24);
  writeWords(frame, icmp + TARGET, target);
  frame.setUint8(icmp + OPTIONS, optionType);
  frame.setUint8(icmp + OPTIONS + 1, 1);
  writeMac(frame, icmp + OPTIONS + 2, own.hi, own.lo);
}

/**
 * "Who has `target`? Tell `source`": to the target's group, or to `to` alone when a neighbour is only asked again.
 * Without a source it is the question whether the address is taken, which is answered to everybody.
 */
export function writeSolicitation(frame: DataView, own: Mac, source: Words, target: Words, to?: Mac): number {
  const group = solicitedNode(target);
  writeMessage(frame, Icmpv6Type.NeighbourSolicitation, 0, target, SOURCE_MAC, own);
  const bytes = OPTIONS + (isUnspecified(source) ? 0 : OPTION_BYTES);
  return finishFrame(frame, to ?? groupMac(group), own, source, to === undefined ? group : target, bytes);
}

/** "`target` is at `own`": to who asked, or to everybody, when nobody has or the asker has no address yet. */
export function writeAdvertisement(
  frame: DataView,
  own: Mac,
  target: Words,
  asker?: { readonly mac: Mac; readonly address: Words },
): number {
  const flags = OVERRIDE | (asker === undefined ? 0 : SOLICITED);
  writeMessage(frame, Icmpv6Type.NeighbourAdvertisement, flags, target, TARGET_MAC, own);
  const to = asker?.mac ?? groupMac(ALL_NODES);
  return finishFrame(frame, to, own, target, asker?.address ?? ALL_NODES, OPTIONS + OPTION_BYTES);
}

/** A socket filter that leaves solicitations and advertisements of all IPv6. */
export function ndpFilter(): CbpfInstruction[] {
  const code = new CbpfAssembler();
  code.emit(Op.ldb, ETH_HEADER + ipv6.IPV6_NEXT_HEADER).jump(Test.equal, Protocol.Icmpv6, "", "drop");
  code.emit(Op.ldb, ETH_HEADER + ipv6.IPV6_HEADER + ICMPV6_TYPE);
  code.jump(Test.equal, Icmpv6Type.NeighbourSolicitation, "take", "");
  code.jump(Test.equal, Icmpv6Type.NeighbourAdvertisement, "take", "drop");
  code.label("take").emit(Op.ret, 0xffff).label("drop").emit(Op.ret, 0);
  return code.assemble();
}
