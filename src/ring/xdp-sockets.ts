/**
 * The kernel side of the AF_XDP ring, opened by the control thread: one socket with its four rings and its memory per
 * queue of the interface, and the XDP program that fills them. Everything hangs on descriptors of this process: when
 * the process ends, however it ends, the program is detached and nothing stays behind.
 */
import { NETWORK_KEY, SERVICE_KEY, TAKE_VALUE, xdpProgram } from "../wire/xdp-program.ts";
import { isNativeError, type NativeError, native } from "./native.ts";

/** Where in a mapped ring its words stand (XDP_MMAP_OFFSETS), in bytes. */
export interface XdpRingOffsets {
  readonly producer: number;
  readonly consumer: number;
  readonly descriptors: number;
}

/** How frames come from the driver: into our memory itself, copied by the driver, or copied by the stack. */
export type XdpMode = "zero-copy" | "native copy" | "generic";

/** What a shard needs to map its ring; survives structured clone and JSON. */
export interface XdpSockets {
  readonly fd: number;
  /** eventfd that ends a wait() at once. */
  readonly wake: number;
  /** memfd: the frames' chunks, then a byte a chunk that says who has it. */
  readonly memory: number;
  readonly chunkBytes: number;
  /** Chunks for frames received; as many more as `own` for frames of our own. */
  readonly chunks: number;
  readonly own: number;
  /** Descriptors of each ring: a power of two, no less than there are chunks. */
  readonly ringSize: number;
  readonly receive: XdpRingOffsets;
  readonly send: XdpRingOffsets;
  readonly fill: XdpRingOffsets;
  readonly completion: XdpRingOffsets;
  readonly mode: XdpMode;
}

export interface XdpSocketOptions {
  readonly interfaceName: string;
  /** The modes to try, in this order. */
  readonly modes: readonly XdpMode[];
  /** Chunks per queue for frames received, a power of two; default 4096. */
  readonly chunks?: number;
  /** Told of each mode that was not to be had. */
  readonly refused?: (mode: XdpMode, error: Error) => void;
}

/** What belongs to the sockets of an interface together: the program that is attached to it, and its maps. */
export interface XdpHandles {
  readonly link: number;
  readonly program: number;
  readonly services: number;
  readonly networks: number;
  /** Queue → socket. */
  readonly sockets: number;
}

/** Which frames are taken: keys as xdp-program.ts says. */
export type Take = (
  services: readonly Uint8Array[],
  networks: readonly Uint8Array[],
  echo: readonly Uint8Array[],
) => void;

/** The open rings and what belongs to them. */
export interface XdpInterface {
  /** One for each queue of the interface, in order. */
  readonly sockets: readonly XdpSockets[];
  readonly mode: XdpMode;
  /** Why the modes before the one we got were refused. */
  readonly refusals: readonly string[];
  readonly handles: XdpHandles;
  /** Replaces what was taken. */
  readonly take: Take;
  /** Says what is taken already, by maps that another process has filled. */
  readonly taken: Take;
  close(): void;
}

const AF_XDP = 44;
const SOCK_RAW = 3;
const SOL_XDP = 283;
const XDP_MMAP_OFFSETS = 1;
const XDP_RX_RING = 2;
const XDP_TX_RING = 3;
const XDP_FILL_RING = 5;
const XDP_COMPLETION_RING = 6;
const XDP_OPTIONS = 8;
const XDP_MAX_TX_SKB_BUDGET = 9;
const XDP_OPTIONS_ZEROCOPY = 1;
const BIND_COPY = 2;
const BIND_ZEROCOPY = 4;

export const FILL_OFFSET = 0x1_0000_0000;

const BPF_MAP_HASH = 1;
const BPF_MAP_LPM_TRIE = 11;
const BPF_MAP_XSKMAP = 17;
const BPF_F_NO_PREALLOC = 1;
const BPF_PROG_XDP = 6;
const BPF_ATTACH_XDP = 37;
const XDP_GENERIC = 2;
const XDP_NATIVE = 4;

/** The kernel's XDP_PACKET_HEADROOM and 2 of ours, so that IP lands on a multiple of 4. */
export const FRAME_OFFSET = 258;
const HEADROOM = 2;
const CHUNKS = 4096;
const OWN = 512;
const SERVICES = 16_384;
const NETWORKS = 4096;
/** Frames one sendto may send in copy mode, where the kernel lets us say so (it sends 32 otherwise). */
const TX_BUDGET = 256;
const BIND_TRIES = 50;
/** Milliseconds. */
const BIND_PAUSE = 10;

