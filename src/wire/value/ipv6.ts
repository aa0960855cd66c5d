/** The fixed IPv6 header as a value: parse, emit, describe; and the description of extension headers. */
import { formatIpv6, type Words } from "../address.ts";
import * as ipv6 from "../ipv6.ts";
import {
  Extension,
  IPV6_DESTINATION,
  IPV6_HEADER,
  IPV6_HOP_LIMIT,
  IPV6_NEXT_HEADER,
  IPV6_PAYLOAD_LENGTH,
  IPV6_SOURCE,
} from "../ipv6.ts";
import {
  type Field,
  fieldsOf,
  type HeaderDescription,
  hex,
  hexBytes,
  nameOf,
  protocolName,
} from "./field.ts";

export interface Ipv6Header {
  readonly trafficClass: number;
  readonly flowLabel: number;
  readonly payloadLength: number;
  readonly nextHeader: number;
  readonly hopLimit: number;
  readonly source: Words;
  readonly destination: Words;
}

/** undefined when fewer than IPV6_HEADER bytes lie before `end`, or it is no IPv6 header. The payload may be cut. */
export function parse(frame: DataView, at: number, end: number): Ipv6Header | undefined {
  if (at + IPV6_HEADER > end || ipv6.version(frame, at) !== 6) return undefined;
  const word = (field: number, i: number): number => frame.getUint32(at + field + i * 4);
  const address = (field: number): Words => [word(field, 0), word(field, 1), word(field, 2), word(field, 3)];
  return {
    trafficClass: ipv6.trafficClass(frame, at),
    flowLabel: ipv6.flowLabel(frame, at),
    payloadLength: ipv6.payloadLength(frame, at),
    nextHeader: ipv6.nextHeader(frame, at),
    hopLimit: ipv6.hopLimit(frame, at),
    source: address(IPV6_SOURCE),
    destination: address(IPV6_DESTINATION),
  };
}

/** The inverse of parse. Returns the bytes written. */
export function emit(frame: DataView, at: number, header: Ipv6Header): number {
  ipv6.writeStart(
    frame,
    at,
    header.trafficClass,
    header.flowLabel,
    header.payloadLength,
    header.nextHeader,
    header.hopLimit,
  );
  for (let i = 0; i < 4; i++) {
    frame.setUint32(at + IPV6_SOURCE + i * 4, header.source[i]!);
    frame.setUint32(at + IPV6_DESTINATION + i * 4, header.destination[i]!);
  }
  return IPV6_HEADER;
}

function nextName(header: number): string {
  const extension = nameOf(Extension, header, "");
  return extension === "" ? protocolName(header) : `${extension} extension header`;
}

/** undefined as parse. */
export function describe(frame: DataView, at: number, end: number): HeaderDescription | undefined {
  const header = parse(frame, at, end);
  if (header === undefined) return undefined;
  const field = fieldsOf("ipv6", at);
  const [from, to] = [formatIpv6(header.source), formatIpv6(header.destination)];
  const next = nextName(header.nextHeader);
  return {
    name: "IPv6",
    at,
    length: IPV6_HEADER,
    summary: `IPv6 ${from} → ${to}, ${next}, hop limit ${header.hopLimit}`,
    fields: [
      field("version", "version", 0, 1, 6, "", [0, 4]),
      field("trafficClass", "traffic class", 0, 2, hex(header.trafficClass, 1), "", [4, 8]),
      field("flowLabel", "flow label", 1, 3, hex(header.flowLabel, 3), "", [4, 20]),
      field("payloadLength", "payload length", IPV6_PAYLOAD_LENGTH, 2, header.payloadLength),
      field("nextHeader", "next header", IPV6_NEXT_HEADER, 1, header.nextHeader, next),
      field("hopLimit", "hop limit", IPV6_HOP_LIMIT, 1, header.hopLimit, "routers that may still pass it on"),
      field("source", "source", IPV6_SOURCE, 16, from),
      field("destination", "destination", IPV6_DESTINATION, 16, to),
    ],
  };
}

/** One extension header of `length` bytes at `at`, whose number stood in the header before it. */
export function describeExtension(
  frame: DataView,
  at: number,
  header: number,
  length: number,
): HeaderDescription {
  const field = fieldsOf("ipv6ext", at);
  const name = nextName(header);
  const next = frame.getUint8(at);
  const fields: Field[] = [field("nextHeader", "next header", 0, 1, next, nextName(next))];
  if (header === Extension.Fragment) {
    const bits = frame.getUint16(at + ipv6.FRAGMENT_OFFSET_FLAGS);
    const id = frame.getUint32(at + ipv6.FRAGMENT_IDENTIFICATION);
    fields.push(
      field("fragmentOffset", "fragment offset", 2, 2, bits & 0xfff8, "in bytes", [0, 13]),
      field("moreFragments", "more fragments", 2, 2, bits & 1, "", [15, 1]),
      field("identification", "identification", 4, 4, hex(id, 4)),
    );
  } else fields.push(field("body", "body", 1, length - 1, hexBytes(frame, at + 1, length - 1)));
  return { name: `IPv6 ${nameOf(Extension, header, "")}`, at, length, summary: name, fields };
}
