/**
 * Our neighbour discovery on one interface, as arp-socket.ts is our ARP: sends what the keepers ask for, hands them
 * what comes in. Questions for an address come to its group, so the interface has to listen to it, and a switch that
 * looks after groups (MLD) must hear so; the host's stack tells it for us, where it speaks IPv6 at all.
 */
import { createSocket, type Socket } from "node:dgram";
import { native, openFrameSocket } from "../ring/native.ts";
import { formatAddress, type Mac, type Words } from "../wire/address.ts";
import { encodeCbpf } from "../wire/cbpf.ts";
import { EtherType } from "../wire/ethernet.ts";
import {
  ALL_NODES,
  groupMac,
  NDP_FRAME,
  type NdpMessage,
  ndpFilter,
  parseNdp,
  solicitedNode,
  writeAdvertisement,
  writeSolicitation,
} from "../wire/ndp.ts";
import { FrameSocket } from "./frame-socket.ts";

const SOL_PACKET = 263;
const PACKET_ADD_MEMBERSHIP = 1;
const PACKET_DROP_MEMBERSHIP = 2;
const PACKET_MR_MULTICAST = 0;

export interface NdpSocketOptions {
  readonly interfaceIndex: number;
  readonly interfaceName: string;
  readonly mac: Mac;
  /** Our address to ask `target` from; the unspecified one when we have none. */
  readonly source: (target: Words) => Words;
  readonly heard: (message: NdpMessage) => void;
  /** The interface refused a frame; it may be down. */
  readonly failed?: (error: Error) => void;
}

export class NdpSocket {
  mac: Mac;
  readonly #options: NdpSocketOptions;
  readonly #socket: FrameSocket;
  readonly #groups = new Map<string, Words>();
  #stack: Socket | undefined;
  readonly #out = new DataView(new ArrayBuffer(NDP_FRAME));

  constructor(options: NdpSocketOptions) {
    this.#options = options;
    this.mac = options.mac;
    const fd = openFrameSocket(options.interfaceIndex, EtherType.Ipv6);
    this.#socket = new FrameSocket(fd, (frame, length) => this.#hear(frame, length), options.failed);
    try {
      native().attachFilter(fd, encodeCbpf(ndpFilter()));
      this.#member(PACKET_ADD_MEMBERSHIP, ALL_NODES);
    } catch (error) {
      this.#socket.close();
      throw error;
    }
    this.listen();
  }

  listen(): void {
    this.#socket.listen();
  }

  /** Leaves what comes in where it is, until `listen`. */
  rest(): void {
    this.#socket.rest();
  }

  /** Hears questions for these addresses, and no longer for others. */
  hear(addresses: readonly Words[]): void {
    const wanted = new Map(addresses.map(solicitedNode).map((group) => [formatAddress(group), group]));
    for (const [text, group] of this.#groups) {
      if (wanted.has(text)) continue;
      this.#member(PACKET_DROP_MEMBERSHIP, group);
      this.#tellStack(text, "dropMembership");
      this.#groups.delete(text);
    }
    for (const [text, group] of wanted) {
      if (this.#groups.has(text)) continue;
      this.#member(PACKET_ADD_MEMBERSHIP, group);
      this.#tellStack(text, "addMembership");
      this.#groups.set(text, group);
    }
  }

  ask(target: Words, to?: Mac): void {
    this.#send(writeSolicitation(this.#out, this.mac, this.#options.source(target), target, to));
  }

  answer(target: Words, asker: { readonly mac: Mac; readonly address: Words }): void {
    this.#send(writeAdvertisement(this.#out, this.mac, target, asker));
  }

  announce(target: Words): void {
    this.#send(writeAdvertisement(this.#out, this.mac, target));
  }

  close(): void {
    this.#stack?.close();
    this.#socket.close();
  }

  /** struct packet_mreq: s32 interface, u16 type, u16 length, u8 address[8]; in the machine's order. */
  #member(option: number, group: Words): void {
    const request = new DataView(new ArrayBuffer(16));
    const mac = groupMac(group);
    request.setInt32(0, this.#options.interfaceIndex, true);
    request.setUint16(4, PACKET_MR_MULTICAST, true);
    request.setUint16(6, 6, true);
    request.setUint16(8, mac.hi);
    request.setUint32(10, mac.lo);
    native().setOption(this.#socket.fd, SOL_PACKET, option, request.buffer);
  }

  #tellStack(group: string, change: "addMembership" | "dropMembership"): void {
    try {
      this.#stack ??= createSocket("udp6").unref();
      this.#stack[change](group, `::%${this.#options.interfaceName}`);
    } catch {
      // The host has no IPv6 on this interface: there is nobody to tell a switch, and only few switches ask.
    }
  }

  #send(length: number): void {
    this.#socket.send(this.#out, length);
  }

  #hear(frame: DataView, length: number): void {
    const message = parseNdp(frame, length);
    if (message !== undefined) this.#options.heard(message);
  }
}
