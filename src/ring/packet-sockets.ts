/**
 * The kernel side of the AF_PACKET ring, opened by the control thread: per shard a receiving socket with its ring, a
 * sending socket and an eventfd. What comes back are plain numbers, because a descriptor belongs to the process: a
 * shard maps its ring by them (packet-ring.ts), and when the shard dies the socket and what waits in the ring stay.
 */
import { type CbpfInstruction, encodeCbpf } from "../wire/cbpf.ts";
import { isNativeError, native } from "./native.ts";

/** What a shard needs to map its ring; survives structured clone and JSON. */
export interface PacketSockets {
  /** Receiving socket: its TPACKET_V2 ring, and super-frames by recv() when `copies`. */
  readonly rx: number;
  readonly tx: number;
  /** eventfd that ends a wait() at once. */
  readonly wake: number;
  readonly slots: number;
  /** A power of two. */
  readonly slotBytes: number;
  /** True when frames longer than a slot are fetched by recv(); false when a slot holds the longest. */
  readonly copies: boolean;
}

export interface PacketSocketOptions {
  readonly interfaceName: string;
  /** How many shards share the interface; each gets its own sockets. */
  readonly shards: number;
  /** Takes the frames that enter the ring (wire/cbpf.ts, vipFilter); everything when absent. */
  readonly filter?: readonly CbpfInstruction[];
  /**
   * With several shards: the program whose result modulo shards picks one, and a number for the group. A number that
   * others use already would share our frames with them; without one the kernel finds one that nobody uses.
   */
  readonly fanout?: { readonly group?: number; readonly program: readonly CbpfInstruction[] };
  /** Ring slots a shard, and their size; by default 4096 that hold a frame of the link's MTU. */
  readonly slots?: number;
  readonly slotBytes?: number;
  /**
   * Sends past the queueing discipline: faster, but invisible to tcpdump on this host and with more loss under
   * pressure. Default true.
   */
  readonly qdiscBypass?: boolean;
  /**
   * How super-frames come: "copy" by recv() from a socket buffer of 16 MB, "slots" in slots of 128 KiB, "auto" slots
   * only where the buffer is refused (user namespaces with a small net.core.rmem_max).
   */
  readonly superFrames?: "auto" | "copy" | "slots";
}

const AF_PACKET = 17;
const SOCK_RAW = 3;
const ETH_P_ALL = 3;

const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;

const SOL_PACKET = 263;
const PACKET_RX_RING = 5;
const PACKET_COPY_THRESH = 7;
const PACKET_VERSION = 10;
const PACKET_RESERVE = 12;
const PACKET_VNET_HDR = 15;
const PACKET_FANOUT = 18;
const PACKET_QDISC_BYPASS = 20;
const PACKET_IGNORE_OUTGOING = 23;

const TPACKET_V2 = 1;
/** PACKET_FANOUT_CBPF without PACKET_FANOUT_FLAG_DEFRAG: reassembling would hand us datagrams that were never sent. */
const FANOUT_CBPF = 6;
/** PACKET_FANOUT_FLAG_UNIQUEID (Linux 4.14): the kernel chooses a group that does not exist yet. */
const FANOUT_UNIQUE = 0x2000;

/** With 2 bytes reserved the Ethernet header lands at 2 mod 4 and IP on a multiple of 4. */
const RESERVE = 2;
/** Bytes of a slot before the MAC header: tpacket2_hdr, sockaddr_ll, reserve, virtio header (packet_mmap). */
const BEFORE_MAC = 78;
const ETHERNET_AND_TAG = 18;
const MIN_SLOT = 2048;
const BIG_SLOT = 131_072;
const SLOTS = 4096;
/** 32 MiB of kernel memory a shard; a burst is 64. */
const BIG_SLOTS = 256;
/** The kernel would try to give more, and kill other processes for it: this memory is never swapped out. */
const RING_LIMIT = 512 * 1024 * 1024;

