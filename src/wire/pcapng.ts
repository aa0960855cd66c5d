/**
 * Reading pcapng (draft-ietf-opsawg-pcapng): sections, each in its own byte order and with its own interfaces,
 * made of blocks. Enhanced, simple and the obsolete packet blocks give packets; every other block is skipped, as
 * the draft asks of readers. Writing is in pcapng-writer.ts.
 */
import {
  type CapturedPacket,
  CaptureError,
  type CaptureInterface,
  type Decoder,
  type Direction,
  RECORD_MAXIMUM,
  type Step,
} from "./capture.ts";

export const BlockType = {
  SectionHeader: 0x0a0d0d0a,
  InterfaceDescription: 1,
  /** Obsolete, still found in old files. */
  Packet: 2,
  SimplePacket: 3,
  InterfaceStatistics: 5,
  EnhancedPacket: 6,
} as const;

export const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
/** Type, total length before and after the body. */
export const BLOCK_OVERHEAD = 12;

export const Option = {
  End: 0,
  Comment: 1,
  InterfaceName: 2,
  TimestampResolution: 9,
  TimestampOffset: 14,
  PacketFlags: 2,
  UserApplication: 4,
  ReceivedPackets: 4,
  DroppedPackets: 5,
} as const;

/** A block larger than this is damage: packets have at most RECORD_MAXIMUM bytes, options 64 KiB each. */
const BLOCK_MAXIMUM = 16 * RECORD_MAXIMUM;
const BILLION = 1_000_000_000n;

interface Source extends CaptureInterface {
  /** Ticks in a second. */
  readonly resolution: bigint;
  /** Seconds to add to every timestamp. */
  readonly offset: bigint;
}

/** Whether a file that begins with these 32 bits is pcapng: the block type reads the same in both orders. */
export function isPcapng(magic: number): boolean {
  return magic === BlockType.SectionHeader;
}

/** Calls `take` for each option between `at` and `end`; stops silently where they no longer make sense. */
function eachOption(
  view: DataView,
  at: number,
  end: number,
  little: boolean,
  take: (code: number, at: number, length: number) => void,
): void {
  while (at + 4 <= end) {
    const code = view.getUint16(at, little);
    const length = view.getUint16(at + 2, little);
    if (code === Option.End || at + 4 + length > end) return;
    take(code, at + 4, length);
    at += 4 + ((length + 3) & ~3);
  }
}

function text(view: DataView, at: number, length: number): string {
  return new TextDecoder().decode(new Uint8Array(view.buffer, view.byteOffset + at, length));
}

/** if_tsresol: a negative power of ten, or of two when the high bit is set. */
function ticksPerSecond(value: number): bigint {
  return (value & 0x80) !== 0 ? 2n ** BigInt(value & 0x7f) : 10n ** BigInt(value);
}

function readInterface(view: DataView, end: number, little: boolean): Source {
  let name = "";
  let resolution = 1_000_000n;
  let offset = 0n;
  eachOption(view, 16, end, little, (code, at, length) => {
    if (code === Option.InterfaceName) name = text(view, at, length);
    if (code === Option.TimestampResolution && length >= 1) resolution = ticksPerSecond(view.getUint8(at));
    if (code === Option.TimestampOffset && length >= 8) offset = view.getBigInt64(at, little);
  });
  return {
    name,
    linkType: view.getUint16(8, little),
    snapLength: view.getUint32(12, little),
    resolution,
    offset,
  };
}

function directionOf(flags: number): Direction {
  if ((flags & 3) === 1) return "inbound";
  return (flags & 3) === 2 ? "outbound" : "unknown";
}

function timeOf(view: DataView, at: number, little: boolean, source: Source) {
  const ticks = (BigInt(view.getUint32(at, little)) << 32n) | BigInt(view.getUint32(at + 4, little));
  const seconds = Number(ticks / source.resolution + source.offset);
  const nanoseconds = Number(((ticks % source.resolution) * BILLION) / source.resolution);
  return { seconds, nanoseconds };
}

/** Where the pieces of a packet block stand; the three kinds differ in nothing else. */
interface PacketLayout {
  readonly interface: number;
  readonly timestampAt: number;
  readonly captured: number;
  readonly originalLength: number;
  readonly dataAt: number;
}

/** Whether a block type holds a packet. */
function isPacketBlock(type: number): boolean {
  return type === BlockType.EnhancedPacket || type === BlockType.SimplePacket || type === BlockType.Packet;
}

interface PacketNotes {
  readonly comments: readonly string[];
  readonly direction: Direction;
}

