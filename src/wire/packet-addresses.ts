/** A frame's IP addresses as keys, for who looks at single frames outside the data path. */
import { mapped, type Words } from "./address.ts";
import { ETH_HEADER, EtherType, etherType } from "./ethernet.ts";
import * as ipv4 from "./ipv4.ts";
import * as ipv6 from "./ipv6.ts";
import { innerType, isVlanType, VLAN_HEADER } from "./vlan.ts";

export interface PacketAddresses {
  readonly source: Words;
  readonly destination: Words;
}

/** undefined when it is not IP, or ends before its addresses do. */
export function addressesOf(frame: Uint8Array): PacketAddresses | undefined {
  if (frame.length < ETH_HEADER) return undefined;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  let at = ETH_HEADER;
  let type = etherType(view, 0);
  while (isVlanType(type) && at + VLAN_HEADER <= frame.length) {
    type = innerType(view, at);
    at += VLAN_HEADER;
  }
  if (type === EtherType.Ipv4 && at + ipv4.IPV4_HEADER <= frame.length)
    return { source: mapped(ipv4.source(view, at)), destination: mapped(ipv4.destination(view, at)) };
  if (type !== EtherType.Ipv6 || at + ipv6.IPV6_HEADER > frame.length) return undefined;
  return { source: words(view, at, ipv6.source), destination: words(view, at, ipv6.destination) };
}

function words(view: DataView, at: number, word: (view: DataView, at: number, w: number) => number): Words {
  const one = (w: number): number => word(view, at, w) >>> 0;
  return [one(0), one(1), one(2), one(3)];
}
