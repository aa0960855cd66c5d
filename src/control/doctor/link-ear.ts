/** Raw sockets on the link: sends the doctor's frames, and hears ARP, answers in real servers' and VIPs' names, strays. */
import { isNativeError, native, openFrameSocket, Watch } from "../../ring/native.ts";
import { CbpfAssembler, encodeCbpf, Op, Test } from "../../wire/cbpf.ts";
import { ETH_HEADER, EtherType } from "../../wire/ethernet.ts";
import { IPV4_SOURCE } from "../../wire/ipv4.ts";
import { searchPrefixes } from "../../wire/prefix-search.ts";

const ETH_P_ALL = 3;
const KEEP = 65_535;
/** The kernel's note beside each frame: which way it went and for whom (linux/filter.h, if_packet.h). */
const PACKET_TYPE = 0xffff_f004;
const PACKET_OTHERHOST = 3;
const STRAY_SNAP = 64;
/** Read at once at the most, so that a flood cannot keep the event loop. */
const MOST = 512;

export interface Hearers {
  arp(frame: DataView, length: number): void;
  /** IPv4 whose source is one of the addresses listened for. */
  answer(frame: DataView, length: number): void;
  /** Its destination MAC is another station's: the switch sent it here all the same. */
  stray(frame: DataView, length: number): void;
}

/** Keeps IPv4 frames whose source is one of these addresses (u32). */
function fromFilter(addresses: readonly number[]): Uint8Array {
  const code = new CbpfAssembler();
  const at = { offset: ETH_HEADER + IPV4_SOURCE, words: 1, limit: 200 };
  searchPrefixes(
    code,
    addresses.map((address) => ({ words: [address], bits: 32 })),
    at,
    { hit: "take", miss: "drop" },
  );
  code.label("take").emit(Op.ret, KEEP).label("drop").emit(Op.ret, 0);
  return encodeCbpf(code.assemble());
}

function strayFilter(): Uint8Array {
  const code = new CbpfAssembler().emit(Op.ld, PACKET_TYPE).jump(Test.equal, PACKET_OTHERHOST, "", "drop");
  return encodeCbpf(code.emit(Op.ret, STRAY_SNAP).label("drop").emit(Op.ret, 0).assemble());
}

export class LinkEar {
  readonly #sockets: number[] = [];
  readonly #watches: Watch[] = [];
  readonly #drains: (() => void)[] = [];
  readonly #buffer = new Uint8Array(65_600);

  /** Throws NativeError where the capability is missing. */
  constructor(interfaceIndex: number, addresses: readonly number[], hearers: Hearers) {
    try {
      this.#listen(interfaceIndex, EtherType.Arp, undefined, hearers.arp);
      this.#listen(interfaceIndex, EtherType.Ipv4, fromFilter(addresses), hearers.answer);
      this.#listen(interfaceIndex, ETH_P_ALL, strayFilter(), hearers.stray);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** False when the kernel would not take it: too long for the interface, or its queue is full. */
  send(frame: Uint8Array): boolean {
    try {
      return native().send(this.#sockets[0]!, frame) >= 0;
    } catch (error) {
      if (isNativeError(error)) return false;
      throw error;
    }
  }

  /** Reads what has come by now, without waiting to be told of it: on a busy machine that may take its time. */
  hear(): void {
    for (const drain of this.#drains) drain();
  }

  close(): void {
    for (const watch of this.#watches) watch.end();
    for (const fd of this.#sockets) native().close(fd);
    this.#watches.length = this.#drains.length = this.#sockets.length = 0;
  }

  #listen(index: number, etherType: number, filter: Uint8Array | undefined, hear: Hearers["arp"]): void {
    // Bound to no protocol until the filter stands.
    const fd = openFrameSocket(index, 0);
    this.#sockets.push(fd);
    if (filter !== undefined) native().attachFilter(fd, filter);
    native().bindPacket(fd, index, etherType);
    const drain = (): void => this.#drain(fd, hear);
    this.#drains.push(drain);
    this.#watches.push(new Watch(fd, drain));
  }

  #drain(fd: number, hear: Hearers["arp"]): void {
    const view = new DataView(this.#buffer.buffer);
    for (let n = 0; n < MOST; n++) {
      let length: number;
      try {
        length = native().recv(fd, this.#buffer);
      } catch (error) {
        if (isNativeError(error)) return; // the interface went down; what was asked stays unanswered
        throw error;
      }
      if (length < 0) return;
      hear(view, Math.min(length, this.#buffer.length));
    }
  }
}
