/** Captured packets as a director meets them. */
import { formatAddress, type Mac } from "../wire/address.ts";
import { type CapturedPacket, RECORD_MAXIMUM } from "../wire/capture.ts";
import * as ethernet from "../wire/ethernet.ts";
import { addressesOf } from "../wire/packet-addresses.ts";

/** The frame in its whole length, zeros in place of what the capture cut off. */
export function wholeFrame(packet: CapturedPacket): Uint8Array {
  const length = Math.max(packet.bytes.length, Math.min(packet.originalLength, RECORD_MAXIMUM));
  const frame = new Uint8Array(length);
  frame.set(packet.bytes);
  return frame;
}

/**
 * Whom the first frame to one of these addresses is sent to: in a capture that was taken at a director, the director.
 * What it forwards comes later.
 */
export function directorMacOf(frames: Iterable<Uint8Array>, vips: ReadonlySet<string>): Mac | undefined {
  for (const frame of frames) {
    const destination = addressesOf(frame)?.destination;
    if (destination === undefined || !vips.has(formatAddress(destination))) continue;
    const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
    const mac = { hi: ethernet.macHi(view, 0), lo: ethernet.macLo(view, 0) };
    if (!ethernet.isGroupMac(mac.hi)) return mac;
  }
  return undefined;
}
