/** The Ethernet header as a value: parse, emit, describe. */
import { formatMac, type Mac } from "../address.ts";
import {
  ETH_DESTINATION,
  ETH_HEADER,
  ETH_SOURCE,
  ETH_TYPE,
  EtherType,
  etherType,
  isBroadcastMac,
  isGroupMac,
  macHi,
  macLo,
  writeEtherType,
  writeMac,
} from "../ethernet.ts";
import { fieldsOf, type HeaderDescription, hex, nameOf } from "./field.ts";

/** The header as a value. */
export interface EthernetHeader {
  readonly destination: Mac;
  readonly source: Mac;
  readonly type: number;
}

export function mac(frame: DataView, at: number): Mac {
  return { hi: macHi(frame, at), lo: macLo(frame, at) };
}

/** undefined when fewer than ETH_HEADER bytes lie before `end`. */
export function parse(frame: DataView, at: number, end: number): EthernetHeader | undefined {
  if (at + ETH_HEADER > end) return undefined;
  return {
    destination: mac(frame, at + ETH_DESTINATION),
    source: mac(frame, at + ETH_SOURCE),
    type: etherType(frame, at),
  };
}

/** The inverse of parse. Returns the bytes written. */
export function emit(frame: DataView, at: number, header: EthernetHeader): number {
  writeMac(frame, at + ETH_DESTINATION, header.destination.hi, header.destination.lo);
  writeMac(frame, at + ETH_SOURCE, header.source.hi, header.source.lo);
  writeEtherType(frame, at, header.type);
  return ETH_HEADER;
}

function macMeaning({ hi, lo }: Mac): string {
  if (isBroadcastMac(hi, lo)) return "broadcast: every station of this link";
  if (isGroupMac(hi)) return "multicast: a group of stations";
  return (hi & 0x0200) !== 0 ? "one station, locally administered address" : "one station";
}

/** undefined as parse. */
export function describe(frame: DataView, at: number, end: number): HeaderDescription | undefined {
  const header = parse(frame, at, end);
  if (header === undefined) return undefined;
  const field = fieldsOf("ethernet", at);
  const [destination, source] = [formatMac(header.destination), formatMac(header.source)];
  const name = nameOf(
    EtherType,
    header.type,
    header.type < 0x600 ? "length of an IEEE 802.3 frame" : "unknown",
  );
  return {
    name: "Ethernet",
    at,
    length: ETH_HEADER,
    summary: `Ethernet ${source} → ${destination}, ${name}`,
    fields: [
      field(
        "destination",
        "destination MAC",
        ETH_DESTINATION,
        6,
        destination,
        macMeaning(header.destination),
      ),
      field("source", "source MAC", ETH_SOURCE, 6, source, macMeaning(header.source)),
      field("type", "EtherType", ETH_TYPE, 2, hex(header.type, 2), name),
    ],
  };
}