const COPY_BUFFER = 16 * 1024 * 1024;
/** With less than this granted (it counts buffers' true sizes) too many super-frames lose their copy. */
const COPY_BUFFER_ENOUGH = 8 * 1024 * 1024;
const SEND_BUFFER = 8 * 1024 * 1024;

/** Drops everything: what a socket has until the whole group stands, so that no frame comes twice. */
const NOTHING: readonly CbpfInstruction[] = [{ code: 0x06, jt: 0, jf: 0, k: 0 }];
const EVERYTHING: readonly CbpfInstruction[] = [{ code: 0x06, jt: 0, jf: 0, k: 0xffff_ffff }];

function slotFor(mtu: number): number {
  let slot = MIN_SLOT;
  while (slot < mtu + ETHERNET_AND_TAG + BEFORE_MAC) slot *= 2;
  return slot;
}

/** Asks for a socket buffer, by privilege first; returns what was granted, in the kernel's doubled count. */
function growBuffer(fd: number, force: number, plain: number, bytes: number): number {
  const addon = native();
  try {
    addon.setOption(fd, SOL_SOCKET, force, bytes);
  } catch (error) {
    if (!isNativeError(error, "EPERM")) throw error;
    addon.setOption(fd, SOL_SOCKET, plain, bytes);
  }
  const granted = new Int32Array(1);
  addon.getOption(fd, SOL_SOCKET, plain, granted);
  return granted[0]!;
}

/** How the ring is cut, by what the socket's buffer was granted; exported for its test. */
export function chooseSlots(
  options: Pick<PacketSocketOptions, "slots" | "slotBytes" | "superFrames">,
  mtu: number,
  granted: number,
): { copies: boolean; slotBytes: number; slots: number } {
  const wish = options.superFrames ?? "auto";
  const copies = wish === "copy" || (wish === "auto" && granted >= COPY_BUFFER_ENOUGH);
  const slotBytes = options.slotBytes ?? (copies ? slotFor(mtu) : BIG_SLOT);
  if (slotBytes < MIN_SLOT || (slotBytes & (slotBytes - 1)) !== 0)
    throw new RangeError(`slotBytes must be a power of two from ${MIN_SLOT} on, not ${slotBytes}`);
  // As many bytes as the usual ring, within bounds: jumbo slots must not ask for 64 MiB unasked.
  const slots = options.slots ?? (copies ? Math.max(512, (SLOTS * MIN_SLOT) / slotBytes) : BIG_SLOTS);
  if (slots * slotBytes > RING_LIMIT)
    throw new RangeError(`a ring of ${slots} slots of ${slotBytes} bytes is more than ${RING_LIMIT} bytes`);
  return { copies, slotBytes, slots };
}

function makeRing(rx: number, slots: number, slotBytes: number): void {
  // A block is at least a slot, so that frames stay contiguous from block to block (packet_mmap).
  const block = Math.max(slotBytes, 65_536);
  const blocks = (slots * slotBytes) / block;
  if (!Number.isInteger(blocks) || blocks < 1)
    throw new RangeError(`slots must fill whole blocks of ${block} bytes: ${slots} of ${slotBytes} do not`);
  native().setOption(rx, SOL_PACKET, PACKET_RX_RING, Uint32Array.of(block, blocks, slotBytes, slots));
}