function chunkFor(mtu: number): number {
  for (const bytes of [2048, 4096]) if (mtu + 18 + FRAME_OFFSET <= bytes) return bytes;
  throw new RangeError(`AF_XDP holds frames of at most 4096 bytes: an MTU of ${mtu} is too large for it`);
}

/** Closes what was opened, in reverse, when the rest cannot be. */
class Opened {
  readonly #fds: number[] = [];

  add(fd: number): number {
    this.#fds.push(fd);
    return fd;
  }

  close(): void {
    for (const fd of this.#fds.splice(0).reverse()) native().close(fd);
  }
}

function offsetsOf(fd: number): Pick<XdpSockets, "receive" | "send" | "fill" | "completion"> {
  const raw = new BigUint64Array(16);
  native().getOption(fd, SOL_XDP, XDP_MMAP_OFFSETS, raw);
  const ring = (i: number): XdpRingOffsets => ({
    producer: Number(raw[i * 4]),
    consumer: Number(raw[i * 4 + 1]),
    descriptors: Number(raw[i * 4 + 2]),
  });
  return { receive: ring(0), send: ring(1), fill: ring(2), completion: ring(3) };
}

/** Gives the kernel every chunk that is for received frames; ours to write before the socket is bound. */
function fillRing(
  fd: number,
  offsets: XdpRingOffsets,
  ringSize: number,
  chunks: number,
  chunkBytes: number,
): void {
  const memory = native().mapShared(fd, offsets.descriptors + ringSize * 8, FILL_OFFSET);
  const words = new Uint32Array(memory);
  for (let i = 0; i < chunks; i++) words[(offsets.descriptors >>> 2) + i * 2] = i * chunkBytes;
  Atomics.store(words, offsets.producer >>> 2, chunks);
  native().retire(memory);
}

function openSocket(
  opened: Opened,
  index: number,
  queue: number,
  mode: XdpMode,
  mtu: number,
  chunks: number,
): XdpSockets {
  const addon = native();
  const chunkBytes = chunkFor(mtu);
  const all = chunks + OWN;
  const memory = opened.add(addon.memfd("dr-director-xdp", all * chunkBytes + all));
  const pages = addon.mapShared(memory, all * chunkBytes + all, 0);
  const fd = opened.add(addon.socket(AF_XDP, SOCK_RAW, 0));
  addon.registerUmem(fd, new Uint8Array(pages, 0, all * chunkBytes), chunkBytes, HEADROOM, 0);
  addon.retire(pages); // the kernel has pinned them; a shard maps them anew
  const ringSize = 2 ** Math.ceil(Math.log2(all));
  for (const ring of [XDP_FILL_RING, XDP_COMPLETION_RING, XDP_RX_RING, XDP_TX_RING])
    addon.setOption(fd, SOL_XDP, ring, ringSize);
  const offsets = offsetsOf(fd);
  fillRing(fd, offsets.fill, ringSize, chunks, chunkBytes);
  bindPatiently(fd, index, queue, mode === "zero-copy" ? BIND_ZEROCOPY : BIND_COPY);
  raiseBudget(fd);
  const wake = opened.add(addon.eventFd());
  return { fd, wake, memory, chunkBytes, chunks, own: OWN, ringSize, ...offsets, mode: modeOf(fd, mode) };
}

/** A queue is free again only a moment after the last socket on it was closed: the kernel cleans up in the background. */
function bindPatiently(fd: number, index: number, queue: number, flags: number): void {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let tries = BIND_TRIES; ; tries--) {
    try {
      native().bindXdp(fd, index, queue, flags, 0);
      return;
    } catch (error) {
      if (tries === 0 || !isNativeError(error, "EBUSY")) throw error;
      Atomics.wait(pause, 0, 0, BIND_PAUSE);
    }
  }
}

/** Linux 6.18 and later; without it a burst takes several calls. */
function raiseBudget(fd: number): void {
  try {
    native().setOption(fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, TX_BUDGET);
  } catch (error) {
    if (!isNativeError(error)) throw error;
  }
}

function modeOf(fd: number, wished: XdpMode): XdpMode {
  const options = new Uint32Array(1);
  native().getOption(fd, SOL_XDP, XDP_OPTIONS, options);
  if ((options[0]! & XDP_OPTIONS_ZEROCOPY) !== 0) return "zero-copy";
  return wished === "zero-copy" ? "native copy" : wished;
}

type Maps = Omit<XdpHandles, "link" | "program">;

function createMaps(opened: Opened, queues: number): Maps {
  const addon = native();
  return {
    services: opened.add(addon.bpfMapCreate(BPF_MAP_HASH, SERVICE_KEY, TAKE_VALUE, SERVICES, 0)),
    networks: opened.add(
      addon.bpfMapCreate(BPF_MAP_LPM_TRIE, NETWORK_KEY, TAKE_VALUE, NETWORKS, BPF_F_NO_PREALLOC),
    ),
    sockets: opened.add(addon.bpfMapCreate(BPF_MAP_XSKMAP, 4, 4, queues, 0)),
  };
}

