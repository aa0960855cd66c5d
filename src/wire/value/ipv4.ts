/** The IPv4 header as a value: parse, emit, describe. */
import { formatIpv4 } from "../address.ts";
import * as ipv4 from "../ipv4.ts";
import {
  IPV4_CHECKSUM,
  IPV4_DESTINATION,
  IPV4_DONT_FRAGMENT,
  IPV4_FLAGS_OFFSET,
  IPV4_HEADER,
  IPV4_IDENTIFICATION,
  IPV4_MORE_FRAGMENTS,
  IPV4_PROTOCOL,
  IPV4_SOURCE,
  IPV4_TOS,
  IPV4_TOTAL_LENGTH,
  IPV4_TTL,
} from "../ipv4.ts";
import { copyOf, fieldsOf, type HeaderDescription, hex, hexBytes, protocolName, put } from "./field.ts";

/** The header as a value. */
export interface Ipv4Header {
  readonly tos: number;
  readonly totalLength: number;
  readonly identification: number;
  /** RFC 791 says it must be zero; a parsed value keeps what was there. */
  readonly reservedFlag: boolean;
  readonly dontFragment: boolean;
  readonly moreFragments: boolean;
  /** In bytes. */
  readonly fragmentOffset: number;
  readonly ttl: number;
  readonly protocol: number;
  /** As on the wire; see writeChecksum. */
  readonly checksum: number;
  readonly source: number;
  readonly destination: number;
  /** 0…40 bytes, a multiple of four. */
  readonly options: Uint8Array;
}

/** undefined when the header does not end before `end`, or is no IPv4 header. The payload may be cut. */
export function parse(frame: DataView, at: number, end: number): Ipv4Header | undefined {
  if (at + IPV4_HEADER > end || ipv4.version(frame, at) !== 4) return undefined;
  const length = ipv4.headerLength(frame, at);
  if (length < IPV4_HEADER || at + length > end) return undefined;
  return {
    tos: ipv4.tos(frame, at),
    totalLength: ipv4.totalLength(frame, at),
    identification: ipv4.identification(frame, at),
    reservedFlag: ipv4.flagsAndOffset(frame, at) >= 0x8000,
    dontFragment: ipv4.dontFragment(frame, at),
    moreFragments: ipv4.moreFragments(frame, at),
    fragmentOffset: ipv4.fragmentOffset(frame, at),
    ttl: ipv4.ttl(frame, at),
    protocol: ipv4.protocol(frame, at),
    checksum: ipv4.headerChecksum(frame, at),
    source: ipv4.source(frame, at),
    destination: ipv4.destination(frame, at),
    options: copyOf(frame, at + IPV4_HEADER, length - IPV4_HEADER),
  };
}

/** The inverse of parse, checksum as given. Returns the bytes written. */
export function emit(frame: DataView, at: number, header: Ipv4Header): number {
  const length = IPV4_HEADER + header.options.length;
  const flags =
    (header.reservedFlag ? 0x8000 : 0) |
    (header.dontFragment ? IPV4_DONT_FRAGMENT : 0) |
    (header.moreFragments ? IPV4_MORE_FRAGMENTS : 0);
  frame.setUint8(at, 0x40 | (length >>> 2));
  frame.setUint8(at + IPV4_TOS, header.tos);
  frame.setUint16(at + IPV4_TOTAL_LENGTH, header.totalLength);
  frame.setUint16(at + IPV4_IDENTIFICATION, header.identification);
  frame.setUint16(at + IPV4_FLAGS_OFFSET, flags | (header.fragmentOffset >>> 3));
  frame.setUint8(at + IPV4_TTL, header.ttl);
  frame.setUint8(at + IPV4_PROTOCOL, header.protocol);
  frame.setUint16(at + IPV4_CHECKSUM, header.checksum);
  frame.setUint32(at + IPV4_SOURCE, header.source);
  frame.setUint32(at + IPV4_DESTINATION, header.destination);
  put(frame, at + IPV4_HEADER, header.options);
  return length;
}

function fragmentMeaning(header: Ipv4Header): string {
  if (header.fragmentOffset > 0) return header.moreFragments ? "a middle fragment" : "the last fragment";
  return header.moreFragments ? "the first fragment" : "a whole datagram";
}

/** undefined as parse. */
export function describe(frame: DataView, at: number, end: number): HeaderDescription | undefined {
  const header = parse(frame, at, end);
  if (header === undefined) return undefined;
  const length = IPV4_HEADER + header.options.length;
  const field = fieldsOf("ipv4", at);
  const [from, to] = [formatIpv4(header.source), formatIpv4(header.destination)];
  const name = protocolName(header.protocol);
  const right = ipv4.checksumIsRight(frame, at) ? "right" : "wrong: the next router would drop it";
  const bit = (set: boolean): string => (set ? "1" : "0");
  const fields = [
    field("version", "version", 0, 1, 4, "", [0, 4]),
    field("headerLength", "header length", 0, 1, length / 4, `${length} bytes`, [4, 4]),
    field(
      "tos",
      "type of service",
      IPV4_TOS,
      1,
      hex(header.tos, 1),
      `DSCP ${header.tos >>> 2}, ECN ${header.tos & 3}`,
    ),
    field(
      "totalLength",
      "total length",
      IPV4_TOTAL_LENGTH,
      2,
      header.totalLength,
      "header and payload in bytes",
    ),
    field("identification", "identification", IPV4_IDENTIFICATION, 2, hex(header.identification, 2)),
    field("dontFragment", "don't fragment", IPV4_FLAGS_OFFSET, 2, bit(header.dontFragment), "", [1, 1]),
    field("moreFragments", "more fragments", IPV4_FLAGS_OFFSET, 2, bit(header.moreFragments), "", [2, 1]),
    field(
      "fragmentOffset",
      "fragment offset",
      IPV4_FLAGS_OFFSET,
      2,
      header.fragmentOffset,
      fragmentMeaning(header),
      [3, 13],
    ),
    field("ttl", "time to live", IPV4_TTL, 1, header.ttl, "routers that may still pass it on"),
    field("protocol", "protocol", IPV4_PROTOCOL, 1, header.protocol, name),
    field("checksum", "header checksum", IPV4_CHECKSUM, 2, hex(header.checksum, 2), right),
    field("source", "source", IPV4_SOURCE, 4, from),
    field("destination", "destination", IPV4_DESTINATION, 4, to),
  ];
  if (length > IPV4_HEADER)
    fields.push(
      field(
        "options",
        "options",
        IPV4_HEADER,
        length - IPV4_HEADER,
        hexBytes(frame, at + IPV4_HEADER, length - IPV4_HEADER),
      ),
    );
  return { name: "IPv4", at, length, summary: `IPv4 ${from} → ${to}, ${name}, ttl ${header.ttl}`, fields };
}
