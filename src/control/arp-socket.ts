/**
 * Our ARP on one interface: sends what the neighbour and VIP keepers ask for, hands them what comes in. The host's own
 * stack has an ARP of its own; neither hears of the other's entries.
 */
import { native, openFrameSocket, Watch } from "../ring/native.ts";
import type { Mac } from "../wire/address.ts";
import { ARP_FRAME, writeGratuitous, writeReply, writeRequest } from "../wire/arp.ts";
import { ETH_HEADER, EtherType, macHi, macLo } from "../wire/ethernet.ts";
import { type ArpPacket, parse } from "../wire/value/arp.ts";

/** At the most so many packets are read at once, so that a storm cannot keep the event loop. */
const MOST = 256;

export interface ArpSocketOptions {
  readonly interfaceIndex: number;
  readonly mac: Mac;
  /** Our address to ask `target` from. */
  readonly source: (target: number) => number;
  /** `toUs`: sent to our MAC alone. */
  readonly heard: (packet: ArpPacket, toUs: boolean) => void;
  /** A socket of another process to go on with. */
  readonly inherited?: number;
  /** The interface refused a frame; it may be down. */
  readonly failed?: (error: Error) => void;
}

export class ArpSocket {
  mac: Mac;
  readonly #options: ArpSocketOptions;
  readonly #fd: number;
  #watch: Watch | undefined;
  readonly #out = new DataView(new ArrayBuffer(ARP_FRAME));
  readonly #in = new DataView(new ArrayBuffer(2048));

  constructor(options: ArpSocketOptions) {
    this.#options = options;
    this.mac = options.mac;
    this.#fd = options.inherited ?? openFrameSocket(options.interfaceIndex, EtherType.Arp);
    this.listen();
  }

  get fd(): number {
    return this.#fd;
  }

  listen(): void {
    this.#watch ??= new Watch(this.#fd, () => this.#read());
  }

  /** The interface is another one now. */
  bind(interfaceIndex: number): void {
    native().bindPacket(this.#fd, interfaceIndex, EtherType.Arp);
  }

  /** Leaves what comes in where it is, until `listen`. */
  rest(): void {
    this.#watch?.end();
    this.#watch = undefined;
  }

  ask(target: number, to?: Mac): void {
    const source = this.#options.source(target);
    if (to === undefined) this.#send(writeRequest(this.#out, 0, this.mac, source, target));
    else this.#send(writeRequest(this.#out, 0, this.mac, source, target, to));
  }

  answer(ip: number, asker: Mac, askerIp: number): void {
    this.#send(writeReply(this.#out, 0, this.mac, ip, asker, askerIp));
  }

  announce(ip: number): void {
    this.#send(writeGratuitous(this.#out, 0, this.mac, ip));
  }

  close(): void {
    this.rest();
    native().close(this.#fd);
  }

  #send(length: number): void {
    try {
      native().send(this.#fd, new Uint8Array(this.#out.buffer, 0, length));
    } catch (error) {
      this.#options.failed?.(error as Error);
    }
  }

  #read(): void {
    const bytes = new Uint8Array(this.#in.buffer);
    for (let n = 0; n < MOST; n++) {
      let length: number;
      try {
        length = native().recv(this.#fd, bytes);
      } catch (error) {
        // ENETDOWN comes once when the interface goes down; the socket hears again when it is back.
        this.#options.failed?.(error as Error);
        return;
      }
      if (length < 0) return;
      const packet = parse(this.#in, ETH_HEADER, Math.min(length, bytes.length));
      if (packet === undefined) continue;
      const toUs = macHi(this.#in, 0) === this.mac.hi && macLo(this.#in, 0) === this.mac.lo;
      this.#options.heard(packet, toUs);
    }
  }
}
