/**
 * The part of nf_tables' netlink language (linux/netfilter/nf_tables.h) that the silence rule is written in:
 * tables, base chains, sets and rules made of expressions, sent as one batch that the kernel takes whole or not
 * at all. Everything numeric is in network order.
 */
import {
  attribute,
  attributeBe32,
  attributeString,
  concat,
  MessageFlag,
  message,
  type NetlinkMessage,
  nested,
  parseAttributes,
  readBe32,
  readString,
} from "./netlink.ts";

/** Netlink protocol of netfilter's sockets: socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER). */
export const NETLINK_NETFILTER = 12;

const SUBSYSTEM = 10; // NFNL_SUBSYS_NFTABLES, the type's upper byte
const BATCH_BEGIN = 0x10;
const BATCH_END = 0x11;
const FAMILY_NETDEV = 5; // NFPROTO_NETDEV
const HOOK_INGRESS = 0; // NF_NETDEV_INGRESS
const ACCEPT = 1;
const DROP = 0;

const NftMessage = {
  NewTable: 0,
  GetTable: 1,
  DeleteTable: 2,
  NewChain: 3,
  NewRule: 6,
  NewSet: 9,
  NewElements: 12,
} as const;

/** NFT_TABLE_F_OWNER: only the socket that made the table may change it, and it goes when that socket closes. */
export const TABLE_OWNED = 0x2;

const TABLE_NAME = 1;
const TABLE_FLAGS = 2;
const TABLE_OWNER = 7;

/** Registers of four bytes; NFT_REG32_00 is 8. Expressions put their values side by side to make a set's key. */
export const REGISTER = 8;

function familyHeader(family: number, resource: number = 0): Uint8Array {
  return Uint8Array.of(family, 0, resource >>> 8, resource);
}

/** One request of a batch, and what it asks for in words. */
export interface Request {
  readonly about: string;
  readonly type: number;
  readonly flags: number;
  readonly attributes: readonly Uint8Array[];
}

function request(about: string, type: number, flags: number, ...attributes: Uint8Array[]): Request {
  return { about, type, flags, attributes };
}

export function newTable(table: string, owned: boolean): Request {
  const flags = attributeBe32(TABLE_FLAGS, owned ? TABLE_OWNED : 0);
  const name = attributeString(TABLE_NAME, table);
  return request(`table ${table}`, NftMessage.NewTable, MessageFlag.Create, name, flags);
}

export function deleteTable(table: string): Request {
  const name = attributeString(TABLE_NAME, table);
  return request(`deletion of table ${table}`, NftMessage.DeleteTable, 0, name);
}

/** A base chain on a device's ingress hook, policy accept. Lower priorities run earlier. */
export function newIngressChain(table: string, chain: string, device: string, priority: number): Request {
  return request(
    `chain ${chain} on the ingress of ${device}`,
    NftMessage.NewChain,
    MessageFlag.Create,
    attributeString(1, table), // NFTA_CHAIN_TABLE
    attributeString(3, chain), // NFTA_CHAIN_NAME
    nested(4, attributeBe32(1, HOOK_INGRESS), attributeBe32(2, priority), attributeString(3, device)), // NFTA_CHAIN_HOOK
    attributeBe32(5, ACCEPT), // NFTA_CHAIN_POLICY
    attributeString(7, "filter"), // NFTA_CHAIN_TYPE
  );
}

/** `keyType` is only what `nft list` needs to print the elements; the kernel ignores it. */
export function newSet(table: string, set: string, id: number, keyType: number, keyLength: number): Request {
  return request(
    `set ${set}`,
    NftMessage.NewSet,
    MessageFlag.Create,
    attributeString(1, table), // NFTA_SET_TABLE
    attributeString(2, set), // NFTA_SET_NAME
    attributeBe32(3, 0), // NFTA_SET_FLAGS
    attributeBe32(4, keyType), // NFTA_SET_KEY_TYPE
    attributeBe32(5, keyLength), // NFTA_SET_KEY_LEN
    attributeBe32(10, id), // NFTA_SET_ID
  );
}

/** An attribute's length has 16 bits; this many elements of the longest key fit. */
const ELEMENTS_AT_ONCE = 1000;

/** As many requests as the elements need; none for none. */
export function newElements(table: string, set: string, keys: readonly Uint8Array[]): Request[] {
  const requests: Request[] = [];
  for (let from = 0; from < keys.length; from += ELEMENTS_AT_ONCE) {
    const elements = keys
      .slice(from, from + ELEMENTS_AT_ONCE)
      .map((key) => nested(1, nested(1, attribute(1, key)))); // LIST_ELEM { SET_ELEM_KEY { DATA_VALUE } }
    requests.push(
      request(
        `elements of set ${set}`,
        NftMessage.NewElements,
        MessageFlag.Create,
        attributeString(1, table),
        attributeString(2, set),
        nested(3, ...elements), // NFTA_SET_ELEM_LIST_ELEMENTS
      ),
    );
  }
  return requests;
}

export function newRule(table: string, chain: string, expressions: readonly Uint8Array[]): Request {
  return request(
    `rule in chain ${chain}`,
    NftMessage.NewRule,
    MessageFlag.Create | MessageFlag.Append,
    attributeString(1, table),
    attributeString(2, chain),
    nested(4, ...expressions), // NFTA_RULE_EXPRESSIONS
  );
}

