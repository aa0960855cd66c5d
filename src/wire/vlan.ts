/**
 * The 802.1Q tag: four bytes between the source MAC and the frame's real EtherType. `at` is the tag's first byte
 * after its own type field, i.e. of the TCI: for an untagged start of frame `f`, f + ETH_HEADER.
 */
import { EtherType } from "./ethernet.ts";

export const VLAN_TCI = 0;
export const VLAN_TYPE = 2;
export const VLAN_HEADER = 4;

/** Tag control information: 3 bits priority, 1 bit drop eligible, 12 bits VLAN identifier. */
export function tci(frame: DataView, at: number): number {
  return frame.getUint16(at + VLAN_TCI);
}

export function vlanId(frame: DataView, at: number): number {
  return frame.getUint16(at + VLAN_TCI) & 0x0fff;
}

export function priority(frame: DataView, at: number): number {
  return frame.getUint8(at + VLAN_TCI) >>> 5;
}

export function dropEligible(frame: DataView, at: number): boolean {
  return (frame.getUint8(at + VLAN_TCI) & 0x10) !== 0;
}

/** The EtherType of what follows the tag. */
export function innerType(frame: DataView, at: number): number {
  return frame.getUint16(at + VLAN_TYPE);
}

/** True when this EtherType says that a tag follows. */
export function isVlanType(type: number): boolean {
  return type === EtherType.Vlan || type === EtherType.QinQ;
}
