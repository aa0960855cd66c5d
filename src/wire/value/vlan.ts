/** The 802.1Q tag as a value: parse, emit, describe. */
import { EtherType } from "../ethernet.ts";
import { dropEligible, innerType, priority, VLAN_HEADER, VLAN_TCI, VLAN_TYPE, vlanId } from "../vlan.ts";
import { fieldsOf, type HeaderDescription, hex, nameOf } from "./field.ts";

/** The tag as a value. */
export interface VlanTag {
  /** 0…7, IEEE 802.1p. */
  readonly priority: number;
  readonly dropEligible: boolean;
  /** 0…4095; 0 carries only a priority. */
  readonly id: number;
  readonly type: number;
}

/** undefined when fewer than VLAN_HEADER bytes lie before `end`. */
export function parse(frame: DataView, at: number, end: number): VlanTag | undefined {
  if (at + VLAN_HEADER > end) return undefined;
  return {
    priority: priority(frame, at),
    dropEligible: dropEligible(frame, at),
    id: vlanId(frame, at),
    type: innerType(frame, at),
  };
}

/** The inverse of parse. Returns the bytes written. */
export function emit(frame: DataView, at: number, tag: VlanTag): number {
  frame.setUint16(at + VLAN_TCI, (tag.priority << 13) | (tag.dropEligible ? 0x1000 : 0) | tag.id);
  frame.setUint16(at + VLAN_TYPE, tag.type);
  return VLAN_HEADER;
}

/** undefined as parse. */
export function describe(frame: DataView, at: number, end: number): HeaderDescription | undefined {
  const tag = parse(frame, at, end);
  if (tag === undefined) return undefined;
  const field = fieldsOf("vlan", at);
  const type = nameOf(EtherType, tag.type, "unknown");
  return {
    name: "VLAN",
    at,
    length: VLAN_HEADER,
    summary: `VLAN ${tag.id}, priority ${tag.priority}, ${type}`,
    fields: [
      field("priority", "priority", VLAN_TCI, 2, tag.priority, "", [0, 3]),
      field("dropEligible", "drop eligible", VLAN_TCI, 2, tag.dropEligible ? 1 : 0, "", [3, 1]),
      field("id", "VLAN identifier", VLAN_TCI, 2, tag.id, tag.id === 0 ? "priority only" : "", [4, 12]),
      field("type", "EtherType", VLAN_TYPE, 2, hex(tag.type, 2), type),
    ],
  };
}
