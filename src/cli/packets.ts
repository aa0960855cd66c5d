/** Captured packets as a director meets them. */
import { formatAddress, type Mac, mapped } from "../wire/address.ts";
import { type CapturedPacket, RECORD_MAXIMUM } from "../wire/capture.ts";
import * as ethernet from "../wire/ethernet.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as ipv6 from "../wire/ipv6.ts";
import { innerType, isVlanType, VLAN_HEADER } from "../wire/vlan.ts";

/** The frame in its whole length, zeros in place of what the capture cut off. */
export function wholeFrame(packet: CapturedPacket): Uint8Array {
  const length = Math.max(packet.bytes.length, Math.min(packet.originalLength, RECORD_MAXIMUM));
  const frame = new Uint8Array(length);
  frame.set(packet.bytes);
  return frame;
}

/** Where the frame's packet goes, as text; undefined when it is not IP or cut before that. */
export function destinationText(frame: Uint8Array): string | undefined {
  if (frame.length < ethernet.ETH_HEADER) return undefined;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  let at = ethernet.ETH_HEADER;
  let type = ethernet.etherType(view, 0);
  while (isVlanType(type) && at + VLAN_HEADER <= frame.length) {
    type = innerType(view, at);
    at += VLAN_HEADER;
  }
  if (type === ethernet.EtherType.Ipv4 && at + ipv4.IPV4_HEADER <= frame.length)
    return formatAddress(mapped(ipv4.destination(view, at)));
  if (type !== ethernet.EtherType.Ipv6 || at + ipv6.IPV6_HEADER > frame.length) return undefined;
  const word = (w: number): number => ipv6.destination(view, at, w) >>> 0;
  return formatAddress([word(0), word(1), word(2), word(3)]);
}

/**
 * Whom the first frame to one of these addresses is sent to: in a capture that was taken at a director, the director.
 * What it forwards comes later.
 */
export function directorMacOf(frames: Iterable<Uint8Array>, vips: ReadonlySet<string>): Mac | undefined {
  for (const frame of frames) {
    const destination = destinationText(frame);
    if (destination === undefined || !vips.has(destination)) continue;
    const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
    const mac = { hi: ethernet.macHi(view, 0), lo: ethernet.macLo(view, 0) };
    if (!ethernet.isGroupMac(mac.hi)) return mac;
  }
  return undefined;
}
