/**
 * Half-done checksums, where no header tells of them (AF_XDP): a sender on the same machine leaves the sum of the
 * pseudo-header in the TCP or UDP checksum field and counts on a NIC to add the rest. A field that equals that sum is
 * taken for half done and completed; were it a finished checksum after all, completing writes the same value again.
 */
import { fold, pseudoHeaderSum, pseudoHeaderSum6 } from "../wire/checksum.ts";
import { ETH_HEADER, ETH_TYPE, EtherType } from "../wire/ethernet.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as ipv6 from "../wire/ipv6.ts";

const TAG_BYTES = 4;
const TCP_CHECKSUM = 16;
const UDP_CHECKSUM = 6;
/** Enough of either header to hold its checksum. */
const TCP_LEAST = 20;
const UDP_LEAST = 8;

/** A ring's memory in the three ways it is read here. */
export interface Memory {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly words: Uint32Array;
}

/** Completes the checksum of the frame at `at` (2 mod 4) if it is half done; true when it was. */
export function completeChecksum(memory: Memory, at: number, length: number): boolean {
  const { view } = memory;
  const end = at + length;
  if (length < ETH_HEADER + TAG_BYTES) return false;
  let ip = at + ETH_HEADER;
  let type = view.getUint16(at + ETH_TYPE);
  if (type === EtherType.Vlan || type === EtherType.QinQ) {
    type = view.getUint16(at + ETH_TYPE + TAG_BYTES);
    ip += TAG_BYTES;
  }
  if (type === EtherType.Ipv4) return complete4(memory, ip, end);
  return type === EtherType.Ipv6 && complete6(memory, ip, end);
}

function complete4(memory: Memory, ip: number, end: number): boolean {
  const { view } = memory;
  if (ip + ipv4.IPV4_HEADER > end) return false;
  const header = ipv4.headerLength(view, ip);
  const size = ipv4.totalLength(view, ip) - header;
  // A fragment's checksum was finished before it was cut.
  if (header < ipv4.IPV4_HEADER || ip + header + size > end || ipv4.isFragment(view, ip)) return false;
  const protocol = ipv4.protocol(view, ip);
  const field = checksumField(protocol, ip + header, size);
  if (field < 0) return false;
  const pseudo = pseudoHeaderSum(ipv4.source(view, ip), ipv4.destination(view, ip), protocol, size);
  return finishField(memory, ip + header, size, field, pseudo, protocol);
}

function complete6(memory: Memory, ip: number, end: number): boolean {
  const { view } = memory;
  if (ip + ipv6.IPV6_HEADER > end) return false;
  const size = ipv6.payloadLength(view, ip);
  const transport = ip + ipv6.IPV6_HEADER;
  const protocol = ipv6.nextHeader(view, ip);
  const field = transport + size > end ? -1 : checksumField(protocol, transport, size);
  if (field < 0) return false;
  const pseudo = pseudoHeaderSum6(view, ip + ipv6.IPV6_SOURCE, protocol, size);
  return finishField(memory, transport, size, field, pseudo, protocol);
}

/** Where the checksum stands, or -1 for what has none that NICs finish. */
function checksumField(protocol: number, transport: number, size: number): number {
  if (protocol === ipv4.Protocol.Tcp) return size >= TCP_LEAST ? transport + TCP_CHECKSUM : -1;
  return protocol === ipv4.Protocol.Udp && size >= UDP_LEAST ? transport + UDP_CHECKSUM : -1;
}

function finishField(
  memory: Memory,
  transport: number,
  size: number,
  field: number,
  pseudo: number,
  protocol: number,
): boolean {
  const { view } = memory;
  if (view.getUint16(field) !== fold(pseudo)) return false;
  // The pseudo-header's sum stands in the field, so the sum over all of it is the whole one.
  const sum = ~sumOf(memory, transport, size) & 0xffff;
  // RFC 768: a UDP checksum of 0 would say that there is none.
  view.setUint16(field, sum === 0 && protocol === ipv4.Protocol.Udp ? 0xffff : sum);
  return true;
}

/**
 * The 16-bit ones' complement sum, in 32-bit words of the machine's order: the order of the bytes comes out in the end
 * (RFC 1071 §2 B). `at` is a multiple of 4, as our rings place every transport header.
 */
function sumOf({ bytes, words }: Memory, at: number, size: number): number {
  const whole = at + (size & ~3);
  let total = 0;
  for (let word = at >>> 2, end = whole >>> 2; word < end; word++) total += words[word]!;
  for (let i = whole, shift = 0; i < at + size; i++, shift += 8) total += bytes[i]! * 2 ** shift;
  const folded = fold((total % 0x1_0000_0000) + Math.floor(total / 0x1_0000_0000));
  return ((folded & 0xff) << 8) | (folded >>> 8);
}
