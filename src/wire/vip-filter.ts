/**
 * The socket filter that lets only the services' frames into the ring: an unwanted frame then costs the kernel a few
 * instructions and us nothing.
 *
 * Offsets count from the MAC header, where a raw packet socket's filter stands (af_packet pushes the header back
 * before it runs the filter). Loads relative to the network header (SKF_NET_OFF) would work from anywhere, but before
 * Linux 6.16 they see only the linear part of a buffer, and some drivers (virtio-net without GRO) leave nothing but
 * the MAC header there: every larger frame would be missed without a word.
 */
import { CbpfAssembler, type CbpfInstruction, Op, Test } from "./cbpf.ts";
import { ETH_HEADER, ETH_TYPE, EtherType } from "./ethernet.ts";
import { IPV4_DESTINATION, IPV4_PROTOCOL, Protocol } from "./ipv4.ts";

/** IPv4 addresses as u32; `bits` of `address` count. */
export interface Ipv4Network {
  readonly address: number;
  readonly bits: number;
}

export interface VipFilterOptions {
  /** IP protocols to take for the VIPs; ICMP, TCP and UDP by default. Fragments carry their datagram's. */
  readonly protocols?: readonly number[];
  /** The director's own addresses: ICMP errors to them are taken too. */
  readonly dips?: readonly number[];
  /** The most address ranges searched; more are joined with their neighbours, and a few unwanted frames come in. */
  readonly ranges?: number;
}

interface Range {
  readonly low: number;
  readonly high: number;
}

const PROTOCOL = ETH_HEADER + IPV4_PROTOCOL;
const DESTINATION = ETH_HEADER + IPV4_DESTINATION;
/** RFC 792: unreachable, source quench, redirect, time exceeded, parameter problem. */
const ICMP_ERRORS = [3, 4, 5, 11, 12] as const;
const PROTOCOLS: readonly number[] = [Protocol.Icmp, Protocol.Tcp, Protocol.Udp];
/** What fits net.core.optmem_max of older kernels (20 KiB), whose count is of translated instructions. */
const RANGES = 300;
const WHOLE = 0xffff_ffff;

/** Sorted ranges that do not touch each other. */
function rangesOf(vips: readonly number[], networks: readonly Ipv4Network[]): Range[] {
  const all = vips.map((vip) => ({ low: vip >>> 0, high: vip >>> 0 }));
  for (const { address, bits } of networks) {
    const host = bits === 0 ? 0xffff_ffff : (2 ** (32 - bits) - 1) >>> 0;
    const low = (address & ~host) >>> 0;
    all.push({ low, high: (low | host) >>> 0 });
  }
  all.sort((a, b) => a.low - b.low);
  const joined: Range[] = [];
  for (const range of all) {
    const last = joined.at(-1);
    if (last && range.low <= last.high + 1)
      joined[joined.length - 1] = { low: last.low, high: Math.max(last.high, range.high) };
    else joined.push(range);
  }
  return joined;
}

/** Joins ranges over the smallest gaps until no more than `limit` are left. */
function coarsen(ranges: readonly Range[], limit: number): readonly Range[] {
  if (ranges.length <= limit) return ranges;
  const gaps = ranges.slice(1).map((range, i) => ({ i: i + 1, gap: range.low - ranges[i]!.high }));
  gaps.sort((a, b) => b.gap - a.gap);
  const starts = [0, ...gaps.slice(0, limit - 1).map(({ i }) => i)].sort((a, b) => a - b);
  return starts.map((start, n) => ({
    low: ranges[start]!.low,
    high: ranges[(starts[n + 1] ?? ranges.length) - 1]!.high,
  }));
}

/** Compares A with the ranges from..to, halving; goes to `hit` or `miss`. */
function search(
  code: CbpfAssembler,
  ranges: readonly Range[],
  from: number,
  to: number,
  hit: string,
  miss: string,
): void {
  if (from === to) {
    const { low, high } = ranges[from]!;
    if (low === high) code.jump(Test.equal, low, hit, miss);
    else code.jump(Test.atLeast, low, "", miss).jump(Test.above, high, miss, hit);
    return;
  }
  const middle = (from + to + 1) >>> 1;
  const upper = `${hit}-${middle}-${to}`;
  code.jump(Test.atLeast, ranges[middle]!.low, upper, "");
  search(code, ranges, from, middle - 1, hit, miss);
  code.label(upper);
  search(code, ranges, middle, to, hit, miss);
}

/**
 * Takes IPv4 frames of the protocols, whole or fragments, to any of the VIPs and networks, and ICMP errors to the
 * DIPs; nothing else, ARP neither. A VLAN tag that the kernel has stripped does not matter.
 */
export function vipFilter(
  vips: readonly number[],
  networks: readonly Ipv4Network[] = [],
  options: VipFilterOptions = {},
): CbpfInstruction[] {
  const ranges = coarsen(rangesOf(vips, networks), Math.max(1, options.ranges ?? RANGES));
  const code = new CbpfAssembler();
  code.emit(Op.ldh, ETH_TYPE).jump(Test.equal, EtherType.Ipv4, "", "drop");
  if (ranges.length > 0) {
    code.emit(Op.ldb, PROTOCOL);
    for (const protocol of options.protocols ?? PROTOCOLS) code.jump(Test.equal, protocol, "ours", "");
    code.goTo("dip").label("ours").emit(Op.ld, DESTINATION);
    search(code, ranges, 0, ranges.length - 1, "take", "dip");
  }
  code.label("dip");
  const dips = options.dips ?? [];
  if (dips.length > 0) {
    code.emit(Op.ldb, PROTOCOL).jump(Test.equal, Protocol.Icmp, "", "drop").emit(Op.ld, DESTINATION);
    for (const dip of dips) code.jump(Test.equal, dip, "error", "");
    code.emit(Op.ret, 0).label("error");
    code.emit(Op.ldxHeader, ETH_HEADER).emit(Op.ldbX, ETH_HEADER);
    for (const type of ICMP_ERRORS) code.jump(Test.equal, type, "take", "");
  }
  code.label("drop").emit(Op.ret, 0).label("take").emit(Op.ret, WHOLE);
  return code.assemble();
}
