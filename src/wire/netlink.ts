/**
 * Netlink messages (RFC 3549 §2.3, Documentation/userspace-api/netlink/intro.rst): a 16-byte header, a family's own
 * header, then attributes: length, type, value, padded to four bytes, one inside another. Netlink stays on one
 * machine, so its numbers are in the machine's byte order; what a family wants in network order says "be".
 */

/** This machine's byte order, for DataView's last argument. */
export const HOST_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

export const NLMSG_LENGTH = 0;
export const NLMSG_TYPE = 4;
export const NLMSG_FLAGS = 6;
export const NLMSG_SEQUENCE = 8;
export const NLMSG_PORT = 12;
export const NLMSG_HEADER = 16;
export const ATTRIBUTE_HEADER = 4;

export const MessageType = { Error: 2, Done: 3 } as const;

export const MessageFlag = {
  Request: 0x001,
  Multi: 0x002,
  Ack: 0x004,
  /** Replies to GET: every object. */
  Dump: 0x300,
  /** Requests to NEW. */
  Replace: 0x100,
  Exclusive: 0x200,
  Create: 0x400,
  Append: 0x800,
  /** In an error reply: the failed request is quoted by its header only. */
  Capped: 0x100,
  /** In an error reply: attributes follow that explain it. */
  Explained: 0x200,
} as const;

/** Attributes of an error reply (NLMSGERR_ATTR_…). */
const ERROR_TEXT = 1;
const ERROR_OFFSET = 2;

const NESTED = 0x8000;
/** An attribute's type without the bits NLA_F_NESTED and NLA_F_NET_BYTEORDER. */
const TYPE_MASK = 0x3fff;

function padded(length: number): number {
  return (length + 3) & ~3;
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** An attribute, padded. */
export function attribute(type: number, value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(padded(ATTRIBUTE_HEADER + value.length));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, ATTRIBUTE_HEADER + value.length, HOST_LITTLE_ENDIAN);
  view.setUint16(2, type, HOST_LITTLE_ENDIAN);
  bytes.set(value, ATTRIBUTE_HEADER);
  return bytes;
}

/** An attribute that holds attributes. */
export function nested(type: number, ...children: readonly Uint8Array[]): Uint8Array {
  return attribute(type | NESTED, concat(children));
}

/** A u32 (or negative s32) in network order. */
export function attributeBe32(type: number, value: number): Uint8Array {
  return attribute(type, Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value));
}

/** A u32 in the machine's order. */
export function attributeU32(type: number, value: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, value, HOST_LITTLE_ENDIAN);
  return attribute(type, new Uint8Array(view.buffer));
}

/** UTF-8 with the final zero that the kernel expects. */
export function attributeString(type: number, text: string): Uint8Array {
  return attribute(type, concat([new TextEncoder().encode(text), Uint8Array.of(0)]));
}

/** A whole message; `parts` are the family's header and its attributes. */
export function message(
  type: number,
  flags: number,
  sequence: number,
  ...parts: readonly Uint8Array[]
): Uint8Array {
  const bytes = concat([new Uint8Array(NLMSG_HEADER), ...parts]);
  const view = new DataView(bytes.buffer);
  view.setUint32(NLMSG_LENGTH, bytes.length, HOST_LITTLE_ENDIAN);
  view.setUint16(NLMSG_TYPE, type, HOST_LITTLE_ENDIAN);
  view.setUint16(NLMSG_FLAGS, flags, HOST_LITTLE_ENDIAN);
  view.setUint32(NLMSG_SEQUENCE, sequence, HOST_LITTLE_ENDIAN);
  return bytes;
}

/** A message in a received datagram. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** Who sent it: 0 is the kernel. */
  readonly port: number;
  readonly view: DataView;
  /** Where the family's header begins, and where the message ends, in `view`. */
  readonly at: number;
  readonly end: number;
}

