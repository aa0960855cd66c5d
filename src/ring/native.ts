/**
 * The sole loader of the C addon (native/README.md says what each function is: one system call, or a tight group).
 * Everything throws NativeError but the hot functions (`sendMessages`, `receiveMessages`, `kick`), which return -errno.
 */
import { closeSync, constants, existsSync, fstatSync, ftruncateSync, openSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

/** What a failed system call throws; the message ends with what to do. */
export interface NativeError extends Error {
  /** The errno's name, "EPERM". */
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
}

/** A network interface; the MAC as two numbers, first 16 bits and last 32. */
export interface LinkInfo {
  readonly index: number;
  readonly mtu: number;
  /** IFF_… bits. */
  readonly flags: number;
  /** Receiving queues; 1 where the driver does not say. */
  readonly queues: number;
  /** The device takes VLAN tags out of received frames (`ethtool -k`: rx-vlan-offload). */
  readonly stripsTags: boolean;
  /** ARPHRD_… number: 1 is Ethernet. */
  readonly hardwareType: number;
  readonly macHigh: number;
  readonly macLow: number;
}

declare const watchBrand: unique symbol;
export type WatchHandle = { readonly [watchBrand]: true };

export interface Native {
  // memory
  mapRegion(
    fd: number,
    ringBytes: number,
    arenaBytes: number,
  ): { memory: ArrayBuffer; low: number; high: number };
  retire(memory: ArrayBuffer): void;
  mapShared(fd: number, bytes: number, offset: number): ArrayBuffer;
  memfd(name: string, bytes: number): number;
  lock(fd: number): void;
  // sockets
  socket(domain: number, type: number, protocol: number): number;
  close(fd: number): void;
  setOption(fd: number, level: number, name: number, value: number | ArrayBufferView | ArrayBuffer): void;
  getOption(fd: number, level: number, name: number, out: ArrayBufferView | ArrayBuffer): number;
  bindPacket(fd: number, interfaceIndex: number, etherType: number): void;
  bindNetlink(fd: number, groups: number): void;
  attachFilter(fd: number, program: Uint8Array): void;
  attachFanout(fd: number, program: Uint8Array): void;
  /** Bytes sent, or -1 when the socket cannot take it now. */
  send(fd: number, bytes: Uint8Array): number;
  /** The message's true length (more than `bytes` holds means that it was cut), or -1 when none waits. */
  recv(fd: number, bytes: Uint8Array): number;
  link(name: string): LinkInfo;
  // bursts
  createMessages(count: number, high: number): ArrayBuffer;
  sendMessages(fd: number, table: ArrayBuffer, from: number, count: number): number;
  receiveMessages(fd: number, table: ArrayBuffer, from: number, count: number): number;
  // descriptors from process to process
  socketPair(): [number, number];
  sendFds(socket: number, fds: Int32Array, bytes: Uint8Array): number;
  receiveFds(socket: number, fds: Int32Array, bytes: Uint8Array): { fds: number; bytes: number };
  // Unix sockets that keep message boundaries
  listenUnix(path: string): number;
  connectUnix(path: string): number;
  /** The next connection's descriptor, or -1 when none waits. */
  acceptUnix(fd: number): number;
  /** A Unix datagram; `address` is sun_path, abstract when it begins with NUL. */
  sendDatagram(address: Uint8Array, bytes: Uint8Array): void;
  // waiting
  wait(fd: number, wakeFd: number, milliseconds: number): number;
  waitWritable(fd: number, milliseconds: number): boolean;
  eventFd(): number;
  signal(eventFd: number): void;
  watch(fd: number, callback: () => void): WatchHandle;
  watchAgain(handle: WatchHandle): void;
  watchHold(handle: WatchHandle, hold: boolean): void;
  watchEnd(handle: WatchHandle): void;
  // clocks, in milliseconds
  monotonic(): number;
  threadCpu(): number;
  yieldCpu(): void;
  // the calling thread, the process
  setAffinity(cpus: Int32Array): void;
  getAffinity(): number[];
  setNamespace(path: string, kind: number): void;
  capabilities(): bigint;
  // bpf(2) and AF_XDP
  bpfMapCreate(type: number, keySize: number, valueSize: number, entries: number, flags: number): number;
  bpfMapUpdate(fd: number, key: Uint8Array, value: Uint8Array, flags: number): void;
  bpfMapLookup(fd: number, key: Uint8Array, value: Uint8Array): boolean;
  bpfMapDelete(fd: number, key: Uint8Array): boolean;
  bpfProgLoad(type: number, code: Uint8Array, license: string, attachType: number, name: string): number;
  bpfTestRun(
    fd: number,
    input: Uint8Array,
    output: Uint8Array,
    repeat: number,
    flags: number,
  ): { result: number; length: number; nanoseconds: number };
  bpfLinkCreate(program: number, target: number, attachType: number, flags: number): number;
  registerUmem(
    fd: number,
    memory: ArrayBuffer | Uint8Array,
    chunkBytes: number,
    headroom: number,
    flags: number,
  ): void;
  /** 0 or -errno; -EAGAIN means call again. */
  kick(fd: number): number;
  bindXdp(fd: number, interfaceIndex: number, queue: number, flags: number, sharedFd: number): void;
}

const FILE = "dr_director.node";

function find(): string {
  const places = [`../../prebuilds/${process.platform}-${process.arch}/${FILE}`, `../../build/${FILE}`];
  for (const place of places) {
    const path = fileURLToPath(new URL(place, import.meta.url));
    if (existsSync(path)) return path;
  }
  throw new Error(
    `the native part (${FILE}) is not built: run \`node scripts/build-native.mjs\`, which needs gcc and libc6-dev`,
  );
}

let loaded: Native | undefined;

/** The addon, loaded at first use; the same object ever after. */
export function native(): Native {
  if (loaded === undefined) loaded = createRequire(import.meta.url)(find()) as Native;
  return loaded;
}

/** True for an error that a failed system call threw; `code` narrows it to one errno. */
export function isNativeError(error: unknown, code?: string): error is NativeError {
  if (!(error instanceof Error) || !("syscall" in error) || !("code" in error)) return false;
  return code === undefined || error.code === code;
}

const AF_NETLINK = 16;
const AF_PACKET = 17;
const SOCK_RAW = 3;

/**
 * A raw socket for the frames of one EtherType on one interface (ARP), for send() and recv() of whole frames. Frames
 * that this host sends itself do not come back on it.
 */
export function openFrameSocket(interfaceIndex: number, etherType: number): number {
  const fd = native().socket(AF_PACKET, SOCK_RAW, 0);
  try {
    native().bindPacket(fd, interfaceIndex, etherType);
    return fd;
  } catch (error) {
    native().close(fd);
    throw error;
  }
}

/** A netlink socket (protocol 0 is ROUTE, 12 NETFILTER), subscribed to the groups of this bit mask. */
export function openNetlink(protocol: number, groups: number): number {
  const fd = native().socket(AF_NETLINK, SOCK_RAW, protocol);
  try {
    native().bindNetlink(fd, groups);
    return fd;
  } catch (error) {
    native().close(fd);
    throw error;
  }
}

/** A descriptor watched from the event loop: `callback` runs whenever it is readable, until end(). */
export class Watch {
  #handle: WatchHandle;

  constructor(fd: number, callback: () => void) {
    // The closure holds this object, and the addon the closure: a watch that nobody keeps still watches.
    this.#handle = native().watch(fd, () => {
      try {
        callback();
      } finally {
        native().watchAgain(this.#handle);
      }
    });
  }

  /** Does not keep the process alive by itself from now on. */
  unref(): this {
    native().watchHold(this.#handle, false);
    return this;
  }

  ref(): this {
    native().watchHold(this.#handle, true);
    return this;
  }

  /** No callback comes after this; the descriptor stays open. */
  end(): void {
    native().watchEnd(this.#handle);
  }
}

export interface MappedFile {
  readonly memory: ArrayBuffer;
  /** Holds the lock for as long as it is open; the mapping needs it no more. */
  readonly fd: number;
}

/**
 * Maps a file shared with every other thread and process that maps it. With `create` it is made when missing, and
 * grown with zeros to `bytes`; without, it must be that long already (EOVERFLOW). With `lock`, EAGAIN when another
 * holds it. Another thread of this process maps the same file, whatever its name is by then, by
 * `mapOpenFile(fd, bytes)`.
 */
export function mapFile(
  path: string,
  bytes: number,
  options: { create: boolean; lock: boolean },
): MappedFile {
  // Not "w+", which would empty it.
  const fd = openSync(path, options.create ? constants.O_RDWR | constants.O_CREAT : "r+", 0o600);
  try {
    if (options.lock) native().lock(fd);
    if (options.create && fstatSync(fd).size < bytes) ftruncateSync(fd, bytes);
    return { memory: mapOpenFile(fd, bytes), fd };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/**
 * Maps the file that `fd` has open. Not by `fd` itself: a mapping keeps its open file alive, and the lock with it, for
 * as long as the memory has not been collected.
 */
export function mapOpenFile(fd: number, bytes: number): ArrayBuffer {
  const own = openSync(`/proc/self/fd/${fd}`, "r+");
  try {
    return native().mapShared(own, bytes, 0);
  } finally {
    closeSync(own);
  }
}
