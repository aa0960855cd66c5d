/**
 * The XDP program that takes the services' frames into AF_XDP sockets and leaves everything else to the host's stack,
 * which never sees a frame that was taken. So it asks more precisely than the packet ring's filter: address, protocol
 * and port. Three maps tell it what is a service's, and can be changed while it runs.
 */
import { isMapped, type Words } from "./address.ts";
import { BpfAssembler, Do, Helper, If, R } from "./bpf.ts";
import { ETH_HEADER, ETH_TYPE, EtherType } from "./ethernet.ts";
import {
  IPV4_DESTINATION,
  IPV4_FLAGS_OFFSET,
  IPV4_HEADER,
  IPV4_MORE_FRAGMENTS,
  IPV4_OFFSET_MASK,
  IPV4_PROTOCOL,
  Protocol,
} from "./ipv4.ts";
import { IPV6_DESTINATION, IPV6_HEADER, IPV6_NEXT_HEADER } from "./ipv6.ts";

/** Descriptors of the maps; keys and values as below. */
export interface XdpMaps {
  /** BPF_MAP_TYPE_HASH: serviceKey → Take bits. */
  readonly services: number;
  /** BPF_MAP_TYPE_LPM_TRIE: networkKey → Take bits. */
  readonly networks: number;
  /** BPF_MAP_TYPE_XSKMAP: queue → socket. */
  readonly sockets: number;
}

/** Bits of a map's value. */
export const Take = {
  /** Whole frames to the service, fragments and ICMP errors to its address. */
  Frames: 1,
  /** Also ICMP echo requests, whole or in fragments: the director answers for the address. */
  Echo: 2,
} as const;

export const SERVICE_KEY = 20;
export const NETWORK_KEY = 20;
export const TAKE_VALUE = 4;

const XDP_PASS = 2;
/** struct xdp_md. */
const DATA = 0;
const DATA_END = 4;
const QUEUE = 16;

/** The stack: the prefix length for the trie, and right behind it address, port, protocol, 0. */
const PREFIX = -28;
const KEY = -24;
const KEY_PORT = -8;
const KEY_PROTOCOL = -6;
const KEY_END = -5;

const TAG_BYTES = 4;
const WITH_PORTS: readonly number[] = [Protocol.Tcp, Protocol.Udp, Protocol.Sctp];
const ICMP_ERRORS: readonly number[] = [3, 4, 5, 11, 12];
const ICMPV6_ERRORS: readonly number[] = [1, 2, 3, 4];
const ICMP_ECHO = 8;
const ICMPV6_ECHO = 128;
/** Hop-by-hop, routing, fragment, destination options: the ports are further back than we look. */
const EXTENSIONS: readonly number[] = [0, 43, 44, 60];

function swap16(value: number): number {
  return ((value & 0xff) << 8) | (value >>> 8);
}

/** An address, IPv4 as ::ffff:a.b.c.d, with protocol and port; 0 and 0 stand for "anything to this address". */
export function serviceKey(address: Words, protocol: number, port: number): Uint8Array {
  const key = new Uint8Array(SERVICE_KEY);
  const view = new DataView(key.buffer);
  address.forEach((word, w) => {
    view.setUint32(w * 4, word);
  });
  view.setUint16(16, port);
  key[18] = protocol;
  return key;
}

/** struct bpf_lpm_trie_key: the prefix length, counted over 128 bits, in the machine's order; then the address. */
export function networkKey(address: Words, bits: number): Uint8Array {
  const key = new Uint8Array(NETWORK_KEY);
  key.set(serviceKey(address, 0, 0).subarray(0, 16), 4);
  new DataView(key.buffer).setUint32(0, isMapped(address) ? bits + 96 : bits, true);
  return key;
}

/** Passes unless `bytes` bytes are there from the address in `register`. */
function needs(code: BpfAssembler, register: number, bytes: number): void {
  code.register(Do.move, R.r4, register).constant(Do.add, R.r4, bytes);
  code.jumpIfRegister(If.above, R.r4, R.r3, "pass");
}

/** R2 at the MAC header (or four bytes into it, behind a tag), R3 the end, R5 the EtherType. */
function begin(code: BpfAssembler): void {
  code.register(Do.move, R.r6, R.r1).load(4, R.r2, R.r6, DATA).load(4, R.r3, R.r6, DATA_END);
  needs(code, R.r2, ETH_HEADER + TAG_BYTES);
  code.load(2, R.r5, R.r2, ETH_TYPE);
  code.jumpIf(If.equal, R.r5, swap16(EtherType.Vlan), "tag");
  code.jumpIf(If.not, R.r5, swap16(EtherType.QinQ), "untagged");
  code.label("tag").constant(Do.add, R.r2, TAG_BYTES).load(2, R.r5, R.r2, ETH_TYPE).label("untagged");
  code.storeConstant(8, R.r10, KEY, 0).storeConstant(4, R.r10, KEY_PORT, 0);
  code.jumpIf(If.equal, R.r5, swap16(EtherType.Ipv6), "ipv6");
  code.jumpIf(If.not, R.r5, swap16(EtherType.Ipv4), "pass");
}

