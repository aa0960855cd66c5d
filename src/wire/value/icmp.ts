/** The ICMP header as a value: parse, emit, describe. */
import * as icmp from "../icmp.ts";
import {
  ICMP_CHECKSUM,
  ICMP_CODE,
  ICMP_HEADER,
  ICMP_TYPE,
  IcmpType,
  TimeExceededCode,
  UnreachableCode,
} from "../icmp.ts";
import { fieldsOf, type HeaderDescription, hex, nameOf, words } from "./field.ts";

export interface IcmpHeader {
  readonly type: number;
  readonly code: number;
  /** As on the wire. */
  readonly checksum: number;
  /** The second word: identifier and sequence number, or unused and MTU, by type. u32. */
  readonly rest: number;
}

/** undefined when fewer than ICMP_HEADER bytes lie before `end`. */
export function parse(frame: DataView, at: number, end: number): IcmpHeader | undefined {
  if (at + ICMP_HEADER > end) return undefined;
  return {
    type: icmp.type(frame, at),
    code: icmp.code(frame, at),
    checksum: frame.getUint16(at + ICMP_CHECKSUM),
    rest: icmp.rest(frame, at),
  };
}

/** The inverse of parse, checksum as given. Returns the bytes written. */
export function emit(frame: DataView, at: number, header: IcmpHeader): number {
  frame.setUint8(at + ICMP_TYPE, header.type);
  frame.setUint8(at + ICMP_CODE, header.code);
  frame.setUint16(at + ICMP_CHECKSUM, header.checksum);
  frame.setUint32(at + icmp.ICMP_REST, header.rest);
  return ICMP_HEADER;
}

function codeName({ type, code }: IcmpHeader): string {
  if (type === IcmpType.DestinationUnreachable) return words(nameOf(UnreachableCode, code, ""));
  if (type === IcmpType.TimeExceeded) return words(nameOf(TimeExceededCode, code, ""));
  return "";
}

/** undefined as parse. */
export function describe(frame: DataView, at: number, end: number): HeaderDescription | undefined {
  const header = parse(frame, at, end);
  if (header === undefined) return undefined;
  const field = fieldsOf("icmp", at);
  const type = words(nameOf(IcmpType, header.type, `type ${header.type}`));
  const code = codeName(header);
  const fields = [
    field("type", "type", ICMP_TYPE, 1, header.type, type),
    field("code", "code", ICMP_CODE, 1, header.code, code),
    field("checksum", "checksum", ICMP_CHECKSUM, 2, hex(header.checksum, 2)),
  ];
  if (header.type === IcmpType.EchoRequest || header.type === IcmpType.EchoReply) {
    fields.push(
      field("identifier", "identifier", icmp.ICMP_IDENTIFIER, 2, hex(header.rest >>> 16, 2)),
      field("sequence", "sequence number", icmp.ICMP_SEQUENCE, 2, header.rest & 0xffff),
    );
  } else if (code === "fragmentation needed") {
    const meaning = "the largest packet the next link takes (RFC 1191)";
    fields.push(field("unused", "unused", icmp.ICMP_REST, 2, header.rest >>> 16));
    fields.push(field("mtu", "next-hop MTU", icmp.ICMP_MTU, 2, header.rest & 0xffff, meaning));
  } else fields.push(field("rest", "rest of header", icmp.ICMP_REST, 4, hex(header.rest, 4)));
  const summary = code === "" ? `ICMP ${type}` : `ICMP ${type}: ${code}`;
  return { name: "ICMP", at, length: ICMP_HEADER, summary, fields };
}
