/**
 * The director's place in its network, as the data path needs to know it: VIPs that the director itself owns (it
 * answers their echo requests) and the MACs of peer directors (their frames are never forwarded again). Written by
 * the control thread; short lists that shards copy when the generation moves.
 */
import type { Columns } from "./columns.ts";

export const MAX_OWN_VIPS = 1024;
export const MAX_PEERS = 64;

export interface Place {
  /** [0] how many VIPs are owned now, [1] how many peers there are. */
  readonly counts: Int32Array;
  /** Four words each, IPv4 as 0, 0, 0xffff, address. */
  readonly vips: Uint32Array;
  /** Two words each: first two bytes of the MAC, last four. */
  readonly peers: Uint32Array;
}
export const PLACE_VIPS = 0;
export const PLACE_PEERS = 1;

export function layPlace(columns: Columns): Place {
  return {
    counts: columns.int32(16),
    vips: columns.uint32(MAX_OWN_VIPS * 4),
    peers: columns.uint32(MAX_PEERS * 2),
  };
}
