/**
 * A client's connection as the generator plays it: SYN, a few requests with pauses, FIN; what is not answered is sent
 * again twice, then given up (RFC 9293 with much shorter patience).
 */

import { ETH_HEADER } from "../../../src/wire/ethernet.ts";
import { IPV4_HEADER } from "../../../src/wire/ipv4.ts";
import { TCP_FLAGS } from "../../../src/wire/tcp.ts";
import { parse as parseIp } from "../../../src/wire/value/ipv4.ts";
import { parse as parseTcp, type TcpHeader } from "../../../src/wire/value/tcp.ts";

const { SYN, ACK, FIN, RST, PSH } = TCP_FLAGS;

export interface Segment {
  readonly flags: number;
  readonly sequence: number;
  readonly acknowledgement: number;
  readonly payload: string;
}

export interface ClientHost {
  /** Sends a segment of this flow now. */
  send(flow: Flow, segment: Segment): void;
  later(milliseconds: number, what: () => void): void;
  ended(flow: Flow, well: boolean): void;
}

const PATIENCE = 5000;
const TRIES = 3;

type State = "opening" | "waiting" | "thinking" | "closing" | "over";

export class Flow {
  readonly address: string;
  readonly port: number;
  readonly #host: ClientHost;
  readonly #pause: number;
  #left: number;
  #state: State = "opening";
  #sequence: number;
  #acknowledgement = 0;
  /** Counts what was sent, so that an old timer knows that it is old. */
  #sent = 0;

  constructor(host: ClientHost, address: string, port: number, requests: number, pause: number) {
    this.#host = host;
    this.address = address;
    this.port = port;
    this.#left = requests;
    this.#pause = pause;
    this.#sequence = port * 1000;
  }

  get over(): boolean {
    return this.#state === "over";
  }

  begin(): void {
    this.#insist({ flags: SYN, sequence: this.#sequence, acknowledgement: 0, payload: "" });
    this.#sequence++;
  }

  /** A segment from the VIP. */
  heard(tcp: TcpHeader, length: number): void {
    if (this.#state === "over") return;
    if ((tcp.flags & RST) !== 0) {
      this.#end(false);
      return;
    }
    this.#acknowledgement = (tcp.sequence + length + ((tcp.flags & (SYN | FIN)) !== 0 ? 1 : 0)) >>> 0;
    if (this.#state === "opening" && (tcp.flags & SYN) !== 0) {
      this.#acknowledge();
      this.#think(300);
    } else if (this.#state === "waiting" && length > 0) {
      this.#acknowledge();
      this.#think(this.#pause);
    } else if (this.#state === "closing" && (tcp.flags & FIN) !== 0) {
      this.#acknowledge();
      this.#end(true);
    }
  }

  /** ICMP says that nobody is there. */
  refused(): void {
    if (this.#state !== "over") this.#end(false);
  }

  #think(milliseconds: number): void {
    this.#state = "thinking";
    this.#sent++;
    this.#host.later(milliseconds, () => {
      if (this.#state !== "thinking") return;
      if (this.#left-- > 0) this.#ask();
      else this.#close();
    });
  }

  #ask(): void {
    this.#state = "waiting";
    const payload = "GET / HTTP/1.1\r\nHost: 10.0.0.100\r\n\r\n";
    this.#insist(this.#segment(PSH | ACK, payload));
    this.#sequence += payload.length;
  }

  #close(): void {
    this.#state = "closing";
    this.#insist(this.#segment(FIN | ACK, ""));
    this.#sequence++;
  }

  #acknowledge(): void {
    this.#host.send(this, this.#segment(ACK, ""));
  }

  #segment(flags: number, payload: string): Segment {
    return { flags, sequence: this.#sequence, acknowledgement: this.#acknowledgement, payload };
  }

  /** Sends, and again while nothing comes back. */
  #insist(segment: Segment, tries = TRIES): void {
    const mine = ++this.#sent;
    this.#host.send(this, segment);
    this.#host.later(PATIENCE, () => {
      if (this.#sent !== mine || this.#state === "over") return;
      if (tries > 1) this.#insist(segment, tries - 1);
      else this.#end(false);
    });
  }

  #end(well: boolean): void {
    this.#state = "over";
    this.#host.ended(this, well);
  }
}

/** The TCP header of an IPv4 frame without VLAN tag, and the length of its data; undefined for anything else. */
export function tcpOf(frame: Uint8Array): { tcp: TcpHeader; data: number } | undefined {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const header = parseIp(view, ETH_HEADER, frame.length);
  if (header === undefined || header.protocol !== 6) return undefined;
  const at = ETH_HEADER + IPV4_HEADER + header.options.length;
  const tcp = parseTcp(view, at, frame.length);
  if (tcp === undefined) return undefined;
  return { tcp, data: ETH_HEADER + header.totalLength - at - 20 - tcp.options.length };
}
