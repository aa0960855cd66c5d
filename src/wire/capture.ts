/** What a capture file holds, whatever its format: the words that pcap, pcapng and the reader share. */

/** Ethernet in the register of link types (draft-ietf-opsawg-pcaplinktype). */
export const LINKTYPE_ETHERNET = 1;

/** No record is larger than this; a greater length is damage, not data (libpcap's MAXIMUM_SNAPLEN, doubled). */
export const RECORD_MAXIMUM = 524_288;

export interface CaptureInterface {
  /** Empty in classic pcap, which has no names. */
  readonly name: string;
  readonly linkType: number;
  /** Bytes kept of each packet at most; 0 is no limit. */
  readonly snapLength: number;
}

export type Direction = "inbound" | "outbound" | "unknown";

export interface CapturedPacket {
  /** Index into CaptureReader.interfaces. */
  readonly interface: number;
  /** Since 1970; with `nanoseconds` (0…999,999,999) as two numbers because one would lose digits. */
  readonly seconds: number;
  readonly nanoseconds: number;
  /** Bytes on the wire; more than bytes.length when the capture cut it. */
  readonly originalLength: number;
  /** A view into the pushed chunk where it lay whole in one. */
  readonly bytes: Uint8Array;
  readonly comments: readonly string[];
  readonly direction: Direction;
}

/** The file's beginning is no capture. */
export class CaptureError extends Error {
  readonly code: "empty" | "unknown-format" | "unsupported";

  constructor(code: CaptureError["code"], message: string) {
    super(message);
    this.name = "CaptureError";
    this.code = code;
  }
}

/** One step of a decoder. `used` 0 means that it needs more bytes than there are. */
export interface Step {
  readonly used: number;
  readonly packet?: CapturedPacket;
  /** The file is damaged here; nothing after it can be trusted. */
  readonly damage?: string;
}

/** Decodes one record or block at `bytes[at]`; `interfaces` grows as they are declared. */
export interface Decoder {
  readonly format: "pcap" | "pcapng";
  readonly interfaces: readonly CaptureInterface[];
  step(bytes: Uint8Array, at: number): Step;
}
