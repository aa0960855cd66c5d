/**
 * Classic pcap (draft-ietf-opsawg-pcap): a 24-byte file header, then records of a 16-byte header and the packet.
 * Readers of other people's files take all four kinds (µs or ns, either byte order); our own are little-endian.
 */
import {
  type CapturedPacket,
  CaptureError,
  type CaptureInterface,
  type Decoder,
  LINKTYPE_ETHERNET,
  RECORD_MAXIMUM,
  type Step,
} from "./capture.ts";

const MAGIC_MICROSECONDS = 0xa1b2c3d4;
const MAGIC_NANOSECONDS = 0xa1b23c4d;
const VERSION_MAJOR = 4;
const SNAP_LENGTH = 16;
const LINK_TYPE = 20;
const FILE_HEADER = 24;

const RECORD_SECONDS = 0;
const RECORD_FRACTION = 4;
const RECORD_CAPTURED = 8;
const RECORD_ORIGINAL = 12;
const RECORD_HEADER = 16;

const LITTLE = true;
const BILLION = 1_000_000_000;

/** The magic as 32 bits in file order: bytes swapped when the file is little-endian. */
function swapped(magic: number): number {
  return ((magic << 24) | ((magic & 0xff00) << 8) | ((magic >>> 8) & 0xff00) | (magic >>> 24)) >>> 0;
}

/** Whether a file that begins with these 32 bits (read in network order) is classic pcap. */
export function isPcap(magic: number): boolean {
  return isBigEndian(magic) || isBigEndian(swapped(magic));
}

function isBigEndian(magic: number): boolean {
  return magic === MAGIC_MICROSECONDS || magic === MAGIC_NANOSECONDS;
}

export class PcapDecoder implements Decoder {
  readonly format = "pcap";
  readonly interfaces: CaptureInterface[] = [];
  private little = false;
  private nanosecondsPerUnit = 1;
  private longest = RECORD_MAXIMUM;

  step(bytes: Uint8Array, at: number): Step {
    const view = new DataView(bytes.buffer, bytes.byteOffset + at, bytes.length - at);
    return this.interfaces.length === 0 ? this.readHeader(view) : this.readRecord(view, bytes, at);
  }

  private readHeader(view: DataView): Step {
    if (view.byteLength < FILE_HEADER) return { used: 0 };
    this.little = !isBigEndian(view.getUint32(0));
    this.nanosecondsPerUnit = view.getUint32(0, this.little) === MAGIC_NANOSECONDS ? 1 : 1000;
    const major = view.getUint16(VERSION_MAJOR, this.little);
    if (major !== 2) throw new CaptureError("unsupported", `pcap version ${major}; only 2 is known`);
    const snapLength = view.getUint32(SNAP_LENGTH, this.little);
    this.longest = Math.max(RECORD_MAXIMUM, Math.min(snapLength, 16 * RECORD_MAXIMUM));
    // The upper half of the word says whether frames carry their FCS; Ethernet captures do not.
    const linkType = view.getUint32(LINK_TYPE, this.little) & 0xffff;
    this.interfaces.push({ name: "", linkType, snapLength });
    return { used: FILE_HEADER };
  }

  private readRecord(view: DataView, bytes: Uint8Array, at: number): Step {
    if (view.byteLength < RECORD_HEADER) return { used: 0 };
    const captured = view.getUint32(RECORD_CAPTURED, this.little);
    const originalLength = view.getUint32(RECORD_ORIGINAL, this.little);
    if (captured > this.longest) return { used: 0, damage: `a record claims ${captured} bytes` };
    if (view.byteLength < RECORD_HEADER + captured) return { used: 0 };
    const fraction = view.getUint32(RECORD_FRACTION, this.little) * this.nanosecondsPerUnit;
    const packet: CapturedPacket = {
      interface: 0,
      // Some writers let the fraction pass a second; carry it instead of handing it on.
      seconds: view.getUint32(RECORD_SECONDS, this.little) + Math.floor(fraction / BILLION),
      nanoseconds: fraction % BILLION,
      originalLength,
      bytes: bytes.subarray(at + RECORD_HEADER, at + RECORD_HEADER + captured),
      comments: [],
      direction: "unknown",
    };
    return { used: RECORD_HEADER + captured, packet };
  }
}

/** The file header of a classic pcap, little-endian. Microseconds unless asked otherwise: every reader knows them. */
export function pcapHeader(options: { nanoseconds?: boolean; snapLength?: number } = {}): Uint8Array {
  const header = new DataView(new ArrayBuffer(FILE_HEADER));
  header.setUint32(0, options.nanoseconds ? MAGIC_NANOSECONDS : MAGIC_MICROSECONDS, LITTLE);
  header.setUint16(VERSION_MAJOR, 2, LITTLE);
  header.setUint16(VERSION_MAJOR + 2, 4, LITTLE);
  header.setUint32(SNAP_LENGTH, options.snapLength ?? 262_144, LITTLE);
  header.setUint32(LINK_TYPE, LINKTYPE_ETHERNET, LITTLE);
  return new Uint8Array(header.buffer);
}

/** One record of a classic pcap; `nanoseconds` must be as in its header. */
export function pcapRecord(
  packet: Pick<CapturedPacket, "seconds" | "nanoseconds" | "bytes"> & { originalLength?: number },
  options: { nanoseconds?: boolean } = {},
): Uint8Array {
  const { bytes } = packet;
  const record = new Uint8Array(RECORD_HEADER + bytes.length);
  const view = new DataView(record.buffer);
  const fraction = options.nanoseconds ? packet.nanoseconds : Math.floor(packet.nanoseconds / 1000);
  view.setUint32(RECORD_SECONDS, packet.seconds, LITTLE);
  view.setUint32(RECORD_FRACTION, fraction, LITTLE);
  view.setUint32(RECORD_CAPTURED, bytes.length, LITTLE);
  view.setUint32(RECORD_ORIGINAL, packet.originalLength ?? bytes.length, LITTLE);
  record.set(bytes, RECORD_HEADER);
  return record;
}
