/** UDP (RFC 768). `at` is the header's first byte; the caller has checked that UDP_HEADER bytes are there. */
export const UDP_SOURCE_PORT = 0;
export const UDP_DESTINATION_PORT = 2;
export const UDP_LENGTH = 4;
export const UDP_CHECKSUM = 6;
export const UDP_HEADER = 8;

export function sourcePort(frame: DataView, at: number): number {
  return frame.getUint16(at + UDP_SOURCE_PORT);
}

export function destinationPort(frame: DataView, at: number): number {
  return frame.getUint16(at + UDP_DESTINATION_PORT);
}

/** 0 when the sender computed none. */
export function checksum(frame: DataView, at: number): number {
  return frame.getUint16(at + UDP_CHECKSUM);
}

/** Bytes of header and data. */
export function length(frame: DataView, at: number): number {
  return frame.getUint16(at + UDP_LENGTH);
}
