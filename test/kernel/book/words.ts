/** What the book speaks of: services, packets, connections, and the words for what becomes of them. */
import type { Dest } from "./schedulers.ts";

export interface Service {
  /** As ipvsadm names it: "-t 10.0.0.100:80", "-u …", "-f 1", "-f 1 -6". */
  readonly name: string;
  readonly family: 4 | 6;
  readonly protocol: "TCP" | "UDP" | "FWM";
  readonly vip: string;
  readonly port: number;
  readonly mark: number;
}

export interface ServiceOptions {
  readonly scheduler: string;
  readonly fallback: boolean;
  readonly withPort: boolean;
  /** Seconds of persistence, 0 for none. */
  readonly persistence: number;
  /** Leading bits of the client's address that templates tell apart. */
  readonly bits: number;
  readonly onePacket: boolean;
}

export interface Packet {
  readonly protocol: "TCP" | "UDP";
  readonly family: 4 | 6;
  readonly client: string;
  readonly clientPort: number;
  readonly vip: string;
  readonly port: number;
  /** Letters out of FSRPAU. */
  flags: string;
  /** Bytes of the IP packet. */
  readonly bytes: number;
  readonly mark: number;
  /** The client's and the virtual address, folded; the client's network by prefix length. */
  readonly folds: { readonly client: number; readonly virtual: number };
  readonly network: (bits: number) => string;
}

/** A connection, or a template. */
export interface Entry {
  protocol: string;
  family: 4 | 6;
  client: string;
  clientPort: number;
  virtual: string;
  port: number;
  serverPort: number;
  dest: Dest;
  state: string;
  inactive: boolean;
  template: boolean;
  assured: boolean;
  timeout: number;
  expires: number;
  parent: Entry | undefined;
  children: number;
}

/** What becomes of a packet: a real server, the host's stack, port unreachable, or nothing. */
export type Fate = `rs${number}` | "host" | "icmp" | "none";

export const ACTIVE = ["SYN_RECV", "ESTABLISHED", "SYNACK"];
/** The one-way TCP machine of a director that hears no answers; `secure` is secure_tcp. */
export function next(state: string, flags: string, secure: boolean): string {
  if (flags.includes("R")) return state === "SYN_RECV" ? "SYN_RECV" : "CLOSE";
  if (flags.includes("S")) {
    if (state === "ESTABLISHED") return state;
    return secure && state !== "SYN_RECV" ? "SYNACK" : "SYN_RECV";
  }
  if (flags.includes("F")) {
    const after: Record<string, string> = {
      NONE: "CLOSE",
      ESTABLISHED: "FIN_WAIT",
      SYN_RECV: "TIME_WAIT",
      SYNACK: "TIME_WAIT",
    };
    return after[state] ?? state;
  }
  if (flags.includes("A")) return ["NONE", "SYN_RECV", "SYNACK"].includes(state) ? "ESTABLISHED" : state;
  return "CLOSE";
}

export function markText({ family, mark }: Service): string {
  return family === 4 ? `0.0.0.${mark}` : `0:${mark.toString(16)}::`;
}

/** ip_vs_leave: beside an FTP service the other ports of its address are the host's. */
export function leave(service: Service, packet: Packet): Fate {
  return service.port === 21 && packet.port !== 21 ? "host" : "icmp";
}
