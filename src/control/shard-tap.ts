/** The shard's end of a tap: maps the queue that control has made when it is told of it. */
import { QueueTap } from "../dataplane/queue-tap.ts";
import type { Tap } from "../dataplane/tap.ts";
import { mapOpenFile } from "../ring/native.ts";
import { ShardCell } from "../table/region.ts";
import { TapQueue, tapMemory } from "../table/tap.ts";

/** What opens the tap that `word`, ShardCell.Tap's value, stands for. One descriptor is mapped once. */
export function tapOpener(cells: Int32Array): (word: number) => Tap | undefined {
  let known = 0;
  let tap: Tap | undefined;
  return (word) => {
    if (word === 0) return undefined;
    if (word !== known) {
      known = word;
      tap = open(word - 1, cells[ShardCell.TapBytes]!);
    }
    return tap;
  };
}

/** No capture is worth a shard: what cannot be mapped is not shown. */
function open(fd: number, capacity: number): Tap | undefined {
  try {
    return new QueueTap(new TapQueue(mapOpenFile(fd, tapMemory(capacity)), capacity));
  } catch {
    return undefined;
  }
}
