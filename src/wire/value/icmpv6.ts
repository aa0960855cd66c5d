/** The ICMPv6 header as a value: parse, emit, describe. */
import * as icmpv6 from "../icmpv6.ts";
import {
  ICMPV6_CHECKSUM,
  ICMPV6_CODE,
  ICMPV6_HEADER,
  ICMPV6_REST,
  ICMPV6_TYPE,
  Icmpv6Type,
  Unreachable6Code,
} from "../icmpv6.ts";
import { fieldsOf, type HeaderDescription, hex, nameOf, words } from "./field.ts";

export interface Icmpv6Header {
  readonly type: number;
  readonly code: number;
  /** As on the wire. */
  readonly checksum: number;
  /** The second word: identifier and sequence number, or MTU, or unused, by type. u32. */
  readonly rest: number;
}

/** undefined when fewer than ICMPV6_HEADER bytes lie before `end`. */
export function parse(frame: DataView, at: number, end: number): Icmpv6Header | undefined {
  if (at + ICMPV6_HEADER > end) return undefined;
  return {
    type: icmpv6.type(frame, at),
    code: icmpv6.code(frame, at),
    checksum: frame.getUint16(at + ICMPV6_CHECKSUM),
    rest: icmpv6.mtu(frame, at),
  };
}

/** The inverse of parse, checksum as given. Returns the bytes written. */
export function emit(frame: DataView, at: number, header: Icmpv6Header): number {
  frame.setUint8(at + ICMPV6_TYPE, header.type);
  frame.setUint8(at + ICMPV6_CODE, header.code);
  frame.setUint16(at + ICMPV6_CHECKSUM, header.checksum);
  frame.setUint32(at + ICMPV6_REST, header.rest);
  return ICMPV6_HEADER;
}

/** undefined as parse. */
export function describe(frame: DataView, at: number, end: number): HeaderDescription | undefined {
  const header = parse(frame, at, end);
  if (header === undefined) return undefined;
  const field = fieldsOf("icmpv6", at);
  const type = words(nameOf(Icmpv6Type, header.type, `type ${header.type}`));
  const unreachable = header.type === Icmpv6Type.DestinationUnreachable;
  const code = unreachable ? words(nameOf(Unreachable6Code, header.code, "")) : "";
  const tooBig = header.type === Icmpv6Type.PacketTooBig;
  return {
    name: "ICMPv6",
    at,
    length: ICMPV6_HEADER,
    summary: code === "" ? `ICMPv6 ${type}` : `ICMPv6 ${type}: ${code}`,
    fields: [
      field("type", "type", ICMPV6_TYPE, 1, header.type, type),
      field("code", "code", ICMPV6_CODE, 1, header.code, code),
      field("checksum", "checksum", ICMPV6_CHECKSUM, 2, hex(header.checksum, 2)),
      tooBig
        ? field("mtu", "MTU", ICMPV6_REST, 4, header.rest, "the largest packet the next link takes")
        : field("rest", "rest of header", ICMPV6_REST, 4, hex(header.rest, 4)),
    ],
  };
}
