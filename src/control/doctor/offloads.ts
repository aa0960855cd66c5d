/**
 * What an interface's offloads are, asked by ethtool's netlink (Documentation/networking/ethtool-netlink.rst): a generic
 * netlink family whose number has to be looked up first.
 */
import { isNativeError, native, openNetlink } from "../../ring/native.ts";
import {
  ATTRIBUTE_HEADER,
  type AttributeValue,
  attributeString,
  HOST_LITTLE_ENDIAN,
  MessageFlag,
  MessageType,
  message,
  type NetlinkMessage,
  nested,
  parseAttributes,
  parseMessages,
  readString,
} from "../../wire/netlink.ts";

const NETLINK_GENERIC = 16;
/** Generic netlink's own family, and its question for another one (linux/genetlink.h). */
const CONTROL = 16;
const GET_FAMILY = 3;
const FAMILY_ID = 1;
const FAMILY_NAME = 2;
const GENERIC_HEADER = 4;

/** linux/ethtool_netlink.h */
const FEATURES_GET = 11;
const FEATURES_HEADER = 1;
const HEADER_DEVICE_NAME = 2;
const FEATURES_ACTIVE = 4;
const BITSET_BITS = 3;
const BIT_NAME = 2;

const WAIT_MS = 500;

/** Names of the features that are on, as the kernel calls them ("rx-lro"); undefined when it does not say. */
export function activeFeatures(interfaceName: string): Set<string> | undefined {
  const fd = openNetlink(NETLINK_GENERIC, 0);
  try {
    const family = ask(fd, CONTROL, GET_FAMILY, attributeString(FAMILY_NAME, "ethtool"));
    const id = attributesOf(family).get(FAMILY_ID);
    if (id === undefined) return undefined;
    const device = nested(FEATURES_HEADER, attributeString(HEADER_DEVICE_NAME, interfaceName));
    const number = family.view.getUint16(id.at, HOST_LITTLE_ENDIAN);
    return readFeatures(ask(fd, number, FEATURES_GET, device));
  } catch (error) {
    if (isNativeError(error) || error instanceof RangeError) return undefined;
    throw error;
  } finally {
    native().close(fd);
  }
}

/** One question, one answer. Throws RangeError when the kernel refuses or is silent. */
function ask(fd: number, family: number, command: number, ...attributes: Uint8Array[]): NetlinkMessage {
  const header = Uint8Array.of(command, 1, 0, 0);
  native().send(fd, message(family, MessageFlag.Request, 1, header, ...attributes));
  const buffer = new Uint8Array(65_536);
  const deadline = native().monotonic() + WAIT_MS;
  for (;;) {
    const length = native().recv(fd, buffer);
    if (length < 0 && native().monotonic() > deadline) throw new RangeError("netlink does not answer");
    const [reply] = parseMessages(buffer.subarray(0, Math.max(0, length)));
    if (reply === undefined) continue;
    if (reply.type === MessageType.Error) throw new RangeError("netlink refused");
    return reply;
  }
}

function attributesOf({ view, at, end }: NetlinkMessage): Map<number, AttributeValue> {
  return parseAttributes(view, at + GENERIC_HEADER, end);
}

/** A bitset without mask lists the bits that are set, each with its name. */
function readFeatures(reply: NetlinkMessage): Set<string> | undefined {
  const { view } = reply;
  const active = attributesOf(reply).get(FEATURES_ACTIVE);
  const bits =
    active === undefined ? undefined : parseAttributes(view, active.at, active.end).get(BITSET_BITS);
  if (bits === undefined) return undefined;
  const names = new Set<string>();
  for (let at = bits.at; at + ATTRIBUTE_HEADER <= bits.end; ) {
    const length = view.getUint16(at, HOST_LITTLE_ENDIAN);
    if (length < ATTRIBUTE_HEADER) break;
    const name = parseAttributes(view, at + ATTRIBUTE_HEADER, at + length).get(BIT_NAME);
    if (name !== undefined) names.add(readString(view, name));
    at += (length + 3) & ~3;
  }
  return names;
}