function readNotes(view: DataView, at: number, little: boolean): PacketNotes {
  const comments: string[] = [];
  let direction: Direction = "unknown";
  eachOption(view, at, view.byteLength - 4, little, (code, optionAt, length) => {
    if (code === Option.Comment) comments.push(text(view, optionAt, length));
    if (code === Option.PacketFlags && length >= 4) direction = directionOf(view.getUint32(optionAt, little));
  });
  return { comments, direction };
}

export class PcapngDecoder implements Decoder {
  readonly format = "pcapng";
  readonly interfaces: Source[] = [];
  private little = true;
  private sections = 0;
  /** The section's first interface in `interfaces`. */
  private sectionStart = 0;
  private time = { seconds: 0, nanoseconds: 0 };

  step(bytes: Uint8Array, at: number): Step {
    const rest = new DataView(bytes.buffer, bytes.byteOffset + at, bytes.length - at);
    if (rest.byteLength < BLOCK_OVERHEAD) return { used: 0 };
    const type = rest.getUint32(0, this.little);
    if (type === BlockType.SectionHeader && !this.setByteOrder(rest))
      return this.broken("a section without byte-order magic");
    const total = rest.getUint32(4, this.little);
    if (total < BLOCK_OVERHEAD || total > BLOCK_MAXIMUM || total % 4 !== 0)
      return this.broken(`a block claims ${total} bytes`);
    if (rest.byteLength < total) return { used: 0 };
    const block = new DataView(rest.buffer, rest.byteOffset, total);
    if (block.getUint32(total - 4, this.little) !== total) return this.broken("a block's two lengths differ");
    if (type === BlockType.SectionHeader) return this.readSection(block);
    if (type === BlockType.InterfaceDescription) return this.readInterface(block);
    return isPacketBlock(type) ? this.readPacket(block, bytes, at, type) : { used: total };
  }

  /** At the file's beginning damage means that it is no capture; later it only ends what can be read. */
  private broken(damage: string): Step {
    if (this.sections === 0) throw new CaptureError("unsupported", damage);
    return { used: 0, damage };
  }

  /** A section header says by its magic in which order its own length is to be read. */
  private setByteOrder(view: DataView): boolean {
    if (view.getUint32(8, true) === BYTE_ORDER_MAGIC) this.little = true;
    else if (view.getUint32(8, false) === BYTE_ORDER_MAGIC) this.little = false;
    else return false;
    return true;
  }

  private readSection(view: DataView): Step {
    if (view.byteLength < 28) return this.broken("a section header is too short");
    const major = view.getUint16(12, this.little);
    if (major !== 1) return this.broken(`pcapng version ${major}; only 1 is known`);
    this.sectionStart = this.interfaces.length;
    this.sections++;
    return { used: view.byteLength };
  }

  private readInterface(view: DataView): Step {
    if (view.byteLength < 20) return this.broken("an interface block is too short");
    this.interfaces.push(readInterface(view, view.byteLength - 4, this.little));
    return { used: view.byteLength };
  }

  private readPacket(view: DataView, bytes: Uint8Array, at: number, type: number): Step {
    const used = view.byteLength;
    const simple = type === BlockType.SimplePacket;
    if (used < (simple ? 16 : 32)) return this.broken("a packet block is too short");
    const where = this.layout(view, type);
    const source = this.interfaces[this.sectionStart + where.interface];
    if (source === undefined) return this.broken(`a packet of undeclared interface ${where.interface}`);
    if (where.captured > RECORD_MAXIMUM || where.dataAt + where.captured > used - 4)
      return this.broken(`a packet claims ${where.captured} bytes`);
    const optionsAt = where.dataAt + ((where.captured + 3) & ~3);
    // A simple packet block has no time: it gets that of the packet before it, which keeps the order.
    if (!simple) this.time = timeOf(view, where.timestampAt, this.little, source);
    const packet: CapturedPacket = {
      interface: this.sectionStart + where.interface,
      ...this.time,
      originalLength: where.originalLength,
      bytes: bytes.subarray(at + where.dataAt, at + where.dataAt + where.captured),
      ...readNotes(view, simple ? used : optionsAt, this.little),
    };
    return { used, packet };
  }

  private layout(view: DataView, type: number): PacketLayout {
    const u32 = (at: number): number => view.getUint32(at, this.little);
    if (type === BlockType.SimplePacket) {
      const originalLength = u32(8);
      const limit = this.interfaces[this.sectionStart]?.snapLength || originalLength;
      const captured = Math.min(originalLength, limit, view.byteLength - BLOCK_OVERHEAD - 4);
      return { interface: 0, timestampAt: 0, captured, originalLength, dataAt: 12 };
    }
    const id = type === BlockType.EnhancedPacket ? u32(8) : view.getUint16(8, this.little);
    return { interface: id, timestampAt: 12, captured: u32(20), originalLength: u32(24), dataAt: 28 };
  }
}