/** Leaves the key's address, R7 at the transport header, R8 the protocol; fragments go by address. */
function ipv4(code: BpfAssembler): void {
  needs(code, R.r2, ETH_HEADER + IPV4_HEADER);
  code.storeConstant(4, R.r10, KEY + 8, -65536); // ::ffff, its low half in network order
  code.load(4, R.r5, R.r2, ETH_HEADER + IPV4_DESTINATION).store(4, R.r10, KEY + 12, R.r5);
  code.load(1, R.r5, R.r2, ETH_HEADER).constant(Do.and, R.r5, 15).constant(Do.shiftLeft, R.r5, 2);
  code.jumpIf(If.below, R.r5, IPV4_HEADER, "pass");
  code.load(1, R.r8, R.r2, ETH_HEADER + IPV4_PROTOCOL);
  code.register(Do.move, R.r7, R.r2).constant(Do.add, R.r7, ETH_HEADER).register(Do.add, R.r7, R.r5);
  code.load(2, R.r5, R.r2, ETH_HEADER + IPV4_FLAGS_OFFSET);
  code.jumpIf(If.anyBit, R.r5, swap16(IPV4_MORE_FRAGMENTS | IPV4_OFFSET_MASK), "address");
  code.jumpIf(If.equal, R.r8, Protocol.Icmp, "icmp4");
  code.goTo("ports");
}

function ipv6(code: BpfAssembler): void {
  code.label("ipv6");
  needs(code, R.r2, ETH_HEADER + IPV6_HEADER);
  for (const half of [0, 8])
    code.load(8, R.r5, R.r2, ETH_HEADER + IPV6_DESTINATION + half).store(8, R.r10, KEY + half, R.r5);
  code.load(1, R.r8, R.r2, ETH_HEADER + IPV6_NEXT_HEADER);
  code.register(Do.move, R.r7, R.r2).constant(Do.add, R.r7, ETH_HEADER + IPV6_HEADER);
  for (const extension of EXTENSIONS) code.jumpIf(If.equal, R.r8, extension, "address");
  code.jumpIf(If.equal, R.r8, Protocol.Icmpv6, "icmp6").goTo("ports");
}

/** ICMP errors and echo requests to a service's address; the rest (neighbour discovery!) is the host's. */
function icmp(code: BpfAssembler, family: number, errors: readonly number[], echo: number): void {
  code.label(`icmp${family}`);
  needs(code, R.r7, 1);
  code.load(1, R.r5, R.r7, 0).constant(Do.move, R.r9, Take.Frames);
  for (const type of errors) code.jumpIf(If.equal, R.r5, type, "find address");
  code.constant(Do.move, R.r9, Take.Echo).jumpIf(If.equal, R.r5, echo, "find address").goTo("pass");
}

/** R0 = the value of the key at the stack's `offset`, or 0 */
function lookUp(code: BpfAssembler, map: number, offset: number): void {
  code.map(R.r1, map).register(Do.move, R.r2, R.r10).constant(Do.add, R.r2, offset).call(Helper.mapLookup);
}

/** Takes the frame when the value that R0 points at has a bit of R9. */
function takeIf(code: BpfAssembler): void {
  code.load(4, R.r0, R.r0, 0).jumpIfRegister(If.anyBit, R.r0, R.r9, "take");
}

/** First the service, then a service of every port, then the networks. */
function find(code: BpfAssembler, maps: XdpMaps): void {
  code.label("ports");
  for (const protocol of WITH_PORTS) code.jumpIf(If.equal, R.r8, protocol, "with ports");
  code.goTo("pass").label("with ports");
  needs(code, R.r7, 4);
  code.load(2, R.r5, R.r7, 2).store(2, R.r10, KEY_PORT, R.r5).store(1, R.r10, KEY_PROTOCOL, R.r8);
  code.storeConstant(1, R.r10, KEY_END, 0).constant(Do.move, R.r9, Take.Frames);
  lookUp(code, maps.services, KEY);
  code.jumpIf(If.not, R.r0, 0, "take").storeConstant(2, R.r10, KEY_PORT, 0);
  lookUp(code, maps.services, KEY);
  code.jumpIf(If.not, R.r0, 0, "take").goTo("networks");
  // What shows no ports may be a piece of an echo request too.
  code
    .label("address")
    .constant(Do.move, R.r9, Take.Frames | Take.Echo)
    .label("find address");
  lookUp(code, maps.services, KEY);
  code.jumpIf(If.equal, R.r0, 0, "networks");
  takeIf(code);
  code.label("networks").storeConstant(4, R.r10, PREFIX, 128);
  lookUp(code, maps.networks, PREFIX);
  code.jumpIf(If.equal, R.r0, 0, "pass");
  takeIf(code);
}

/** The instructions, for BPF_PROG_TYPE_XDP. A queue without a socket passes its frames to the host. */
export function xdpProgram(maps: XdpMaps): Uint8Array {
  const code = new BpfAssembler();
  begin(code);
  ipv4(code);
  ipv6(code);
  icmp(code, 4, ICMP_ERRORS, ICMP_ECHO);
  icmp(code, 6, ICMPV6_ERRORS, ICMPV6_ECHO);
  find(code, maps);
  code.label("pass").constant(Do.move, R.r0, XDP_PASS).exit();
  code.label("take").map(R.r1, maps.sockets).load(4, R.r2, R.r6, QUEUE).constant(Do.move, R.r3, XDP_PASS);
  code.call(Helper.redirectMap).exit();
  return code.assemble();
}
