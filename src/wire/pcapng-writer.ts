/**
 * Writing pcapng (draft-ietf-opsawg-pcapng): little-endian, timestamps in nanoseconds, comments on packets, named
 * interfaces. Each function returns one block; the same arguments always give the same bytes.
 */
import { type CapturedPacket, type Direction, LINKTYPE_ETHERNET } from "./capture.ts";
import { BLOCK_OVERHEAD, BlockType, BYTE_ORDER_MAGIC, Option } from "./pcapng.ts";

const LITTLE = true;
const OPTION_MAXIMUM = 0xffff;
const NANOSECONDS = 9; // if_tsresol: 10^-9
const FLAGS: Readonly<Record<Direction, number>> = { unknown: 0, inbound: 1, outbound: 2 };

interface WriterOption {
  readonly code: number;
  readonly value: Uint8Array;
}

function padded(length: number): number {
  return (length + 3) & ~3;
}

/** UTF-8 of the text, cut between characters where an option could not hold it. */
function utf8(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  let end = Math.min(bytes.length, OPTION_MAXIMUM);
  // A byte 10xxxxxx continues the character before it (RFC 3629 §3).
  while (end < bytes.length && (bytes[end]! & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end);
}

function optionsLength(options: readonly WriterOption[]): number {
  if (options.length === 0) return 0;
  return options.reduce((total, option) => total + 4 + padded(option.value.length), 4);
}

/** A block of `body` fixed bytes, then options; `fill` writes the fixed part, which begins at byte 8. */
function block(
  type: number,
  body: number,
  options: readonly WriterOption[],
  fill: (view: DataView, bytes: Uint8Array) => void,
): Uint8Array {
  const total = BLOCK_OVERHEAD + body + optionsLength(options);
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, LITTLE);
  view.setUint32(4, total, LITTLE);
  fill(view, bytes);
  let at = 8 + body;
  for (const { code, value } of options) {
    view.setUint16(at, code, LITTLE);
    view.setUint16(at + 2, value.length, LITTLE);
    bytes.set(value, at + 4);
    at += 4 + padded(value.length);
  }
  view.setUint32(total - 4, total, LITTLE); // opt_endofopt is four zero bytes, which are there already
  return bytes;
}

/** The file's first block. `application` is shown by readers as the program that wrote it. */
export function pcapngSection(application: string): Uint8Array {
  const options = [{ code: Option.UserApplication, value: utf8(application) }];
  return block(BlockType.SectionHeader, 16, options, (view) => {
    view.setUint32(8, BYTE_ORDER_MAGIC, LITTLE);
    view.setUint16(12, 1, LITTLE);
    view.setBigInt64(16, -1n, LITTLE); // length of the section: not known while it is being written
  });
}

/** Declares an Ethernet interface; packets name it by its number, counted from 0 in the order of declaration. */
export function pcapngInterface(name: string, snapLength: number = 0): Uint8Array {
  const options = [
    { code: Option.InterfaceName, value: utf8(name) },
    { code: Option.TimestampResolution, value: Uint8Array.of(NANOSECONDS) },
  ];
  return block(BlockType.InterfaceDescription, 8, options, (view) => {
    view.setUint16(8, LINKTYPE_ETHERNET, LITTLE);
    view.setUint32(12, snapLength, LITTLE);
  });
}

/** What a packet block needs; originalLength is bytes.length unless the capture cut the frame. */
export type PacketToWrite = Pick<CapturedPacket, "interface" | "seconds" | "nanoseconds" | "bytes"> &
  Partial<Pick<CapturedPacket, "originalLength" | "comments" | "direction">>;

export function pcapngPacket(packet: PacketToWrite): Uint8Array {
  const { bytes, direction = "unknown", comments = [] } = packet;
  const options: WriterOption[] = comments.map((comment) => ({ code: Option.Comment, value: utf8(comment) }));
  if (direction !== "unknown")
    options.push({ code: Option.PacketFlags, value: Uint8Array.of(FLAGS[direction], 0, 0, 0) });
  const ticks = BigInt(packet.seconds) * 1_000_000_000n + BigInt(packet.nanoseconds);
  return block(BlockType.EnhancedPacket, 20 + padded(bytes.length), options, (view, out) => {
    view.setUint32(8, packet.interface, LITTLE);
    view.setUint32(12, Number(ticks >> 32n), LITTLE);
    view.setUint32(16, Number(ticks & 0xffffffffn), LITTLE);
    view.setUint32(20, bytes.length, LITTLE);
    view.setUint32(24, packet.originalLength ?? bytes.length, LITTLE);
    out.set(bytes, 28);
  });
}

/** What is known of an interface's packets beside those in the file. */
export interface CaptureCounts {
  readonly interface: number;
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly received: number;
  /** Packets that the file misses. */
  readonly dropped: number;
}

/** An interface statistics block: readers show from it how many packets are missing. The last one counts. */
export function pcapngStatistics(counts: CaptureCounts): Uint8Array {
  const number = (value: number): Uint8Array => {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(value), LITTLE);
    return bytes;
  };
  const options = [
    { code: Option.ReceivedPackets, value: number(counts.received) },
    { code: Option.DroppedPackets, value: number(counts.dropped) },
  ];
  const ticks = BigInt(counts.seconds) * 1_000_000_000n + BigInt(counts.nanoseconds);
  return block(BlockType.InterfaceStatistics, 12, options, (view) => {
    view.setUint32(8, counts.interface, LITTLE);
    view.setUint32(12, Number(ticks >> 32n), LITTLE);
    view.setUint32(16, Number(ticks & 0xffffffffn), LITTLE);
  });
}
