/**
 * The columns of a burst that the data path fills, stage by stage: what classify reads from the wire, what connect
 * and schedule decide. Row `i` belongs to frame `i` of the burst; nothing here outlives the turn.
 */
import { type Burst, createBurst } from "../ring/burst.ts";

/** What sort of frame it is, that is: which way it takes through the data path. */
export const FrameKind = {
  /** Its verdict is known already. */
  Done: 0,
  /** TCP, UDP or SCTP over IPv4, whole: the way of nearly every frame. */
  Flow4: 1,
  Flow6: 2,
  /** A piece of a datagram, IPv4 or IPv6. */
  Fragment: 3,
  Icmp4: 4,
  Icmp6: 5,
} as const;

/** In `tcpFlags`: the frame ends before its TCP flags. */
export const NO_FLAGS = 0xff;

/** All columns are of 32 bits: Node's Buffer unsettles V8's Uint8Array, which then costs a check with each access. */
export interface Frames {
  readonly burst: Burst;
  readonly kind: Int32Array;
  readonly verdict: Int32Array;
  /** Offset of the IP header in the ring's memory. */
  readonly ip: Int32Array;
  /** Offset of the transport header. */
  readonly transport: Int32Array;
  /** Length of the IP packet, without Ethernet's padding: what IPVS counts as bytes. */
  readonly bytes: Int32Array;
  /** IP protocol | FAMILY6, as in a connection's C_KIND. */
  readonly flowKind: Int32Array;
  readonly tcpFlags: Int32Array;
  /** IPv4 addresses; of IPv6 their fold. */
  readonly client: Int32Array;
  readonly virtual: Int32Array;
  /** Client port << 16 | virtual port. */
  readonly ports: Int32Array;
  /** IPv6 addresses: client and virtual, eight words a row. */
  readonly words: Int32Array;
  /** Of a fragment: its datagram's identification, and where it stands in it (bytes). */
  readonly fragmentId: Int32Array;
  readonly fragmentOffset: Int32Array;
  readonly hash: Uint32Array;
  /** Head of its bucket when the burst was looked up, row + 1. */
  readonly head: Int32Array;
  /** Connection found, or -1. */
  readonly row: Int32Array;
  /** Destination chosen; valid when the verdict is Forwarded. */
  readonly destination: Int32Array;
}

export function createFrames(capacity?: number): Frames {
  const burst = capacity === undefined ? createBurst() : createBurst(capacity);
  const n = burst.capacity;
  return {
    burst,
    kind: new Int32Array(n),
    verdict: new Int32Array(n),
    ip: new Int32Array(n),
    transport: new Int32Array(n),
    bytes: new Int32Array(n),
    flowKind: new Int32Array(n),
    tcpFlags: new Int32Array(n),
    client: new Int32Array(n),
    virtual: new Int32Array(n),
    ports: new Int32Array(n),
    words: new Int32Array(n * 8),
    fragmentId: new Int32Array(n),
    fragmentOffset: new Int32Array(n),
    hash: new Uint32Array(n),
    head: new Int32Array(n),
    row: new Int32Array(n),
    destination: new Int32Array(n),
  };
}
