/** A real server of this page: it has the VIP on its loopback, answers HTTP, and can have faults. */
import type { Mac } from "../../../src/wire/address.ts";
import { tcpFrame } from "../../../src/wire/frame.ts";
import { TCP_FLAGS } from "../../../src/wire/tcp.ts";
import { tcpOf } from "./client.ts";
import { HTTP, ip, macOfAddress, ROUTER_MAC, VIP } from "./place.ts";

const { SYN, ACK, FIN, RST, PSH } = TCP_FLAGS;

export class RealServer {
  readonly name: string;
  readonly address: string;
  mac: Mac;
  readonly faults = new Set<string>();
  /** Clients' sockets it knows: address:port → its own next sequence number. */
  readonly #sockets = new Map<string, number>();

  constructor(name: string, address: string) {
    this.name = name;
    this.address = address;
    this.mac = macOfAddress(address);
  }

  /** Its cable is pulled: it hears nothing and says nothing. */
  get gone(): boolean {
    return this.faults.has("neighbour-unresolved");
  }

  /** Does its kernel take packets for the VIP, that is: is the VIP on lo? */
  get hasVip(): boolean {
    return !this.faults.has("vip-missing");
  }

  /** What it answers to a frame, already addressed to the router; undefined when it keeps silent. */
  answer(frame: Uint8Array, client: string): Uint8Array | undefined {
    const read = tcpOf(frame);
    if (read === undefined) return undefined;
    const { tcp, data } = read;
    const socket = `${client}:${tcp.sourcePort}`;
    const known = this.#sockets.get(socket);
    const acknowledgement = (tcp.sequence + data + ((tcp.flags & (SYN | FIN)) !== 0 ? 1 : 0)) >>> 0;
    const say = (flags: number, sequence: number, payload = ""): Uint8Array =>
      this.#frame(client, tcp.sourcePort, flags, sequence, acknowledgement, payload);
    if ((tcp.flags & RST) !== 0) {
      this.#sockets.delete(socket);
      return undefined;
    }
    // The host is well, but nobody listens any more: RFC 9293 §3.10.7.1.
    if (this.faults.has("dead-server")) {
      this.#sockets.delete(socket);
      return say(RST | ACK, tcp.acknowledgement);
    }
    if ((tcp.flags & SYN) !== 0) {
      this.#sockets.set(socket, 5001);
      return say(SYN | ACK, 5000);
    }
    // RFC 9293 §3.10.7.1: what belongs to no connection is reset.
    if (known === undefined) return say(RST, tcp.acknowledgement);
    if ((tcp.flags & FIN) !== 0) {
      this.#sockets.delete(socket);
      return say(FIN | ACK, known);
    }
    if (data <= 0) return undefined;
    const body = `HTTP/1.1 200 OK\r\nX-Real-Server: ${this.name}\r\n\r\n${this.name}\n`;
    this.#sockets.set(socket, known + body.length);
    return say(PSH | ACK, known, body);
  }

  #frame(
    client: string,
    port: number,
    flags: number,
    sequence: number,
    acknowledgement: number,
    payload: string,
  ): Uint8Array {
    return tcpFrame({
      source: ip(VIP),
      destination: ip(client),
      sourceMac: this.mac,
      destinationMac: ROUTER_MAC,
      sourcePort: HTTP,
      destinationPort: port,
      flags,
      sequence,
      acknowledgement,
      payload: new TextEncoder().encode(payload),
      dontFragment: true,
      pad: true,
    });
  }
}
