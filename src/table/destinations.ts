/**
 * Destinations: real servers as entries of one virtual service. Written by the control thread alone, except
 * `overload`, which the shards set and clear as connections come and go (ip_vs_bind_dest, ip_vs_unbind_dest).
 *
 * A deleted destination keeps its row while connections refer to it (`Life.Trash`) and comes back with its counts
 * when the same real server is added to the same service again, as in the kernel (IPVS-FACTS 4).
 */
import type { Columns } from "./columns.ts";

export const Life = { Free: 0, Live: 1, Trash: 2 } as const;

/** Forwarding methods, numbered as in linux/ip_vs.h (IP_VS_CONN_F_FWD_MASK). */
export const Method = { Masquerade: 0, LocalNode: 1, Tunnel: 2, Route: 3 } as const;

export interface Destinations {
  readonly capacity: number;
  readonly life: Int32Array;
  /** Its service's row; NONE once that service has been deleted. */
  readonly service: Int32Array;
  /** Four words a row, IPv4 as 0, 0, 0xffff, address. */
  readonly address: Uint32Array;
  readonly port: Int32Array;
  readonly method: Int32Array;
  readonly weight: Int32Array;
  /** The last weight that was not zero: mh's table is built with it (IPVS-FACTS 14). */
  readonly lastWeight: Int32Array;
  /** Thresholds -x and -y; 0 means none. */
  readonly upper: Int32Array;
  readonly lower: Int32Array;
  /** 1 when overloaded: no new connections. */
  readonly overload: Int32Array;
  /** Next destination of the service's list, newest first; NONE at its end. */
  readonly next: Int32Array;
  /** Row in the neighbour table. */
  readonly neighbour: Int32Array;
  /** Persistence templates that point here; written under the templates' lock. */
  readonly persistent: Int32Array;
  /** Its service's key, by which it is found in the trash: protocol, port, mark, then the address's four words. */
  readonly key: Uint32Array;
  /** When the control thread first saw it in the trash without connections, in ms; 0 when it has some. */
  readonly idle: Float64Array;
  /** Counters at the last --zero: connections, packets, bytes a row. */
  readonly zero: Float64Array;
}

/** Words a row in `Destinations.key`. */
export const KEY_WORDS = 7;

export function layDestinations(columns: Columns, capacity: number): Destinations {
  return {
    capacity,
    life: columns.int32(capacity),
    service: columns.int32(capacity),
    address: columns.uint32(capacity * 4),
    port: columns.int32(capacity),
    method: columns.int32(capacity),
    weight: columns.int32(capacity),
    lastWeight: columns.int32(capacity),
    upper: columns.int32(capacity),
    lower: columns.int32(capacity),
    overload: columns.int32(capacity),
    next: columns.int32(capacity),
    neighbour: columns.int32(capacity),
    persistent: columns.int32(capacity),
    key: columns.uint32(capacity * KEY_WORDS),
    idle: columns.float64(capacity),
    zero: columns.float64(capacity * 3),
  };
}
