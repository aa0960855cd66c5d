/**
 * A whole frame, told header by header, for `explain` and the page. Never throws: what cannot be read (cut off,
 * unknown, contradictory) is told as bytes.
 */
import { ETH_HEADER, EtherType, etherType } from "../ethernet.ts";
import { ICMP_EMBEDDED, type as icmpType, isError } from "../icmp.ts";
import { ICMPV6_EMBEDDED, type as icmpv6Type, isError as isError6 } from "../icmpv6.ts";
import * as ipv4 from "../ipv4.ts";
import * as ipv6 from "../ipv6.ts";
import { innerType, isVlanType, VLAN_HEADER } from "../vlan.ts";
import * as arp from "./arp.ts";
import * as ethernet from "./ethernet.ts";
import { fieldsOf, type HeaderDescription, hexBytes } from "./field.ts";
import * as icmp from "./icmp.ts";
import * as icmpv6 from "./icmpv6.ts";
import * as ipv4Value from "./ipv4.ts";
import * as ipv6Value from "./ipv6.ts";
import * as tcp from "./tcp.ts";
import * as udp from "./udp.ts";
import * as vlan from "./vlan.ts";

type Told = HeaderDescription[];

const TRANSPORTS: Readonly<Record<number, typeof tcp.describe>> = {
  [ipv4.Protocol.Tcp]: tcp.describe,
  [ipv4.Protocol.Udp]: udp.describe,
  [ipv4.Protocol.Icmp]: icmp.describe,
  [ipv4.Protocol.Icmpv6]: icmpv6.describe,
};

/** Bytes that no header claims: data, padding, or what could not be read. */
function tellBytes(told: Told, name: string, frame: DataView, at: number, end: number): void {
  if (at >= end) return;
  const length = end - at;
  const shown = hexBytes(frame, at, Math.min(length, 64)) + (length > 64 ? "…" : "");
  const field = fieldsOf(name.replaceAll(" ", "-"), at)("bytes", name, 0, length, shown);
  told.push({ name, at, length, summary: `${name}, ${length} bytes`, fields: [field] });
}

/** Adds the header if it could be read; says where it ends, or -1. */
function tell(told: Told, header: HeaderDescription | undefined): number {
  if (header === undefined) return -1;
  told.push(header);
  return header.at + header.length;
}

function tellTransport(told: Told, frame: DataView, protocol: number, at: number, end: number): void {
  const teller = TRANSPORTS[protocol];
  const next = teller === undefined ? -1 : tell(told, teller(frame, at, end));
  if (next < 0) tellBytes(told, "data", frame, at, end);
  else if (protocol === ipv4.Protocol.Icmp && isError(icmpType(frame, at)))
    tellNetwork(told, frame, EtherType.Ipv4, at + ICMP_EMBEDDED, end);
  else if (protocol === ipv4.Protocol.Icmpv6 && isError6(icmpv6Type(frame, at)))
    tellNetwork(told, frame, EtherType.Ipv6, at + ICMPV6_EMBEDDED, end);
  else tellBytes(told, "data", frame, next, end);
}

function tellIpv4(told: Told, frame: DataView, at: number, end: number): void {
  const next = tell(told, ipv4Value.describe(frame, at, end));
  if (next < 0) {
    tellBytes(told, "unreadable", frame, at, end);
    return;
  }
  const total = ipv4.totalLength(frame, at);
  // 0 stands in super-frames above 64 KiB: then the frame's own end counts.
  const packetEnd = total === 0 ? end : Math.min(end, Math.max(next, at + total));
  if (ipv4.fragmentOffset(frame, at) > 0) tellBytes(told, "fragment data", frame, next, packetEnd);
  else tellTransport(told, frame, ipv4.protocol(frame, at), next, packetEnd);
  tellBytes(told, "padding", frame, packetEnd, end);
}

function tellIpv6(told: Told, frame: DataView, at: number, end: number): void {
  if (tell(told, ipv6Value.describe(frame, at, end)) < 0) {
    tellBytes(told, "unreadable", frame, at, end);
    return;
  }
  const claimed = ipv6.payloadLength(frame, at);
  const packetEnd = claimed === 0 ? end : Math.min(end, at + ipv6.IPV6_HEADER + claimed);
  const walk = ipv6.createWalk();
  let header = ipv6.nextHeader(frame, at);
  let next = at + ipv6.IPV6_HEADER;
  const whole = ipv6.walkExtensions(frame, at, packetEnd, walk);
  while (whole && next < walk.at) {
    const length = ipv6.extensionLength(frame, header, next);
    told.push(ipv6Value.describeExtension(frame, next, header, length));
    header = frame.getUint8(next);
    next += length;
  }
  if (!whole) tellBytes(told, "unreadable", frame, next, packetEnd);
  else if (walk.fragmentOffset > 0) tellBytes(told, "fragment data", frame, next, packetEnd);
  else tellTransport(told, frame, walk.protocol, next, packetEnd);
  tellBytes(told, "padding", frame, packetEnd, end);
}

function tellNetwork(told: Told, frame: DataView, type: number, at: number, end: number): void {
  if (type === EtherType.Ipv4) tellIpv4(told, frame, at, end);
  else if (type === EtherType.Ipv6) tellIpv6(told, frame, at, end);
  else {
    const next = type === EtherType.Arp ? tell(told, arp.describe(frame, at, end)) : -1;
    tellBytes(told, next < 0 ? "unreadable" : "padding", frame, next < 0 ? at : next, end);
  }
}

/** Every header of the frame in `bytes`, outermost first; offsets count from the frame's first byte. */
export function describeFrame(bytes: Uint8Array): HeaderDescription[] {
  const frame = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const told: Told = [];
  if (tell(told, ethernet.describe(frame, 0, bytes.length)) < 0) {
    tellBytes(told, "unreadable", frame, 0, bytes.length);
    return told;
  }
  let type = etherType(frame, 0);
  let at = ETH_HEADER;
  while (isVlanType(type) && at + VLAN_HEADER <= bytes.length) {
    tell(told, vlan.describe(frame, at, bytes.length));
    type = innerType(frame, at);
    at += VLAN_HEADER;
  }
  tellNetwork(told, frame, type, at, bytes.length);
  return told;
}

/** The frame in one line: its innermost headers' summaries. */
export function summarizeFrame(bytes: Uint8Array): string {
  const headers = describeFrame(bytes).filter(
    (header) => header.name !== "padding" && header.name !== "Ethernet",
  );
  return headers.map((header) => header.summary).join(" | ");
}
