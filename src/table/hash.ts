/**
 * The flow hash: which bucket of the connection table, and which shard, a flow belongs to. Only 32-bit multiply,
 * xor, add and shift, because the same sum is done by the fanout's classic BPF program in the kernel
 * (wire/cbpf.ts) to bring a frame to its shard. The seed is drawn once per region, so that nobody outside can
 * choose colliding flows.
 */
const FIRST = 0x85ebca6b;
const SECOND = 0xc2b2ae35;
const THIRD = 0x9e3779b1;
export const HASH_MULTIPLIERS = [FIRST, SECOND, THIRD] as const;

/**
 * @param seed    the region's secret, u32
 * @param client  client's IPv4 address, u32 (an IPv6 address is first folded by `foldAddress`)
 * @param virtual virtual address, likewise
 * @param ports   client port << 16 | virtual port: the four bytes as they stand in a TCP or UDP header
 * @returns u32
 */
export function flowHash(seed: number, client: number, virtual: number, ports: number): number {
  let hash = Math.imul(client ^ seed, FIRST);
  hash ^= hash >>> 15;
  hash = Math.imul(hash ^ ports, SECOND);
  hash ^= hash >>> 13;
  hash = Math.imul((hash + virtual) | 0, THIRD);
  hash ^= hash >>> 16;
  return hash >>> 0;
}

/** Folds an address of four words (IPv6) into one for `flowHash`; an IPv4 address is its own fold. */
export function foldAddress(w0: number, w1: number, w2: number, w3: number): number {
  let hash = Math.imul(w0 ^ 0x27d4eb2f, FIRST);
  hash = Math.imul(hash ^ (hash >>> 15) ^ w1, SECOND);
  hash = Math.imul(hash ^ (hash >>> 13) ^ w2, THIRD);
  return (hash ^ (hash >>> 16) ^ w3) >>> 0;
}

/** The shard a flow lives in: the kernel's fanout takes the same remainder of the same hash. */
export function shardOf(hash: number, shards: number): number {
  return hash % shards;
}
