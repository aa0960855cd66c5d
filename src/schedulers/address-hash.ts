/** The hashes of sh and dh: an address folded to one word, multiplied, its top bits taken. */
import type { Flow } from "./scheduler.ts";

/** Buckets in the tables of sh and dh (CONFIG_IP_VS_SH_TAB_BITS and CONFIG_IP_VS_DH_TAB_BITS, 8). */
export const BUCKETS = 256;

/** The client's (FLOW_CLIENT) or virtual (FLOW_VIRTUAL) address in one word, host order; IPv6: its words' xor. */
export function foldedAddress(flow: Flow, at: number): number {
  const { words } = flow;
  if (flow.family === 4) return words[at + 3]!;
  return words[at]! ^ words[at + 1]! ^ words[at + 2]! ^ words[at + 3]!;
}

/** hash_32(value, 8) of linux/hash.h: GOLDEN_RATIO_32 is 0x61c88647, the negative of 2^32 / golden ratio. */
export function bucketOf(value: number): number {
  return Math.imul(value, 0x61c88647) >>> 24;
}
