/**
 * SipHash-1-3 of one 32-bit word: one round for the word, three to finish (Aumasson and Bernstein, "SipHash: a fast
 * short-input PRF", 2012). The kernel's hsiphash is this on 64-bit machines. A 64-bit word is a pair of int32 here:
 * BigInt would allocate with each step.
 */

/** Four 64-bit words: high half, low half. */
const state = new Int32Array(8);
const V0 = 0;
const V1 = 2;
const V2 = 4;
const V3 = 6;

/** state[a] += state[b] */
function add(a: number, b: number): void {
  const low = (state[a + 1]! >>> 0) + (state[b + 1]! >>> 0);
  state[a + 1] = low;
  state[a] = state[a]! + state[b]! + (low > 0xffff_ffff ? 1 : 0);
}

/** state[a] = (state[a] rotated left by `bits`, below 32) ^ state[b] */
function rotateXor(a: number, bits: number, b: number): void {
  const high = state[a]!;
  const low = state[a + 1]!;
  state[a] = ((high << bits) | (low >>> (32 - bits))) ^ state[b]!;
  state[a + 1] = ((low << bits) | (high >>> (32 - bits))) ^ state[b + 1]!;
}

/** Rotated by 32, a word's halves change places. */
function swap(a: number): void {
  const high = state[a]!;
  state[a] = state[a + 1]!;
  state[a + 1] = high;
}

function round(): void {
  add(V0, V1);
  rotateXor(V1, 13, V0);
  swap(V0);
  add(V2, V3);
  rotateXor(V3, 16, V2);
  add(V0, V3);
  rotateXor(V3, 21, V0);
  add(V2, V1);
  rotateXor(V1, 17, V2);
  swap(V2);
}

/**
 * @param key  u32, both halves of the 128-bit key are this number
 * @param word u32, hashed as its four bytes in little-endian order
 * @returns the low 32 bits, u32
 */
export function halfSipHash(key: number, word: number): number {
  // "somepseudorandomlygeneratedbytes", xor the key.
  state[V0] = 0x736f6d65;
  state[V0 + 1] = 0x70736575 ^ key;
  state[V1] = 0x646f7261;
  state[V1 + 1] = 0x6e646f6d ^ key;
  state[V2] = 0x6c796765;
  state[V2 + 1] = 0x6e657261 ^ key;
  state[V3] = 0x74656462;
  state[V3 + 1] = 0x79746573 ^ key;
  // The last block: the message's length in the top byte, its bytes below.
  const top = 4 << 24;
  state[V3]! ^= top;
  state[V3 + 1]! ^= word;
  round();
  state[V0]! ^= top;
  state[V0 + 1]! ^= word;
  state[V2 + 1]! ^= 0xff;
  round();
  round();
  round();
  return (state[V0 + 1]! ^ state[V1 + 1]! ^ state[V2 + 1]! ^ state[V3 + 1]!) >>> 0;
}
