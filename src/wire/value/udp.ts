/** The UDP header as a value: parse, emit, describe. */
import * as udp from "../udp.ts";
import { UDP_CHECKSUM, UDP_DESTINATION_PORT, UDP_HEADER, UDP_LENGTH, UDP_SOURCE_PORT } from "../udp.ts";
import { fieldsOf, type HeaderDescription, hex } from "./field.ts";

export interface UdpHeader {
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** Bytes of header and data. */
  readonly length: number;
  /** As on the wire; 0 means that the sender computed none (IPv4 only). */
  readonly checksum: number;
}

/** undefined when fewer than UDP_HEADER bytes lie before `end`. */
export function parse(frame: DataView, at: number, end: number): UdpHeader | undefined {
  if (at + UDP_HEADER > end) return undefined;
  return {
    sourcePort: udp.sourcePort(frame, at),
    destinationPort: udp.destinationPort(frame, at),
    length: udp.length(frame, at),
    checksum: udp.checksum(frame, at),
  };
}

/** The inverse of parse, checksum as given. Returns the bytes written. */
export function emit(frame: DataView, at: number, header: UdpHeader): number {
  frame.setUint16(at + UDP_SOURCE_PORT, header.sourcePort);
  frame.setUint16(at + UDP_DESTINATION_PORT, header.destinationPort);
  frame.setUint16(at + UDP_LENGTH, header.length);
  frame.setUint16(at + UDP_CHECKSUM, header.checksum);
  return UDP_HEADER;
}

/** undefined as parse. */
export function describe(frame: DataView, at: number, end: number): HeaderDescription | undefined {
  const header = parse(frame, at, end);
  if (header === undefined) return undefined;
  const field = fieldsOf("udp", at);
  const none = header.checksum === 0 ? "the sender computed none" : "over pseudo-header and data";
  return {
    name: "UDP",
    at,
    length: UDP_HEADER,
    summary: `UDP ${header.sourcePort} → ${header.destinationPort}, ${header.length - UDP_HEADER} bytes of data`,
    fields: [
      field("sourcePort", "source port", UDP_SOURCE_PORT, 2, header.sourcePort),
      field("destinationPort", "destination port", UDP_DESTINATION_PORT, 2, header.destinationPort),
      field("length", "length", UDP_LENGTH, 2, header.length, "header and data in bytes"),
      field("checksum", "checksum", UDP_CHECKSUM, 2, hex(header.checksum, 2), none),
    ],
  };
}
