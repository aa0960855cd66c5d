/**
 * The frames handled between two looks at the ring, as parallel columns: frame `i` of the burst begins at
 * byte `at[i]` of the ring's memory and is `length[i]` bytes long. The ring fills these two; the other
 * columns belong to the data path (src/dataplane), which fills them stage by stage.
 */
export interface Burst {
  readonly capacity: number;
  /** How many frames the burst holds now; rows from here on are stale. */
  count: number;
  /** Byte offset of the frame's first MAC byte in `Ring.bytes`. */
  readonly at: Int32Array;
  /** Bytes of the frame, from the destination MAC on, without FCS. */
  readonly length: Int32Array;
}

/** The most frames one look at a ring takes; measured in bench/, see docs/decisions. */
export const BURST = 64;

export function createBurst(capacity: number = BURST): Burst {
  return { capacity, count: 0, at: new Int32Array(capacity), length: new Int32Array(capacity) };
}