function expression(name: string, ...data: Uint8Array[]): Uint8Array {
  return nested(1, attributeString(1, name), nested(2, ...data)); // LIST_ELEM { EXPR_NAME, EXPR_DATA }
}

function value(bytes: readonly number[]): Uint8Array {
  return attribute(1, Uint8Array.from(bytes)); // NFTA_DATA_VALUE
}

export const MetaKey = { Protocol: 1, TransportProtocol: 16 } as const;
export const PayloadBase = { Network: 1, Transport: 2 } as const;

/** register = a property of the frame. */
export function loadMeta(key: number, register: number): Uint8Array {
  return expression("meta", attributeBe32(2, key), attributeBe32(1, register));
}

/** register = `length` bytes of the packet. The rule ends without match when they are not there. */
export function loadPayload(base: number, offset: number, length: number, register: number): Uint8Array {
  return expression(
    "payload",
    attributeBe32(1, register),
    attributeBe32(2, base),
    attributeBe32(3, offset),
    attributeBe32(4, length),
  );
}

/** register = `length` bytes of an IPv6 extension header. The rule ends without match when it is not there. */
export function loadExtension(header: number, offset: number, length: number, register: number): Uint8Array {
  return expression(
    "exthdr",
    attributeBe32(1, register),
    attribute(2, Uint8Array.of(header)),
    attributeBe32(3, offset),
    attributeBe32(4, length),
  );
}

/** register &= mask. */
export function mask(register: number, bytes: readonly number[]): Uint8Array {
  return expression(
    "bitwise",
    attributeBe32(1, register),
    attributeBe32(2, register),
    attributeBe32(3, bytes.length),
    nested(4, value(bytes)),
    nested(5, value(bytes.map(() => 0))),
  );
}

/** Goes on only if register === bytes (or !== them). */
export function compare(register: number, equal: boolean, bytes: readonly number[]): Uint8Array {
  return expression(
    "cmp",
    attributeBe32(1, register),
    attributeBe32(2, equal ? 0 : 1),
    nested(3, value(bytes)),
  );
}

/** Goes on only if the key that begins in this register is in the set. */
export function lookup(set: string, id: number, register: number): Uint8Array {
  return expression("lookup", attributeString(1, set), attributeBe32(2, register), attributeBe32(4, id));
}

/** Counts what came so far, for `nft list` and doctor. */
export function counter(): Uint8Array {
  return expression("counter");
}

export function drop(): Uint8Array {
  return expression("immediate", attributeBe32(1, 0), nested(2, nested(2, attributeBe32(1, DROP))));
}

/** A batch ready to be sent in one datagram. Each request asks for an acknowledgement. */
export interface Batch {
  readonly bytes: Uint8Array;
  /** Sequence number of the batch's beginning; request i has this + 1 + i. */
  readonly sequence: number;
  /** What each request asks for, in words. */
  readonly about: readonly string[];
}

export function batch(requests: readonly Request[], sequence: number): Batch {
  const boundary = (type: number, number: number): Uint8Array =>
    message(type, MessageFlag.Request, number, familyHeader(0, SUBSYSTEM));
  const bytes = concat([
    boundary(BATCH_BEGIN, sequence),
    ...requests.map(({ type, flags, attributes }, i) =>
      message(
        (SUBSYSTEM << 8) | type,
        MessageFlag.Request | MessageFlag.Ack | flags,
        sequence + 1 + i,
        familyHeader(FAMILY_NETDEV),
        ...attributes,
      ),
    ),
    boundary(BATCH_END, sequence + 1 + requests.length),
  ]);
  return { bytes, sequence, about: requests.map(({ about }) => about) };
}

/** Asks for one table: answered by a message for parseTable, or by error ENOENT (2). */
export function tableRequest(table: string, sequence: number): Uint8Array {
  const type = (SUBSYSTEM << 8) | NftMessage.GetTable;
  return message(
    type,
    MessageFlag.Request,
    sequence,
    familyHeader(FAMILY_NETDEV),
    attributeString(TABLE_NAME, table),
  );
}

export interface Table {
  readonly name: string;
  readonly owned: boolean;
  /** Netlink port of the owner's socket, 0 without one. */
  readonly owner: number;
}

/** Reads the answer to tableRequest; undefined when the message is something else. */
export function parseTable(reply: NetlinkMessage): Table | undefined {
  if (reply.type !== ((SUBSYSTEM << 8) | NftMessage.NewTable) || reply.at + 4 > reply.end) return undefined;
  const { view } = reply;
  const attributes = parseAttributes(view, reply.at + 4, reply.end);
  const name = attributes.get(TABLE_NAME);
  const flags = attributes.get(TABLE_FLAGS);
  const owner = attributes.get(TABLE_OWNER);
  if (name === undefined) return undefined;
  return {
    name: readString(view, name),
    owned: flags !== undefined && (readBe32(view, flags) & TABLE_OWNED) !== 0,
    owner: owner === undefined ? 0 : readBe32(view, owner),
  };
}
