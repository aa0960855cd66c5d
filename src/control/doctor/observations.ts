/** What was seen of host and link; judge.ts makes findings of it. Addresses and MACs are text. */
import type { Port } from "./patient.ts";

export type PortAnswer = "open" | "closed" | "silent";

export interface PortSeen extends Port {
  readonly answer: PortAnswer;
}

export interface VipSeen {
  readonly vip: string;
  /** It answered an echo request to the VIP that was sent to its MAC. */
  readonly echo: boolean;
  readonly ports: readonly PortSeen[];
}

export interface ServerSeen {
  readonly rip: string;
  /** Who answered ARP for it, in the order of the answers. */
  readonly macs: readonly string[];
  /** The MAC that the frames were sent to; absent when none is known. */
  readonly mac?: string;
  readonly fixedMac?: string;
  readonly heldMac?: string;
  /** Does the host's routing table say that it is on this link? */
  readonly onLink: boolean;
  /** It answered an echo request to its own address. */
  readonly echo: boolean;
  readonly vips: readonly VipSeen[];
  /** ARP from a sender beyond the gateway was answered; absent when that was not asked. */
  readonly answersFarSender?: boolean;
  /** Answers to others than us came to our MAC from it: to whom. */
  readonly answersThroughUs?: string;
  /** From its SYN+ACK: what it believes to be the most a segment may hold. 0 is unknown. */
  readonly mss: number;
  /** The largest echo of those asked that came back, bytes of IP; 0 when not even a small one did. */
  readonly largest: number;
  /** The smallest that did not; 0 when all did. */
  readonly lost: number;
}

export interface VipAsked {
  readonly vip: string;
  /** The director is to answer ARP for it. */
  readonly active: boolean;
  /** Who answered ARP for it, us excluded. */
  readonly macs: readonly string[];
}

export interface HostSeen {
  /** Capabilities that this process lacks. */
  readonly lacks: readonly string[];
  /** Why the interface cannot serve; empty when it can. */
  readonly linkTrouble: string;
  readonly dip: string;
  readonly mac: string;
  readonly mtu: number;
  /** VIPs that the host's own stack has. */
  readonly vipsOnHost: readonly string[];
  readonly forwards: boolean;
  /** The rule that keeps the host silent: does it stand? undefined when that could not be asked. */
  readonly silenced: boolean | undefined;
  /** The network card joins segments before we see them (LRO); undefined when that could not be asked. */
  readonly joins: boolean | undefined;
  readonly gatewayMac?: string;
}

/** Frames for another station that the switch sent to us, and that station answered ARP at the same time. */
export interface Stray {
  readonly mac: string;
  readonly frames: number;
}

export interface Observations {
  readonly host: HostSeen;
  readonly servers: readonly ServerSeen[];
  readonly vips: readonly VipAsked[];
  readonly strays: readonly Stray[];
  /** Somebody else's ARP came with our own MAC: for which address. */
  readonly ourMacElsewhere: readonly string[];
}
