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

export interface FlowHashParameters {
  /** The region's secret, u32. */
  readonly seed: number;
  /** HASH_MULTIPLIERS of table/hash.ts. */
  readonly multipliers: readonly [number, number, number];
}

/** More fragments, or an offset: either way another fragment has no ports. */
const FRAGMENT_BITS = IPV4_MORE_FRAGMENTS | IPV4_OFFSET_MASK;
const WITH_PORTS: readonly number[] = [Protocol.Tcp, Protocol.Udp, Protocol.Sctp];

/** Scratch word that keeps the ports. */
const PORTS = 0;

/** A ^= A >> bits */
function fold(code: CbpfAssembler, bits: number): CbpfAssembler {
  return code.emit(Op.tax).emit(Op.rsh, bits).emit(Op.xorX);
}

/**
 * Fragments, all of a datagram's alike, and protocols without ports count as ports 0, so that a datagram's fragments
 * meet in one shard. A frame that is not IPv4 or is cut short goes to shard 0.
 */
export function fanoutByFlow(parameters: FlowHashParameters): CbpfInstruction[] {
  const [first, second, third] = parameters.multipliers;
  const code = new CbpfAssembler();
  code.emit(Op.ldb, 0).emit(Op.rsh, 4).jump(Test.equal, 4, "", "other");
  code.emit(Op.ldh, IPV4_FLAGS_OFFSET).jump(Test.anyBit, FRAGMENT_BITS, "none", "");
  code.emit(Op.ldb, IPV4_PROTOCOL);
  for (const protocol of WITH_PORTS) code.jump(Test.equal, protocol, "ports", "");
  code.label("none").emit(Op.ldImm, 0).goTo("mix");
  code.label("ports").emit(Op.ldxHeader, 0).emit(Op.ldX, 0);
  code.label("mix").emit(Op.st, PORTS);
  code.emit(Op.ld, IPV4_SOURCE).emit(Op.xor, parameters.seed).emit(Op.mul, first);
  fold(code, 15).emit(Op.ldxMem, PORTS).emit(Op.xorX).emit(Op.mul, second);
  fold(code, 13).emit(Op.tax).emit(Op.ld, IPV4_DESTINATION).emit(Op.addX).emit(Op.mul, third);
  fold(code, 16).emit(Op.retA);
  code.label("other").emit(Op.ret, 0);
  return code.assemble();
}
