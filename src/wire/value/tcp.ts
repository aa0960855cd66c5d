/** The TCP header as a value: parse, emit, describe. */
import * as tcp from "../tcp.ts";
import {
  TCP_ACKNOWLEDGEMENT,
  TCP_CHECKSUM,
  TCP_DATA_OFFSET,
  TCP_DESTINATION_PORT,
  TCP_FLAGS,
  TCP_FLAGS_BYTE,
  TCP_HEADER,
  TCP_SEQUENCE,
  TCP_SOURCE_PORT,
  TCP_URGENT,
  TCP_WINDOW,
} from "../tcp.ts";
import { copyOf, fieldsOf, type HeaderDescription, hex, hexBytes, put } from "./field.ts";
import { optionsText } from "./tcp-options.ts";

export interface TcpHeader {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence: number;
  readonly acknowledgement: number;
  /** The four bits beside the data offset, zero today (RFC 9293 §3.1). */
  readonly reserved: number;
  /** TCP_FLAGS or'ed together. */
  readonly flags: number;
  readonly window: number;
  readonly checksum: number;
  readonly urgent: number;
  /** 0…40 bytes, a multiple of four. */
  readonly options: Uint8Array;
}

/** undefined when the header does not end before `end`. */
export function parse(frame: DataView, at: number, end: number): TcpHeader | undefined {
  if (at + TCP_HEADER > end) return undefined;
  const length = tcp.dataOffset(frame, at);
  if (length < TCP_HEADER || at + length > end) return undefined;
  return {
    sourcePort: tcp.sourcePort(frame, at),
    destinationPort: tcp.destinationPort(frame, at),
    sequence: tcp.sequence(frame, at),
    acknowledgement: tcp.acknowledgement(frame, at),
    reserved: frame.getUint8(at + TCP_DATA_OFFSET) & 0x0f,
    flags: tcp.flags(frame, at),
    window: tcp.window(frame, at),
    checksum: frame.getUint16(at + TCP_CHECKSUM),
    urgent: frame.getUint16(at + TCP_URGENT),
    options: copyOf(frame, at + TCP_HEADER, length - TCP_HEADER),
  };
}

/** The inverse of parse, checksum as given. Returns the bytes written. */
export function emit(frame: DataView, at: number, header: TcpHeader): number {
  const length = TCP_HEADER + header.options.length;
  frame.setUint16(at + TCP_SOURCE_PORT, header.sourcePort);
  frame.setUint16(at + TCP_DESTINATION_PORT, header.destinationPort);
  frame.setUint32(at + TCP_SEQUENCE, header.sequence);
  frame.setUint32(at + TCP_ACKNOWLEDGEMENT, header.acknowledgement);
  frame.setUint8(at + TCP_DATA_OFFSET, (length << 2) | header.reserved);
  frame.setUint8(at + TCP_FLAGS_BYTE, header.flags);
  frame.setUint16(at + TCP_WINDOW, header.window);
  frame.setUint16(at + TCP_CHECKSUM, header.checksum);
  frame.setUint16(at + TCP_URGENT, header.urgent);
  put(frame, at + TCP_HEADER, header.options);
  return length;
}

/** "SYN+ACK", or "none". */
export function flagNames(flags: number): string {
  const names = Object.entries(TCP_FLAGS).filter(([, bit]) => (flags & bit) !== 0);
  return names.length === 0 ? "none" : names.map(([name]) => name).join("+");
}

function flagMeaning(flags: number): string {
  if ((flags & TCP_FLAGS.RST) !== 0) return "ends the connection at once";
  if ((flags & TCP_FLAGS.SYN) !== 0)
    return (flags & TCP_FLAGS.ACK) !== 0 ? "accepts a connection" : "asks for a new connection";
  if ((flags & TCP_FLAGS.FIN) !== 0) return "the sender has nothing more to send";
  return (flags & TCP_FLAGS.ACK) !== 0 ? "belongs to a connection" : "no such packet in a proper connection";
}

/** undefined as parse. */
export function describe(frame: DataView, at: number, end: number): HeaderDescription | undefined {
  const header = parse(frame, at, end);
  if (header === undefined) return undefined;
  const length = TCP_HEADER + header.options.length;
  const field = fieldsOf("tcp", at);
  const flags = flagNames(header.flags);
  const acknowledged = (header.flags & TCP_FLAGS.ACK) !== 0 ? "next byte expected" : "not in use without ACK";
  const urgent = (header.flags & TCP_FLAGS.URG) !== 0 ? "" : "not in use without URG";
  const fields = [
    field("sourcePort", "source port", TCP_SOURCE_PORT, 2, header.sourcePort),
    field("destinationPort", "destination port", TCP_DESTINATION_PORT, 2, header.destinationPort),
    field("sequence", "sequence number", TCP_SEQUENCE, 4, header.sequence),
    field("acknowledgement", "acknowledgement", TCP_ACKNOWLEDGEMENT, 4, header.acknowledgement, acknowledged),
    field("dataOffset", "data offset", TCP_DATA_OFFSET, 1, length / 4, `header of ${length} bytes`, [0, 4]),
    field("reserved", "reserved", TCP_DATA_OFFSET, 1, header.reserved, "", [4, 4]),
    field("flags", "flags", TCP_FLAGS_BYTE, 1, flags, flagMeaning(header.flags)),
    field("window", "window", TCP_WINDOW, 2, header.window, "bytes the sender will take, before scaling"),
    field("checksum", "checksum", TCP_CHECKSUM, 2, hex(header.checksum, 2), "over pseudo-header and data"),
    field("urgent", "urgent pointer", TCP_URGENT, 2, header.urgent, urgent),
  ];
  if (length > TCP_HEADER) {
    const options = hexBytes(frame, at + TCP_HEADER, length - TCP_HEADER);
    const words = optionsText(header.options);
    fields.push(field("options", "options", TCP_HEADER, length - TCP_HEADER, options, words));
  }
  const summary = `TCP ${header.sourcePort} → ${header.destinationPort}, ${flags}, sequence ${header.sequence}`;
  return { name: "TCP", at, length, summary, fields };
}
