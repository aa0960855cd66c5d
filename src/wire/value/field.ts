/**
 * How headers explain themselves: each field with where it stands, what it says and what that means. Feeds
 * `dr-director explain` and the page; never used by the data path.
 */
import { Protocol } from "../ipv4.ts";

export interface Field {
  /** Stable name for programs and translations: "ipv4.ttl". */
  readonly key: string;
  readonly name: string;
  /** First byte, counted from the start of the view that was described. */
  readonly at: number;
  readonly length: number;
  /** For a field smaller than its bytes: first bit (0 is the most significant, as RFCs count) and number of bits. */
  readonly bits?: readonly [first: number, count: number];
  readonly value: string;
  /** What the value says, in words; empty when the value says it all. */
  readonly meaning: string;
}

export interface HeaderDescription {
  /** "Ethernet", "IPv4", "TCP" … */
  readonly name: string;
  readonly at: number;
  readonly length: number;
  /** One line: the packet prints itself. */
  readonly summary: string;
  readonly fields: readonly Field[];
}

/** Makes the fields of one header: keys get its prefix, offsets its start. */
export function fieldsOf(prefix: string, start: number) {
  return (
    key: string,
    name: string,
    offset: number,
    length: number,
    value: string | number,
    meaning: string = "",
    bits?: readonly [number, number],
  ): Field => {
    const field = {
      key: `${prefix}.${key}`,
      name,
      at: start + offset,
      length,
      value: String(value),
      meaning,
    };
    return bits === undefined ? field : { ...field, bits };
  };
}

/** 0x-prefixed, padded to whole bytes. */
export function hex(value: number, bytes: number): string {
  return `0x${value.toString(16).padStart(bytes * 2, "0")}`;
}

/** "TCP", "UDP" …, or "protocol 47". */
export function protocolName(protocol: number): string {
  const name = nameOf(Protocol, protocol, "");
  if (name === "" || protocol === Protocol.Ip) return `protocol ${protocol}`;
  return protocol === Protocol.Icmpv6 ? "ICMPv6" : name.toUpperCase();
}

/** "FragmentationNeeded" → "fragmentation needed". */
export function words(name: string): string {
  return name.replace(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter}`).toLowerCase();
}

/** Bytes as hex pairs without separators. */
export function hexBytes(view: DataView, at: number, length: number): string {
  let text = "";
  for (let i = 0; i < length; i++)
    text += view
      .getUint8(at + i)
      .toString(16)
      .padStart(2, "0");
  return text;
}

/** The name under which a number stands in a table of constants, or `otherwise`. */
export function nameOf(table: Readonly<Record<string, number>>, value: number, otherwise: string): string {
  return Object.keys(table).find((name) => table[name] === value) ?? otherwise;
}

/** A copy of bytes that a parsed value may keep: the frame under it will be overwritten. */
export function copyOf(view: DataView, at: number, length: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + at, length).slice();
}

/** Writes bytes into a view. */
export function put(view: DataView, at: number, bytes: Uint8Array): void {
  new Uint8Array(view.buffer, view.byteOffset + at, bytes.length).set(bytes);
}
