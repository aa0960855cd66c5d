/**
 * A lock of one word in shared memory, for what all shards must agree on once per new connection: a scheduler's
 * position, the persistence templates. The word holds 0 or the owner's number + 1, so that the control thread can
 * take a dead shard's locks away. Held for well under a microsecond.
 *
 * With a single shard nobody competes and the lock is not taken at all (`Locks.single`).
 */

/** Number the control thread takes locks under; shards use their own number. */
export const CONTROL_OWNER = 0x7ffe;

const SPINS = 2_000;

/** Called after long spinning: lets the holder run when it was preempted (native sched_yield; nothing in tests). */
export type Relax = () => void;

export function lock(words: Int32Array, at: number, owner: number, relax: Relax): void {
  let spins = 0;
  while (Atomics.compareExchange(words, at, 0, owner + 1) !== 0) {
    if (++spins === SPINS) {
      spins = 0;
      relax();
    }
  }
}

export function unlock(words: Int32Array, at: number): void {
  Atomics.store(words, at, 0);
}

/** Opens every lock in `words` that `owner` (a thread that is gone) held; returns how many there were. */
export function breakLocks(words: Int32Array, owner: number): number {
  let broken = 0;
  for (let at = 0; at < words.length; at++) {
    if (Atomics.compareExchange(words, at, owner + 1, 0) === owner + 1) broken++;
  }
  return broken;
}
