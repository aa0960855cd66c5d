/**
 * How shards learn of changes: one word that control makes odd while it writes and even when it is done (a seqlock).
 * A shard reads it once per burst; when it has moved and is even, the shard copies what changed and checks that the
 * word stood still meanwhile. So it never acts on half a change, and it never waits.
 */
export function beginChange(words: Int32Array, at: number): void {
  Atomics.add(words, at, 1);
}

export function endChange(words: Int32Array, at: number): void {
  Atomics.add(words, at, 1);
}

export function generation(words: Int32Array, at: number): number {
  return Atomics.load(words, at);
}

export function isChanging(generation: number): boolean {
  return (generation & 1) === 1;
}
