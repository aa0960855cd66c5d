/**
 * Reading capture files, whatever their format: classic pcap (µs and ns) and pcapng, in both byte orders, from
 * chunks as they come. A damaged or cut file gives what was readable and one warning; only a beginning that is no
 * capture at all is an error.
 */
import { type CapturedPacket, CaptureError, type CaptureInterface, type Decoder } from "./capture.ts";
import { isPcap, PcapDecoder } from "./pcap.ts";
import { isPcapng, PcapngDecoder } from "./pcapng.ts";

const MAGIC_BYTES = 4;

export class CaptureReader {
  /** What is wrong with the file, if anything was found so far. */
  warning: string | undefined;
  private decoder: Decoder | undefined;
  private bytes = new Uint8Array(0);
  private at = 0;
  /** File offset of bytes[0], for messages. */
  private base = 0;
  private packets = 0;

  get format(): Decoder["format"] | undefined {
    return this.decoder?.format;
  }

  get interfaces(): readonly CaptureInterface[] {
    return this.decoder?.interfaces ?? [];
  }

  /** Gives the reader the file's next bytes. It keeps views of them: do not reuse the chunk's memory. */
  push(chunk: Uint8Array): void {
    const left = this.bytes.length - this.at;
    this.base += this.at;
    if (left === 0) this.bytes = chunk as Uint8Array<ArrayBuffer>;
    else {
      const joined = new Uint8Array(left + chunk.length);
      joined.set(this.bytes.subarray(this.at));
      joined.set(chunk, left);
      this.bytes = joined;
    }
    this.at = 0;
  }

  /**
   * The next packet, or undefined when more bytes are needed, the file is over or it is damaged (see `warning`).
   * Throws CaptureError when the first bytes are no capture.
   */
  next(): CapturedPacket | undefined {
    while (this.warning === undefined) {
      if (this.decoder === undefined && !this.detect()) return undefined;
      const step = this.decoder!.step(this.bytes, this.at);
      if (step.damage !== undefined) {
        this.warning = `damaged at byte ${this.base + this.at}, after ${this.packets} packets: ${step.damage}`;
        return undefined;
      }
      if (step.used === 0) return undefined;
      this.at += step.used;
      if (step.packet === undefined) continue;
      this.packets++;
      return step.packet;
    }
    return undefined;
  }

  /**
   * Says that no chunk will follow; call it when next() has given undefined. Sets and returns the warning if bytes
   * of an unfinished record are left. Throws CaptureError when there was not even a format.
   */
  end(): string | undefined {
    if (this.decoder === undefined) {
      const length = this.bytes.length - this.at;
      const code = length === 0 ? "empty" : "unknown-format";
      throw new CaptureError(code, `a file of ${length} bytes is no capture`);
    }
    const left = this.bytes.length - this.at;
    if (this.warning === undefined && left > 0)
      this.warning = `cut off at byte ${this.base + this.bytes.length}: ${left} bytes of an unfinished record after ${this.packets} packets`;
    return this.warning;
  }

  private detect(): boolean {
    if (this.bytes.length - this.at < MAGIC_BYTES) return false;
    const view = new DataView(this.bytes.buffer, this.bytes.byteOffset + this.at, MAGIC_BYTES);
    const magic = view.getUint32(0);
    if (isPcapng(magic)) this.decoder = new PcapngDecoder();
    else if (isPcap(magic)) this.decoder = new PcapDecoder();
    else {
      const text = magic.toString(16).padStart(8, "0");
      throw new CaptureError("unknown-format", `neither pcap nor pcapng: the file begins with ${text}`);
    }
    return true;
  }
}

export interface Capture {
  readonly format: Decoder["format"];
  readonly interfaces: readonly CaptureInterface[];
  readonly packets: readonly CapturedPacket[];
  readonly warning: string | undefined;
}

/** A whole file at once. Throws CaptureError when it is no capture. */
export function readCapture(bytes: Uint8Array): Capture {
  const reader = new CaptureReader();
  reader.push(bytes);
  const packets: CapturedPacket[] = [];
  for (let packet = reader.next(); packet !== undefined; packet = reader.next()) packets.push(packet);
  const warning = reader.end();
  return { format: reader.format!, interfaces: reader.interfaces, packets, warning };
}
