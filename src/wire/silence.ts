/**
 * The rule that keeps the host silent: an ingress chain that drops exactly the services' frames before the host's
 * stack would answer them with RST or ICMP. AF_PACKET taps run before it and still see every frame (IO-FACTS §3).
 *
 *     later fragments to a service's address   daddr . protocol           @pieces     drop
 *     the same behind IPv4 options             daddr . protocol           @pieces     drop
 *     services for every port                  daddr . protocol           @hosts      drop
 *     all others                               daddr . protocol . dport   @services   drop
 *
 * and one rule per network. Options hide the ports when they are wrong, and the stack would answer a wrong option with
 * ICMP parameter problem whatever the port: so no packet with options to a service's address and protocol gets through.
 * Sets make the cost per frame the same for one service as for ten thousand.
 */
import { isMapped, mapped, type Words } from "./address.ts";
import { EtherType } from "./ethernet.ts";
import {
  IPV4_DESTINATION,
  IPV4_FLAGS_OFFSET,
  IPV4_HEADER,
  IPV4_PROTOCOL,
  IPV4_VERSION_LENGTH,
} from "./ipv4.ts";
import { Extension, FRAGMENT_OFFSET_FLAGS, IPV6_DESTINATION } from "./ipv6.ts";
import { maskOfPrefix, type Network } from "./network.ts";
import * as nft from "./nftables.ts";
import { PayloadBase, REGISTER, type Request } from "./nftables.ts";
import { TCP_DESTINATION_PORT } from "./tcp.ts";

export interface SilencedService {
  /** IP protocol number. */
  readonly protocol: number;
  /** u32 (IPv4) or a table key. */
  readonly address: number | Words;
  /** 0 is every port. */
  readonly port: number;
}

export interface SilencedNetwork {
  readonly network: Network;
  /** IP protocol number, 0 for every one. */
  readonly protocol: number;
}

export interface Silence {
  /** The table's name; nothing else may be in a table of this name. */
  readonly table: string;
  readonly device: string;
  readonly services: readonly SilencedService[];
  readonly networks?: readonly SilencedNetwork[];
  /** Gone when the socket that sent it closes, and nobody else may touch it (Linux 5.12). true by default. */
  readonly owned?: boolean;
  /** There is such a table, which this one takes the place of in the same instant. false by default. */
  readonly replace?: boolean;
  /** Place among the device's ingress chains; -500 by default, before those people usually make. */
  readonly priority?: number;
}

const CHAIN = "ingress";
const DEFAULT_PRIORITY = -500;

/** nft's type numbers, six bits each in a concatenation; only for `nft list`. */
const TYPE_IPV4 = 7;
const TYPE_IPV6 = 8;
const TYPE_PROTOCOL = 12;
const TYPE_PORT = 13;

interface Family {
  readonly suffix: string;
  readonly etherType: number;
  readonly addressType: number;
  readonly addressAt: number;
  /** In words of four bytes, which is also its number of registers. */
  readonly addressWords: number;
  /** register = the IP protocol, extension headers passed over. */
  readonly loadProtocol: (register: number) => Uint8Array;
  /** Go on only for a fragment that is not the first. */
  readonly laterFragment: readonly Uint8Array[];
  /** Go on only for a header with options; IPv6 has none. */
  readonly withOptions?: readonly Uint8Array[];
}

const IPV4: Family = {
  suffix: "",
  etherType: EtherType.Ipv4,
  addressType: TYPE_IPV4,
  addressAt: IPV4_DESTINATION,
  addressWords: 1,
  loadProtocol: (register) => nft.loadPayload(PayloadBase.Network, IPV4_PROTOCOL, 1, register),
  laterFragment: [
    nft.loadPayload(PayloadBase.Network, IPV4_FLAGS_OFFSET, 2, REGISTER),
    nft.mask(REGISTER, [0x1f, 0xff]),
    nft.compare(REGISTER, false, [0, 0]),
  ],
  withOptions: [
    nft.loadPayload(PayloadBase.Network, IPV4_VERSION_LENGTH, 1, REGISTER),
    nft.mask(REGISTER, [0x0f]),
    nft.compare(REGISTER, false, [IPV4_HEADER / 4]),
  ],
};

const IPV6: Family = {
  suffix: "6",
  etherType: EtherType.Ipv6,
  addressType: TYPE_IPV6,
  addressAt: IPV6_DESTINATION,
  addressWords: 4,
  loadProtocol: (register) => nft.loadMeta(nft.MetaKey.TransportProtocol, register),
  laterFragment: [
    nft.loadExtension(Extension.Fragment, FRAGMENT_OFFSET_FLAGS, 2, REGISTER),
    nft.mask(REGISTER, [0xff, 0xf8]),
    nft.compare(REGISTER, false, [0, 0]),
  ],
};

function wordsOf(address: number | Words): Words {
  return typeof address === "number" ? mapped(address) : address;
}

function bytesOf(words: readonly number[]): number[] {
  return words.flatMap((word) => [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255]);
}