/** The messages of one datagram; stops where a length makes no sense. */
export function parseMessages(datagram: Uint8Array): NetlinkMessage[] {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.length);
  const messages: NetlinkMessage[] = [];
  let at = 0;
  while (at + NLMSG_HEADER <= datagram.length) {
    const length = view.getUint32(at + NLMSG_LENGTH, HOST_LITTLE_ENDIAN);
    if (length < NLMSG_HEADER || at + length > datagram.length) break;
    messages.push({
      type: view.getUint16(at + NLMSG_TYPE, HOST_LITTLE_ENDIAN),
      flags: view.getUint16(at + NLMSG_FLAGS, HOST_LITTLE_ENDIAN),
      sequence: view.getUint32(at + NLMSG_SEQUENCE, HOST_LITTLE_ENDIAN),
      port: view.getUint32(at + NLMSG_PORT, HOST_LITTLE_ENDIAN),
      view,
      at: at + NLMSG_HEADER,
      end: at + length,
    });
    at += padded(length);
  }
  return messages;
}

/** Where an attribute's value is. */
export interface AttributeValue {
  readonly at: number;
  readonly end: number;
}

/** Attributes between `at` and `end` by type; of equal ones the last. Stops where a length makes no sense. */
export function parseAttributes(view: DataView, at: number, end: number): Map<number, AttributeValue> {
  const found = new Map<number, AttributeValue>();
  while (at + ATTRIBUTE_HEADER <= end) {
    const length = view.getUint16(at, HOST_LITTLE_ENDIAN);
    if (length < ATTRIBUTE_HEADER || at + length > end) break;
    const type = view.getUint16(at + 2, HOST_LITTLE_ENDIAN) & TYPE_MASK;
    found.set(type, { at: at + ATTRIBUTE_HEADER, end: at + length });
    at += padded(length);
  }
  return found;
}

/** A string attribute without its final zero. */
export function readString(view: DataView, value: AttributeValue): string {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + value.at, value.end - value.at);
  const zero = bytes.indexOf(0);
  return new TextDecoder().decode(zero < 0 ? bytes : bytes.subarray(0, zero));
}

/** A u32 in network order; 0 when the attribute is shorter. */
export function readBe32(view: DataView, value: AttributeValue): number {
  return value.end - value.at < 4 ? 0 : view.getUint32(value.at);
}

/** The answer to one request. */
export interface Acknowledgement {
  /** Of the request. */
  readonly sequence: number;
  /** Positive; 0 means done. */
  readonly errno: number;
  /** The kernel's own words, empty when it had none (and unless NETLINK_EXT_ACK is set on the socket). */
  readonly text: string;
  /** Byte of the request that the kernel did not like; -1 when it does not say. */
  readonly offset: number;
}

/** Reads an acknowledgement or error; undefined when the message is neither. */
export function parseAcknowledgement(reply: NetlinkMessage): Acknowledgement | undefined {
  const { view, at, end } = reply;
  if (reply.type !== MessageType.Error || at + 4 + NLMSG_HEADER > end) return undefined;
  const errno = Math.abs(view.getInt32(at, HOST_LITTLE_ENDIAN)); // sent negative
  const sequence = view.getUint32(at + 4 + NLMSG_SEQUENCE, HOST_LITTLE_ENDIAN);
  if ((reply.flags & MessageFlag.Explained) === 0) return { sequence, errno, text: "", offset: -1 };
  const quoted = view.getUint32(at + 4 + NLMSG_LENGTH, HOST_LITTLE_ENDIAN);
  const capped = (reply.flags & MessageFlag.Capped) !== 0;
  const attributes = parseAttributes(view, at + 4 + (capped ? NLMSG_HEADER : padded(quoted)), end);
  const text = attributes.get(ERROR_TEXT);
  const offset = attributes.get(ERROR_OFFSET);
  return {
    sequence,
    errno,
    text: text === undefined ? "" : readString(view, text),
    offset:
      offset === undefined || offset.end - offset.at < 4 ? -1 : view.getUint32(offset.at, HOST_LITTLE_ENDIAN),
  };
}
