/**
 * SCTP (RFC 9260): a common header of twelve bytes, then chunks, each with type, flags and length. `at` is the common
 * header's first byte, `end` the first byte behind the packet.
 */
export const SCTP_HEADER = 12;
export const SCTP_CHUNK_HEADER = 4;
const CHUNK_LENGTH = 2;

/** RFC 9260 §3.2. */
export const Chunk = {
  Data: 0,
  Init: 1,
  InitAck: 2,
  Sack: 3,
  Heartbeat: 4,
  HeartbeatAck: 5,
  Abort: 6,
  Shutdown: 7,
  ShutdownAck: 8,
  Error: 9,
  CookieEcho: 10,
  CookieAck: 11,
  ShutdownComplete: 14,
} as const;

/** There is no whole chunk header. */
export const NO_CHUNK = -1;

/** Type of the first chunk, or NO_CHUNK. */
export function firstChunk(frame: DataView, at: number, end: number): number {
  return typeAt(frame, at + SCTP_HEADER, end);
}

/**
 * The chunk that tells where the association stands: the first one, but for an ABORT behind a COOKIE ECHO or COOKIE
 * ACK. INIT, INIT ACK and SHUTDOWN COMPLETE are always alone, and control chunks stand before an ABORT (§3, §3.3.7).
 */
export function tellingChunk(frame: DataView, at: number, end: number): number {
  const first = firstChunk(frame, at, end);
  if (first !== Chunk.CookieEcho && first !== Chunk.CookieAck) return first;
  const length = frame.getUint16(at + SCTP_HEADER + CHUNK_LENGTH);
  if (length < SCTP_CHUNK_HEADER) return first;
  const second = typeAt(frame, at + SCTP_HEADER + ((length + 3) & ~3), end);
  return second === Chunk.Abort ? second : first;
}

function typeAt(frame: DataView, at: number, end: number): number {
  return at + SCTP_CHUNK_HEADER > end ? NO_CHUNK : frame.getUint8(at);
}
