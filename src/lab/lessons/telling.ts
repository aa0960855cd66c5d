/** Frames in the words of the lab: who sent it to whom, and what it is, a line each. */
import { formatIpv4, formatMac } from "../../wire/address.ts";
import { ETH_HEADER, ETH_SOURCE, EtherType, etherType, macHi, macLo } from "../../wire/ethernet.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import * as tcp from "../../wire/tcp.ts";
import { flagNames } from "../../wire/value/tcp.ts";
import type { CapturedFrame } from "../capture.ts";
import { clientAddress, DIP, macOf, ROUTER, ROUTER_CLIENT_SIDE, realServerAddress } from "../topology.ts";

const NAMES = new Map([
  [macOf(clientAddress(0)), "client"],
  [macOf(ROUTER_CLIENT_SIDE), "router"],
  [macOf(ROUTER), "router"],
  [macOf(DIP), "director"],
  ["ff:ff:ff:ff:ff:ff", "everybody"],
  ...[0, 1, 2].map((i) => [macOf(realServerAddress(i)), `rs${i + 1}`] as const),
]);

/** Who has this MAC. */
export const nameOf = (mac: string): string => NAMES.get(mac) ?? mac;

export const viewOf = ({ bytes }: CapturedFrame): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const macAt = (frame: CapturedFrame, at: number): string => {
  const view = viewOf(frame);
  return formatMac({ hi: macHi(view, at), lo: macLo(view, at) });
};

export const senderOf = (frame: CapturedFrame): string => nameOf(macAt(frame, ETH_SOURCE));
export const receiverOf = (frame: CapturedFrame): string => nameOf(macAt(frame, 0));

/** Is it IPv4 of this protocol, with its transport's first eight bytes there? */
export function isProtocol(frame: CapturedFrame, protocol: number): boolean {
  const view = viewOf(frame);
  if (view.byteLength < ETH_HEADER + ipv4.IPV4_HEADER || etherType(view, 0) !== EtherType.Ipv4) return false;
  return ipv4.protocol(view, ETH_HEADER) === protocol && view.byteLength >= transportAt(frame) + 8;
}

/** Where the transport header of an IPv4 frame begins. */
export function transportAt(frame: CapturedFrame): number {
  return ETH_HEADER + ipv4.headerLength(viewOf(frame), ETH_HEADER);
}

/** Is it TCP with exactly these flags? */
export function hasFlags(frame: CapturedFrame, flags: number): boolean {
  if (!isProtocol(frame, ipv4.Protocol.Tcp) || frame.bytes.length < transportAt(frame) + tcp.TCP_HEADER)
    return false;
  return tcp.flags(viewOf(frame), transportAt(frame)) === flags;
}

export const SYN = tcp.TCP_FLAGS.SYN;
export const SYN_ACK = tcp.TCP_FLAGS.SYN | tcp.TCP_FLAGS.ACK;

/** "10.7.0.10:41234 → 10.0.0.100:80  SYN" */
export function packetText(frame: CapturedFrame): string {
  const view = viewOf(frame);
  const at = transportAt(frame);
  const [from, to] = [ipv4.source(view, ETH_HEADER), ipv4.destination(view, ETH_HEADER)].map(formatIpv4);
  const isTcp = isProtocol(frame, ipv4.Protocol.Tcp);
  const ports = isTcp || isProtocol(frame, ipv4.Protocol.Udp);
  const [near, far] = ports ? [`:${view.getUint16(at)}`, `:${view.getUint16(at + 2)}`] : ["", ""];
  const what = isTcp
    ? flagNames(tcp.flags(view, at))
    : isProtocol(frame, ipv4.Protocol.Icmp)
      ? "ICMP"
      : "UDP";
  return `${from}${near} → ${to}${far}  ${what}`;
}

/** "director → rs2     10.7.0.10:41234 → 10.0.0.100:80  SYN" behind the place where it was seen. */
export function frameLine(place: string, frame: CapturedFrame): string {
  const macs = `${senderOf(frame)} → ${receiverOf(frame)}`;
  return `  ${place.padEnd(14)} ${macs.padEnd(18)} ${packetText(frame)}`;
}

export const frameHeading = `  ${"seen at".padEnd(14)} ${"MAC: from → to".padEnd(18)} IP: from → to`;

/** "rs1 3  rs2 3  rs3 3", and how many failed. */
export function roundText(round: { answers: Record<string, number>; failed: number }): string {
  const names = ["rs1", "rs2", "rs3"];
  const answers = names.map((name) => `${name} ${round.answers[name] ?? 0}`).join("   ");
  return `${answers}${round.failed > 0 ? `   failed ${round.failed}` : ""}`;
}
