/** A pcapng stream cut into its blocks, which are passed on as they are. Little-endian, as our own are. */
import { BLOCK_OVERHEAD, BlockType, Option } from "./pcapng.ts";

/** Larger than any block of ours. */
const MOST = 1 << 20;

export class BlockSplitter {
  #rest = new Uint8Array(0);

  /** The whole blocks that are there now. Throws RangeError for what is no pcapng. */
  push(chunk: Uint8Array): Uint8Array[] {
    const bytes = new Uint8Array(this.#rest.length + chunk.length);
    bytes.set(this.#rest);
    bytes.set(chunk, this.#rest.length);
    const view = new DataView(bytes.buffer);
    const blocks: Uint8Array[] = [];
    let at = 0;
    while (at + 8 <= bytes.length) {
      const length = view.getUint32(at + 4, true);
      if (length < BLOCK_OVERHEAD || length > MOST || length % 4 !== 0)
        throw new RangeError(`a block of ${length} bytes`);
      if (at + length > bytes.length) break;
      blocks.push(bytes.subarray(at, at + length));
      at += length;
    }
    this.#rest = bytes.slice(at);
    return blocks;
  }
}

export function blockType(block: Uint8Array): number {
  return new DataView(block.buffer, block.byteOffset, block.length).getUint32(0, true);
}

/** Of an interface statistics block how many packets the file misses; undefined when it does not say. */
export function droppedPackets(block: Uint8Array): number | undefined {
  const view = new DataView(block.buffer, block.byteOffset, block.length);
  if (view.getUint32(0, true) !== BlockType.InterfaceStatistics) return undefined;
  for (let at = 20; at + 4 <= block.length - 4; ) {
    const code = view.getUint16(at, true);
    const length = view.getUint16(at + 2, true);
    if (code === Option.End) return undefined;
    if (code === Option.DroppedPackets && length === 8) return Number(view.getBigUint64(at + 4, true));
    at += 4 + ((length + 3) & ~3);
  }
  return undefined;
}
