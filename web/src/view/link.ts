/** Behind Ethernet and VLAN tags: what comes, and where. */
import { ETH_HEADER, etherType } from "../../../src/wire/ethernet.ts";
import { isVlanType, VLAN_HEADER, VLAN_TYPE } from "../../../src/wire/vlan.ts";

export function ethernetPayload(view: DataView): { type: number; at: number } {
  if (view.byteLength < ETH_HEADER) return { type: 0, at: view.byteLength };
  let type = etherType(view, 0);
  let at = ETH_HEADER;
  while (isVlanType(type) && at + VLAN_HEADER <= view.byteLength) {
    type = view.getUint16(at + VLAN_TYPE);
    at += VLAN_HEADER;
  }
  return { type, at };
}
