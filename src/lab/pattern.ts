/** The bytes that the lab's servers send: known to both ends, and any piece lost, doubled or moved shows in the hash. */
import { createHash } from "node:crypto";

// A prime length: no shift by a power of two, by a segment size or by a page maps the pattern onto itself.
const LENGTH = 65_521;

const pattern = Buffer.alloc(LENGTH);
for (let i = 0, x = 1; i < LENGTH; i++) {
  x = (Math.imul(x, 1_103_515_245) + 12_345) >>> 0; // the C standard's example generator
  pattern[i] = x >>> 16;
}

/** The first `length` bytes, piece by piece. */
export function* patternBytes(length: number): Generator<Buffer> {
  for (let left = length; left > 0; left -= LENGTH) yield left < LENGTH ? pattern.subarray(0, left) : pattern;
}

/** SHA-256 of the first `length` bytes, as hex. */
export function patternHash(length: number): string {
  const hash = createHash("sha256");
  for (const piece of patternBytes(length)) hash.update(piece);
  return hash.digest("hex");
}