function openIn(mode: XdpMode, options: XdpSocketOptions, opened: Opened): Omit<XdpInterface, "refusals"> {
  const addon = native();
  const link = addon.link(options.interfaceName);
  const maps = createMaps(opened, link.queues);
  const program = opened.add(addon.bpfProgLoad(BPF_PROG_XDP, xdpProgram(maps), "MIT", 0, "dr_director"));
  // Attached before the sockets are bound, because zero copy needs the driver in XDP mode; the maps are still empty.
  const flag = mode === "generic" ? XDP_GENERIC : XDP_NATIVE;
  const attached = opened.add(addon.bpfLinkCreate(program, link.index, BPF_ATTACH_XDP, flag));
  const chunks = options.chunks ?? CHUNKS;
  const sockets = Array.from({ length: link.queues }, (_, queue) => {
    const socket = openSocket(opened, link.index, queue, mode, link.mtu, chunks);
    addon.bpfMapUpdate(maps.sockets, bytesOf(queue), bytesOf(socket.fd), 0);
    return socket;
  });
  const handles = { ...maps, link: attached, program };
  return { sockets, handles, mode: sockets[0]!.mode, ...taking(maps), close: () => opened.close() };
}

function bytesOf(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

type Entries = Map<string, { key: Uint8Array; value: number }>;

interface Keeper {
  /** Makes the map's content equal to a list of keys, changing only what differs. */
  keep(wanted: Entries): void;
  /** This is what the map has. */
  has(present: Entries): void;
}

function keeper(map: number): Keeper {
  let present: Entries = new Map();
  const has = (there: Entries): void => void (present = there);
  const keep = (wanted: Entries): void => {
    for (const [name, entry] of wanted) {
      if (present.get(name)?.value === entry.value) continue;
      native().bpfMapUpdate(map, entry.key, bytesOf(entry.value), 0);
      present.set(name, entry);
    }
    for (const [name, { key }] of present) {
      if (wanted.has(name)) continue;
      native().bpfMapDelete(map, key);
      present.delete(name);
    }
  };
  return { keep, has };
}

function add(into: Entries, key: Uint8Array, bits: number): void {
  const name = key.join();
  into.set(name, { key, value: (into.get(name)?.value ?? 0) | bits });
}

/** The content of both maps for this traffic. */
function entriesOf(...[services, networks, echo]: Parameters<Take>): { exact: Entries; trie: Entries } {
  const exact: Entries = new Map();
  for (const key of services) {
    add(exact, key, 1);
    const address = key.slice();
    address.fill(0, 16); // fragments and ICMP errors know no port
    add(exact, address, 1);
  }
  for (const key of echo) add(exact, key, 2);
  const trie: Entries = new Map();
  for (const key of networks) add(trie, key, 1);
  return { exact, trie };
}

function taking(maps: Maps): Pick<XdpInterface, "take" | "taken"> {
  const services = keeper(maps.services);
  const networks = keeper(maps.networks);
  return {
    take: (...traffic) => {
      const { exact, trie } = entriesOf(...traffic);
      services.keep(exact);
      networks.keep(trie);
    },
    taken: (...traffic) => {
      const { exact, trie } = entriesOf(...traffic);
      services.has(exact);
      networks.has(trie);
    },
  };
}

/** Sockets and what belongs to them that another process has opened. */
export function inheritXdpSockets(
  sockets: readonly XdpSockets[],
  handles: XdpHandles,
): Omit<XdpInterface, "refusals"> {
  const fds = [...Object.values(handles), ...sockets.flatMap(({ fd, wake, memory }) => [fd, wake, memory])];
  const close = (): void => {
    for (const fd of fds.splice(0).reverse()) native().close(fd);
  };
  return { sockets, handles, mode: sockets[0]!.mode, ...taking(handles), close };
}

/**
 * Opens one socket for each queue of the interface in the first of the modes that it grants. Takes no frame before
 * take() was called. Throws the last refusal, with nothing left open.
 */
export function openXdpSockets(options: XdpSocketOptions): XdpInterface {
  const refusals: string[] = [];
  let last: unknown = new RangeError("no mode was asked for");
  for (const mode of options.modes) {
    const opened = new Opened();
    try {
      return { ...openIn(mode, options, opened), refusals };
    } catch (error) {
      opened.close();
      last = error;
      options.refused?.(mode, error as Error);
      refusals.push(`${mode}: ${(error as NativeError).message}`);
    }
  }
  throw last;
}
