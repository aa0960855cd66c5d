/**
 * The program by which the kernel's packet fanout brings each frame to its flow's shard: the same sum as flowHash
 * (table/hash.ts) does, of which the kernel takes the remainder by the number of sockets in the group.
 *
 * Offsets count from the network header, where a fanout program stands (it runs before af_packet pushes the MAC header
 * back), for the reason given in vip-filter.ts.
 */
import { CbpfAssembler, type CbpfInstruction, Op, Test } from "./cbpf.ts";
import {
  IPV4_DESTINATION,
  IPV4_FLAGS_OFFSET,
  IPV4_MORE_FRAGMENTS,
  IPV4_OFFSET_MASK,
  IPV4_PROTOCOL,
  IPV4_SOURCE,
  Protocol,
} from "./ipv4.ts";
import { IPV6_DESTINATION, IPV6_HEADER, IPV6_NEXT_HEADER, IPV6_SOURCE } from "./ipv6.ts";

export interface FlowHashParameters {
  /** The region's secret, u32. */
  readonly seed: number;
  /** HASH_MULTIPLIERS of table/hash.ts. */
  readonly multipliers: readonly [number, number, number];
}

/** More fragments, or an offset: either way another fragment has no ports. */
const FRAGMENT_BITS = IPV4_MORE_FRAGMENTS | IPV4_OFFSET_MASK;
const WITH_PORTS: readonly number[] = [Protocol.Tcp, Protocol.Udp, Protocol.Sctp];
/** foldAddress's first step, table/hash.ts. */
const FOLD_SALT = 0x27d4eb2f;

/** Scratch words. */
const PORTS = 0;
const CLIENT = 1;
const VIRTUAL = 2;

/** A ^= A >> bits */
function fold(code: CbpfAssembler, bits: number): CbpfAssembler {
  return code.emit(Op.tax).emit(Op.rsh, bits).emit(Op.xorX);
}

/** A ^= the word at `offset` */
function xorWord(code: CbpfAssembler, offset: number): CbpfAssembler {
  return code.emit(Op.tax).emit(Op.ld, offset).emit(Op.xorX);
}

function ipv4(code: CbpfAssembler): void {
  code.emit(Op.ld, IPV4_SOURCE).emit(Op.st, CLIENT).emit(Op.ld, IPV4_DESTINATION).emit(Op.st, VIRTUAL);
  code.emit(Op.ldh, IPV4_FLAGS_OFFSET).jump(Test.anyBit, FRAGMENT_BITS, "none", "");
  code.emit(Op.ldb, IPV4_PROTOCOL);
  for (const protocol of WITH_PORTS) code.jump(Test.equal, protocol, "ports4", "");
  code.goTo("none").label("ports4").emit(Op.ldxHeader, 0).emit(Op.ldX, 0).goTo("mix");
}

/** foldAddress over the four words at `offset`, into a scratch word. */
function foldAddress(
  code: CbpfAssembler,
  offset: number,
  into: number,
  parameters: FlowHashParameters,
): void {
  const [first, second, third] = parameters.multipliers;
  code.emit(Op.ld, offset).emit(Op.xor, FOLD_SALT).emit(Op.mul, first);
  xorWord(fold(code, 15), offset + 4).emit(Op.mul, second);
  xorWord(fold(code, 13), offset + 8).emit(Op.mul, third);
  xorWord(fold(code, 16), offset + 12).emit(Op.st, into);
}

/** Behind extension headers no ports are looked for: the shard that gets such a frame hands it to its home. */
function ipv6(code: CbpfAssembler, parameters: FlowHashParameters): void {
  foldAddress(code, IPV6_SOURCE, CLIENT, parameters);
  foldAddress(code, IPV6_DESTINATION, VIRTUAL, parameters);
  code.emit(Op.ldb, IPV6_NEXT_HEADER);
  for (const protocol of WITH_PORTS) code.jump(Test.equal, protocol, "ports6", "");
  code.goTo("none").label("ports6").emit(Op.ld, IPV6_HEADER).goTo("mix");
}

/**
 * Fragments, all of a datagram's alike, and protocols without ports count as ports 0, so that a datagram's fragments
 * meet in one shard. A frame that is not IP or is cut short goes to shard 0.
 */
export function fanoutByFlow(parameters: FlowHashParameters): CbpfInstruction[] {
  const [first, second, third] = parameters.multipliers;
  const code = new CbpfAssembler();
  code.emit(Op.ldb, 0).emit(Op.rsh, 4).jump(Test.equal, 4, "ipv4", "").jump(Test.equal, 6, "", "other");
  ipv6(code, parameters);
  code.label("other").emit(Op.ret, 0);
  ipv4(code.label("ipv4"));
  code.label("none").emit(Op.ldImm, 0).label("mix").emit(Op.st, PORTS);
  code.emit(Op.ldMem, CLIENT).emit(Op.xor, parameters.seed).emit(Op.mul, first);
  fold(code, 15).emit(Op.ldxMem, PORTS).emit(Op.xorX).emit(Op.mul, second);
  fold(code, 13).emit(Op.ldxMem, VIRTUAL).emit(Op.addX).emit(Op.mul, third);
  fold(code, 16).emit(Op.retA);
  return code.assemble();
}
