/** What a connection takes of memory: no measurement but the layout itself (src/table/region.ts). */
import { DEFAULT_SIZES, regionBytes } from "../src/table/region.ts";
import { type Effort, NOTHING, type Section } from "./section.ts";

const ROOM = [65_536, 262_144, 1_048_576, 5_242_880];

/** Bytes of a region with room for so many connections, beyond one with room for one. */
export function connectionBytes(connections: number): number {
  const bytes = (n: number) => regionBytes({ ...DEFAULT_SIZES, connections: n });
  return bytes(connections) - bytes(1);
}

export async function memorySection(_: Effort): Promise<Section> {
  return {
    ...NOTHING,
    tables: [
      {
        name: "memory",
        title: "Memory of connections",
        note: "The state file's part for connections, one shard. It is reserved when the director starts and does not grow; a row is 64 bytes, four buckets a row 16 to 32, the rest are columns that few frames touch.",
        columns: ["room for connections", "MiB", "bytes each"],
        rows: ROOM.map((room) => {
          const bytes = connectionBytes(room);
          return [room.toLocaleString("en-US"), (bytes / 2 ** 20).toFixed(1), (bytes / room).toFixed(0)];
        }),
      },
    ],
  };
}