function openReceiver(options: PacketSocketOptions, index: number, mtu: number) {
  const addon = native();
  const rx = addon.socket(AF_PACKET, SOCK_RAW, 0); // protocol 0: receives nothing before bind
  try {
    const granted =
      options.superFrames === "slots" ? 0 : growBuffer(rx, SO_RCVBUFFORCE, SO_RCVBUF, COPY_BUFFER);
    const shape = chooseSlots(options, mtu, granted);
    addon.setOption(rx, SOL_PACKET, PACKET_VERSION, TPACKET_V2);
    addon.setOption(rx, SOL_PACKET, PACKET_RESERVE, RESERVE);
    addon.setOption(rx, SOL_PACKET, PACKET_VNET_HDR, 1); // before the ring: it moves the frames
    addon.setOption(rx, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
    if (shape.copies) addon.setOption(rx, SOL_PACKET, PACKET_COPY_THRESH, shape.slotBytes);
    makeRing(rx, shape.slots, shape.slotBytes);
    addon.attachFilter(rx, encodeCbpf(NOTHING));
    addon.bindPacket(rx, index, ETH_P_ALL);
    return { rx, ...shape };
  } catch (error) {
    addon.close(rx);
    throw error;
  }
}

function openSender(options: PacketSocketOptions, index: number): number {
  const addon = native();
  const tx = addon.socket(AF_PACKET, SOCK_RAW, 0);
  try {
    addon.setOption(tx, SOL_PACKET, PACKET_VNET_HDR, 1);
    if (options.qdiscBypass ?? true) addon.setOption(tx, SOL_PACKET, PACKET_QDISC_BYPASS, 1);
    growBuffer(tx, SO_SNDBUFFORCE, SO_SNDBUF, SEND_BUFFER);
    addon.bindPacket(tx, index, 0);
    return tx;
  } catch (error) {
    addon.close(tx);
    throw error;
  }
}

/** One shard's three descriptors; none stays open when one of them fails. */
function openOne(options: PacketSocketOptions, index: number, mtu: number): PacketSockets {
  const receiver = openReceiver(options, index, mtu);
  const open = [receiver.rx];
  try {
    const tx = openSender(options, index);
    open.push(tx);
    return { ...receiver, tx, wake: native().eventFd() };
  } catch (error) {
    for (const fd of open) native().close(fd);
    throw error;
  }
}

/**
 * Opens the sockets of all shards on one interface, in shard order, in the calling thread's network namespace. No
 * frame enters a ring before all of them are in the fanout group. Throws a NativeError, with nothing left open.
 */
export function openPacketSockets(options: PacketSocketOptions): PacketSockets[] {
  const link = native().link(options.interfaceName);
  const opened: PacketSockets[] = [];
  let group = options.fanout?.group;
  try {
    for (let shard = 0; shard < options.shards; shard++) {
      const sockets = openOne(options, link.index, link.mtu);
      opened.push(sockets);
      if (options.fanout === undefined || options.shards === 1) continue;
      if (group === undefined) group = beginFanout(sockets.rx);
      else joinFanout(sockets.rx, group);
      if (shard === 0) native().attachFanout(sockets.rx, encodeCbpf(options.fanout.program));
    }
    for (const sockets of opened) setPacketFilter(sockets, options.filter);
    return opened;
  } catch (error) {
    for (const sockets of opened) closePacketSockets(sockets);
    throw error;
  }
}

/** Founds a group of its own; its number. */
function beginFanout(rx: number): number {
  const chosen = new Int32Array(1);
  try {
    native().setOption(rx, SOL_PACKET, PACKET_FANOUT, (FANOUT_CBPF | FANOUT_UNIQUE) << 16);
  } catch (error) {
    if (!isNativeError(error, "EINVAL")) throw error;
    joinFanout(rx, process.pid); // an older kernel
  }
  native().getOption(rx, SOL_PACKET, PACKET_FANOUT, chosen);
  return chosen[0]! & 0xffff;
}

function joinFanout(rx: number, group: number): void {
  native().setOption(rx, SOL_PACKET, PACKET_FANOUT, (group & 0xffff) | (FANOUT_CBPF << 16));
}

/** Replaces the filter in one step; frames that are in the ring already stay there. */
export function setPacketFilter(
  sockets: PacketSockets,
  filter: readonly CbpfInstruction[] = EVERYTHING,
): void {
  native().attachFilter(sockets.rx, encodeCbpf(filter));
}

/** Ends the shard's wait() at once, from any thread. */
export function wakeRing(sockets: { readonly wake: number }): void {
  native().signal(sockets.wake);
}

/** Closes the descriptors; the kernel frees the ring once no shard maps it either. */
export function closePacketSockets(sockets: PacketSockets): void {
  native().close(sockets.rx);
  native().close(sockets.tx);
  native().close(sockets.wake);
}
