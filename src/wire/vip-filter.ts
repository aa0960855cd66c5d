/**
 * The socket filter that lets only the services' frames into the ring: an unwanted frame then costs the kernel a few
 * instructions and us nothing.
 *
 * Offsets count from the MAC header, where a raw packet socket's filter stands (af_packet pushes the header back
 * before it runs the filter). Loads relative to the network header (SKF_NET_OFF) would work from anywhere, but before
 * Linux 6.16 they see only the linear part of a buffer, and some drivers (virtio-net without GRO) leave nothing but
 * the MAC header there: every larger frame would be missed without a word.
 */
import type { Words } from "./address.ts";
import { CbpfAssembler, type CbpfInstruction, Op, Test } from "./cbpf.ts";
import { ETH_HEADER, ETH_TYPE, EtherType } from "./ethernet.ts";
import { IPV4_DESTINATION, IPV4_PROTOCOL, Protocol } from "./ipv4.ts";
import { IPV6_DESTINATION, IPV6_NEXT_HEADER } from "./ipv6.ts";
import { type Prefix, searchPrefixes } from "./prefix-search.ts";

/** IPv4 addresses as u32; `bits` of `address` count. */
export interface Ipv4Network {
  readonly address: number;
  readonly bits: number;
}

export interface Ipv6Network {
  readonly address: Words;
  readonly bits: number;
}

export interface VipFilterOptions {
  /** The director's own IPv4 addresses: ICMP errors to them are taken too. */
  readonly dips?: readonly number[];
  readonly networks6?: readonly Ipv6Network[];
  /** The most prefixes searched per family; more are joined, and a few unwanted frames come in. */
  readonly limit?: number;
  readonly limit6?: number;
}

/** What a service can be of, and ICMP, which speaks about it. A fragment names its datagram's protocol. */
const PROTOCOLS: readonly number[] = [Protocol.Tcp, Protocol.Udp, Protocol.Icmp, Protocol.Sctp];
/** IPv6 names the first extension header instead, where there is one: hop-by-hop, routing, fragment, destination. */
const PROTOCOLS6: readonly number[] = [
  Protocol.Tcp,
  Protocol.Udp,
  Protocol.Icmpv6,
  Protocol.Sctp,
  0,
  43,
  44,
  60,
];
/** RFC 792: unreachable, source quench, redirect, time exceeded, parameter problem. */
const ICMP_ERRORS = [3, 4, 5, 11, 12] as const;
/** What fits net.core.optmem_max of older kernels (20 KiB), whose count is of translated instructions. */
const LIMIT = 300;
const LIMIT6 = 100;
const WHOLE = 0xffff_ffff;

/** Goes to `yes` when A is one of the values. */
function oneOf(code: CbpfAssembler, values: readonly number[], yes: string): void {
  for (const value of values) code.jump(Test.equal, value, yes, "");
}

function ipv4(code: CbpfAssembler, prefixes: readonly Prefix[], options: VipFilterOptions): void {
  const dips = options.dips ?? [];
  const miss = dips.length > 0 ? "dip" : "drop4";
  code.emit(Op.ldb, ETH_HEADER + IPV4_PROTOCOL);
  oneOf(code, PROTOCOLS, "ours4");
  code.emit(Op.ret, 0).label("ours4");
  const at = { offset: ETH_HEADER + IPV4_DESTINATION, words: 1, limit: options.limit ?? LIMIT };
  searchPrefixes(code, prefixes, at, { hit: "take4", miss });
  if (dips.length > 0) icmpErrors(code, dips);
  code.label("drop4").emit(Op.ret, 0).label("take4").emit(Op.ret, WHOLE);
}

function icmpErrors(code: CbpfAssembler, dips: readonly number[]): void {
  code.label("dip").emit(Op.ldb, ETH_HEADER + IPV4_PROTOCOL);
  code.jump(Test.equal, Protocol.Icmp, "", "drop4").emit(Op.ld, ETH_HEADER + IPV4_DESTINATION);
  oneOf(code, dips, "error");
  code.emit(Op.ret, 0).label("error").emit(Op.ldxHeader, ETH_HEADER).emit(Op.ldbX, ETH_HEADER);
  oneOf(code, ICMP_ERRORS, "take4");
}

function ipv6(code: CbpfAssembler, prefixes: readonly Prefix[], options: VipFilterOptions): void {
  code.emit(Op.ldb, ETH_HEADER + IPV6_NEXT_HEADER);
  oneOf(code, PROTOCOLS6, "ours6");
  code.emit(Op.ret, 0).label("ours6");
  const at = { offset: ETH_HEADER + IPV6_DESTINATION, words: 4, limit: options.limit6 ?? LIMIT6 };
  searchPrefixes(code, prefixes, at, { hit: "take6", miss: "drop6" });
  code.label("drop6").emit(Op.ret, 0).label("take6").emit(Op.ret, WHOLE);
}

/**
 * Takes frames of TCP, UDP, SCTP and ICMP, whole or fragments, to any of the VIPs (u32) and networks of either family,
 * and ICMP errors to the DIPs; nothing else, ARP neither. A VLAN tag that the kernel has stripped does not matter.
 */
export function vipFilter(
  vips: readonly number[],
  networks: readonly Ipv4Network[] = [],
  options: VipFilterOptions = {},
): CbpfInstruction[] {
  const four: Prefix[] = [
    ...vips.map((vip) => ({ words: [vip >>> 0], bits: 32 })),
    ...networks.map(({ address, bits }) => ({ words: [address >>> 0], bits })),
  ];
  const six = (options.networks6 ?? []).map(({ address, bits }) => ({
    words: address.map((word) => word >>> 0),
    bits,
  }));
  const code = new CbpfAssembler();
  code.emit(Op.ldh, ETH_TYPE).jump(Test.equal, EtherType.Ipv4, "ipv4", "");
  if (six.length > 0) {
    code.jump(Test.equal, EtherType.Ipv6, "", "neither");
    ipv6(code, six, options);
  }
  code.label("neither").emit(Op.ret, 0).label("ipv4");
  ipv4(code, four, options);
  return code.assemble();
}
