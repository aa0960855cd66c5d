/**
 * TCP (RFC 9293 §3.1). `at` is the header's first byte. The caller has checked the bytes that it reads: ports need
 * 4, everything up to the flags TCP_HEADER.
 */
export const TCP_SOURCE_PORT = 0;
export const TCP_DESTINATION_PORT = 2;
export const TCP_SEQUENCE = 4;
export const TCP_ACKNOWLEDGEMENT = 8;
export const TCP_DATA_OFFSET = 12;
export const TCP_FLAGS_BYTE = 13;
export const TCP_WINDOW = 14;
export const TCP_CHECKSUM = 16;
export const TCP_URGENT = 18;
/** The header without options. */
export const TCP_HEADER = 20;

export const TCP_FLAGS = {
  FIN: 0x01,
  SYN: 0x02,
  RST: 0x04,
  PSH: 0x08,
  ACK: 0x10,
  URG: 0x20,
  ECE: 0x40,
  CWR: 0x80,
} as const;

export function sourcePort(frame: DataView, at: number): number {
  return frame.getUint16(at + TCP_SOURCE_PORT);
}

export function destinationPort(frame: DataView, at: number): number {
  return frame.getUint16(at + TCP_DESTINATION_PORT);
}

export function sequence(frame: DataView, at: number): number {
  return frame.getUint32(at + TCP_SEQUENCE);
}

export function acknowledgement(frame: DataView, at: number): number {
  return frame.getUint32(at + TCP_ACKNOWLEDGEMENT);
}

/** Header length in bytes, 0…60; below TCP_HEADER the header is malformed. */
export function dataOffset(frame: DataView, at: number): number {
  return (frame.getUint8(at + TCP_DATA_OFFSET) >>> 4) << 2;
}

/** The flags byte, to be tested against TCP_FLAGS. */
export function flags(frame: DataView, at: number): number {
  return frame.getUint8(at + TCP_FLAGS_BYTE);
}

export function window(frame: DataView, at: number): number {
  return frame.getUint16(at + TCP_WINDOW);
}