/** A set's key: each part begins on a register of four bytes, so short ones are padded on the right. */
function keyOf(family: Family, service: SilencedService, withPort: boolean): Uint8Array {
  const address = bytesOf(wordsOf(service.address).slice(4 - family.addressWords));
  const port = withPort ? [service.port >>> 8, service.port & 255, 0, 0] : [];
  return Uint8Array.from([...address, service.protocol, 0, 0, 0, ...port]);
}

function unique(keys: readonly Uint8Array[]): Uint8Array[] {
  return [...new Map(keys.map((key) => [key.join(), key])).values()];
}

function ofFamily(family: Family): Uint8Array[] {
  const type = [family.etherType >>> 8, family.etherType & 255];
  return [nft.loadMeta(nft.MetaKey.Protocol, REGISTER), nft.compare(REGISTER, true, type)];
}

interface SetPlan {
  readonly name: string;
  readonly withPort: boolean;
  /** One rule for each: what comes before the look-up. */
  readonly before: readonly (readonly Uint8Array[])[];
  readonly services: readonly SilencedService[];
}

/** Set, elements and rules for one of the three kinds. */
function setRequests(table: string, family: Family, plan: SetPlan, id: number): Request[] {
  const set = plan.name + family.suffix;
  const addressBytes = family.addressWords * 4;
  const protocolRegister = REGISTER + family.addressWords;
  const pairType = (family.addressType << 6) | TYPE_PROTOCOL;
  const type = plan.withPort ? (pairType << 6) | TYPE_PORT : pairType;
  const keys = unique(plan.services.map((service) => keyOf(family, service, plan.withPort)));
  const port = nft.loadPayload(PayloadBase.Transport, TCP_DESTINATION_PORT, 2, protocolRegister + 1);
  const rules = plan.before.map((before) =>
    nft.newRule(table, CHAIN, [
      ...ofFamily(family),
      ...before,
      nft.loadPayload(PayloadBase.Network, family.addressAt, addressBytes, REGISTER),
      family.loadProtocol(protocolRegister),
      ...(plan.withPort ? [port] : []),
      nft.lookup(set, id, REGISTER),
      nft.counter(),
      nft.drop(),
    ]),
  );
  const length = addressBytes + (plan.withPort ? 8 : 4);
  return [nft.newSet(table, set, id, type, length), ...nft.newElements(table, set, keys), ...rules];
}

function familyRequests(silence: Silence, family: Family, firstId: number): Request[] {
  const services = silence.services.filter(({ address }) => isMapped(wordsOf(address)) === (family === IPV4));
  const withPort = services.filter(({ port }) => port !== 0);
  const everyPort = services.filter(({ port }) => port === 0);
  const hidden = [family.laterFragment, ...(family.withOptions === undefined ? [] : [family.withOptions])];
  const plans: SetPlan[] = [
    { name: "pieces", withPort: false, before: hidden, services: withPort },
    { name: "hosts", withPort: false, before: [[]], services: everyPort },
    { name: "services", withPort: true, before: [[]], services: withPort },
  ];
  return plans
    .filter((plan) => plan.services.length > 0)
    .flatMap((plan, i) => setRequests(silence.table, family, plan, firstId + i));
}

function networkRule(table: string, { network, protocol }: SilencedNetwork): Request {
  const family = isMapped(network.address) ? IPV4 : IPV6;
  const prefixes = [0, 1, 2, 3].map((i) => Math.min(32, Math.max(0, network.prefix - i * 32)));
  const masks = prefixes.slice(0, family.addressWords).map(maskOfPrefix);
  const address = network.address.slice(4 - family.addressWords);
  const masked = address.map((word, i) => (word & masks[i]!) >>> 0);
  const protocolRegister = REGISTER + family.addressWords;
  const ofProtocol = [family.loadProtocol(protocolRegister), nft.compare(protocolRegister, true, [protocol])];
  return nft.newRule(table, CHAIN, [
    ...ofFamily(family),
    nft.loadPayload(PayloadBase.Network, family.addressAt, family.addressWords * 4, REGISTER),
    nft.mask(REGISTER, bytesOf(masks)),
    nft.compare(REGISTER, true, bytesOf(masked)),
    ...(protocol === 0 ? [] : ofProtocol),
    nft.counter(),
    nft.drop(),
  ]);
}

/**
 * The batch that makes the host silent about these services on one device. The kernel takes it whole or not at
 * all; to change the services send it again with `replace`, on the same socket if the table is owned.
 */
export function silenceBatch(silence: Silence, sequence: number): nft.Batch {
  const { table, device, networks = [], owned = true, replace = false } = silence;
  const requests = [
    ...(replace ? [nft.deleteTable(table)] : []),
    nft.newTable(table, owned),
    nft.newIngressChain(table, CHAIN, device, silence.priority ?? DEFAULT_PRIORITY),
    ...familyRequests(silence, IPV4, 1),
    ...familyRequests(silence, IPV6, 4),
    ...networks.map((network) => networkRule(table, network)),
  ];
  return nft.batch(requests, sequence);
}

/** The batch that takes the rule away. */
export function unsilenceBatch(table: string, sequence: number): nft.Batch {
  return nft.batch([nft.deleteTable(table)], sequence);
}
