/**
 * Our ARP on one interface: sends what the neighbour and VIP keepers ask for, hands them what comes in. The host's own
 * stack has an ARP of its own; neither hears of the other's entries.
 */
import { native, openFrameSocket } from "../ring/native.ts";
import type { Mac } from "../wire/address.ts";
import { ARP_FRAME, writeGratuitous, writeReply, writeRequest } from "../wire/arp.ts";
import { ETH_HEADER, EtherType, macHi, macLo } from "../wire/ethernet.ts";
import { type ArpPacket, parse } from "../wire/value/arp.ts";
import { FrameSocket } from "./frame-socket.ts";

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
  readonly #socket: FrameSocket;
  readonly #out = new DataView(new ArrayBuffer(ARP_FRAME));

  constructor(options: ArpSocketOptions) {
    this.#options = options;
    this.mac = options.mac;
    const fd = options.inherited ?? openFrameSocket(options.interfaceIndex, EtherType.Arp);
    this.#socket = new FrameSocket(fd, (frame, length) => this.#hear(frame, length), options.failed);
    this.listen();
  }

  get fd(): number {
    return this.#socket.fd;
  }

  listen(): void {
    this.#socket.listen();
  }

  /** The interface is another one now. */
  bind(interfaceIndex: number): void {
    native().bindPacket(this.fd, interfaceIndex, EtherType.Arp);
  }

  /** Leaves what comes in where it is, until `listen`. */
  rest(): void {
    this.#socket.rest();
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
    this.#socket.close();
  }

  #send(length: number): void {
    this.#socket.send(this.#out, length);
  }

  #hear(frame: DataView, length: number): void {
    const packet = parse(frame, ETH_HEADER, length);
    if (packet === undefined) return;
    const toUs = macHi(frame, 0) === this.mac.hi && macLo(frame, 0) === this.mac.lo;
    this.#options.heard(packet, toUs);
  }
}
