/** ARP between Ethernet and IPv4 as a value: parse, emit, describe. */
import { formatIpv4, formatMac, type Mac } from "../address.ts";
import * as arp from "../arp.ts";
import {
  ARP_HARDWARE_LENGTH,
  ARP_HARDWARE_TYPE,
  ARP_OPERATION,
  ARP_PACKET,
  ARP_PROTOCOL_LENGTH,
  ARP_PROTOCOL_TYPE,
  ARP_SENDER_IP,
  ARP_SENDER_MAC,
  ARP_TARGET_IP,
  ARP_TARGET_MAC,
  ArpOperation,
} from "../arp.ts";
import { mac } from "./ethernet.ts";
import { fieldsOf, type HeaderDescription, nameOf } from "./field.ts";

/** The packet as a value. */
export interface ArpPacket {
  readonly operation: number;
  readonly senderMac: Mac;
  readonly senderIp: number;
  readonly targetMac: Mac;
  readonly targetIp: number;
}

/** undefined when too short before `end`, or not Ethernet and IPv4. */
export function parse(frame: DataView, at: number, end: number): ArpPacket | undefined {
  if (at + ARP_PACKET > end || !arp.isEthernetIpv4(frame, at)) return undefined;
  return {
    operation: arp.operation(frame, at),
    senderMac: mac(frame, at + ARP_SENDER_MAC),
    senderIp: arp.senderIp(frame, at),
    targetMac: mac(frame, at + ARP_TARGET_MAC),
    targetIp: arp.targetIp(frame, at),
  };
}

/** The inverse of parse. Returns the bytes written. */
export function emit(frame: DataView, at: number, packet: ArpPacket): number {
  const { senderMac, targetMac } = packet;
  arp.writePacket(
    frame,
    at,
    packet.operation,
    senderMac.hi,
    senderMac.lo,
    packet.senderIp,
    targetMac.hi,
    targetMac.lo,
    packet.targetIp,
  );
  return ARP_PACKET;
}

function sentence(packet: ArpPacket): string {
  const [sender, target] = [formatIpv4(packet.senderIp), formatIpv4(packet.targetIp)];
  if (packet.operation === ArpOperation.Reply) return `${sender} is at ${formatMac(packet.senderMac)}`;
  if (packet.operation !== ArpOperation.Request) return `operation ${packet.operation}`;
  if (packet.senderIp === packet.targetIp)
    return `${sender} is at ${formatMac(packet.senderMac)} (announcement)`;
  return packet.senderIp === 0 ? `who has ${target}? (probe)` : `who has ${target}? tell ${sender}`;
}

/** undefined as parse. */
export function describe(frame: DataView, at: number, end: number): HeaderDescription | undefined {
  const packet = parse(frame, at, end);
  if (packet === undefined) return undefined;
  const field = fieldsOf("arp", at);
  const name = nameOf(ArpOperation, packet.operation, "unknown").toLowerCase();
  return {
    name: "ARP",
    at,
    length: ARP_PACKET,
    summary: `ARP ${sentence(packet)}`,
    fields: [
      field("hardwareType", "hardware type", ARP_HARDWARE_TYPE, 2, 1, "Ethernet"),
      field("protocolType", "protocol type", ARP_PROTOCOL_TYPE, 2, "0x0800", "IPv4"),
      field("hardwareLength", "hardware address length", ARP_HARDWARE_LENGTH, 1, 6),
      field("protocolLength", "protocol address length", ARP_PROTOCOL_LENGTH, 1, 4),
      field("operation", "operation", ARP_OPERATION, 2, packet.operation, name),
      field("senderMac", "sender MAC", ARP_SENDER_MAC, 6, formatMac(packet.senderMac)),
      field("senderIp", "sender IP", ARP_SENDER_IP, 4, formatIpv4(packet.senderIp)),
      field("targetMac", "target MAC", ARP_TARGET_MAC, 6, formatMac(packet.targetMac)),
      field("targetIp", "target IP", ARP_TARGET_IP, 4, formatIpv4(packet.targetIp)),
    ],
  };
}
