/** What a frame that was sent says, and how it compares with the kernel's. */
import { formatMac } from "../../src/wire/address.ts";
import * as ethernet from "../../src/wire/ethernet.ts";
import * as ipv4 from "../../src/wire/ipv4.ts";
import * as ipv6 from "../../src/wire/ipv6.ts";
import { hexBytes, hexText } from "./packets.ts";
import { DIRECTOR_MAC } from "./world.ts";

const SERVER_MAC = /^02:00:00:00:01:([0-9a-f]{2})$/;

function viewOf(frame: Uint8Array): DataView {
  return new DataView(frame.buffer, frame.byteOffset, frame.length);
}

export function destinationMac(frame: Uint8Array): string {
  const view = viewOf(frame);
  return formatMac({ hi: ethernet.macHi(view, 0), lo: ethernet.macLo(view, 0) });
}

function sourceMac(frame: Uint8Array): string {
  const view = viewOf(frame);
  return formatMac({ hi: ethernet.macHi(view, 6), lo: ethernet.macLo(view, 6) });
}

/** "rsN", "director:icmp-T-C", as the recordings call it. */
export function describe(frame: Uint8Array): string {
  const mac = destinationMac(frame);
  const server = SERVER_MAC.exec(mac)?.[1];
  if (sourceMac(frame) !== formatMac(DIRECTOR_MAC)) return `from ${sourceMac(frame)}`;
  if (server !== undefined) return `rs${Number.parseInt(server, 16)}`;
  const view = viewOf(frame);
  const ip = ethernet.ETH_HEADER;
  if (ipv4.version(view, ip) === 4 && ipv4.protocol(view, ip) === ipv4.Protocol.Icmp) {
    const at = ip + ipv4.headerLength(view, ip);
    return `director:icmp-${view.getUint8(at)}-${view.getUint8(at + 1)}`;
  }
  if (ipv4.version(view, ip) === 6 && view.getUint8(ip + 6) === ipv4.Protocol.Icmpv6) {
    const at = ip + ipv6.IPV6_HEADER;
    return `director:icmp6-${view.getUint8(at)}-${view.getUint8(at + 1)}`;
  }
  return `to ${mac}`;
}

/** The frame without Ethernet padding, which the kernel trims and we leave alone. */
function withoutPadding(frame: Uint8Array): Uint8Array {
  const view = viewOf(frame);
  const ip = ethernet.ETH_HEADER;
  const six = ethernet.etherType(view, 0) === ethernet.EtherType.Ipv6;
  const total = six ? ipv6.IPV6_HEADER + ipv6.payloadLength(view, ip) : ipv4.totalLength(view, ip);
  return frame.subarray(0, Math.min(frame.length, ip + total));
}

/**
 * Difference of a forwarded frame from the recorded one, or "" when equal byte for byte. IP options alone may differ,
 * and with them the header's checksum: the kernel's stack enters itself into a record route, a bridge does not.
 */
export function compareForwarded(frame: Uint8Array, hex: string): string {
  const theirs = hexBytes(hex);
  const ours = withoutPadding(frame).slice();
  const ip = ethernet.ETH_HEADER;
  const header = ipv4.version(viewOf(ours), ip) === 4 ? ipv4.headerLength(viewOf(ours), ip) : 0;
  if (header > ipv4.IPV4_HEADER && theirs.length === ours.length) {
    for (const [from, to] of [
      [ipv4.IPV4_CHECKSUM, ipv4.IPV4_SOURCE],
      [ipv4.IPV4_HEADER, header],
    ] as const) {
      ours.set(theirs.subarray(ip + from, ip + to), ip + from);
    }
  }
  const got = hexText(ours);
  return got === hex ? "" : firstDifference(got, hex);
}

/** What every sender fills in as it likes: identification (and so the checksum) of IPv4, flow label of IPv6. */
const FREE4 = [4, 5, 10, 11];
const FREE6 = [2, 3];

/** Our own ICMP against the kernel's. */
export function compareOwn(frame: Uint8Array, hex: string): string {
  const theirs = hexBytes(hex);
  const ours = withoutPadding(frame).slice();
  const four = ethernet.etherType(viewOf(theirs), 0) === ethernet.EtherType.Ipv4;
  const ip = ethernet.ETH_HEADER;
  for (const at of four ? FREE4 : FREE6) ours[ip + at] = theirs[ip + at]!;
  if (!four) ours[ip + 1] = (ours[ip + 1]! & 0xf0) | (theirs[ip + 1]! & 0x0f);
  const got = hexText(ours);
  return got === hex ? "" : firstDifference(got, hex);
}

function firstDifference(got: string, want: string): string {
  if (got.length !== want.length) return `${got.length / 2} bytes, recorded ${want.length / 2}`;
  const at = [...got].findIndex((digit, i) => digit !== want[i]);
  return `byte ${at >> 1} is ${got.slice(at & ~1, (at & ~1) + 2)}, recorded ${want.slice(at & ~1, (at & ~1) + 2)}`;
}
