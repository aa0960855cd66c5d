/** What each verdict means, in a sentence. */
import { VERDICT_NAMES, type Verdict } from "./verdict.ts";

const SENTENCES: Readonly<Record<keyof typeof Verdict, string>> = {
  Forwarded: "It was sent to its real server.",
  Waiting:
    "It is kept until the real server's MAC address is known, or until the datagram's first fragment comes.",
  NotIp: "It is neither IPv4 nor IPv6: the host's own stack has its copy.",
  NotOurs: "No virtual service matches: it is left to the host's own stack.",
  NoConnection:
    "It belongs to no known connection and does not open one: it is left to the host's own stack, as the kernel does.",
  NotScheduled: "A rule of IPVS exempts it from being scheduled: it is left to the host's own stack.",
  NoDestination:
    "No real server can take it: all are quiesced or overloaded. The client is told by ICMP port unreachable.",
  DestinationGone:
    "Its connection's real server was deleted: it is dropped without a word, as the kernel does.",
  Malformed:
    "It contradicts itself, ends before its own headers do, or comes from an address that no host may send from.",
  Truncated: "The kernel could not give us all of it.",
  Defended: "The drop_packet defence is on and it was this connection's turn to be refused.",
  TableFull:
    "The connection table is full and nothing in it was half-open: there is no room for a new connection.",
  TtlExceeded: "Its TTL is used up (ttl: decrement): the client is told by ICMP time exceeded.",
  TooBig:
    "It is larger than the link's MTU and must not be cut: the client is told by ICMP fragmentation needed.",
  FragmentLost: "Its datagram's first fragment never came, or there was no room to wait for it.",
  NeighbourFailed: "The real server does not answer ARP: nobody can be sent this frame.",
  WaitingFull: "The real server's MAC address is not known yet, and the waiting room for it is full.",
  HandedOver: "Its flow lives in another shard, which got it.",
  HandoverFull: "Its flow lives in another shard, whose queue was full.",
  Loop: "It came from this director or from a peer: forwarding it again would make a loop.",
  OtherHost: "Its destination MAC address is not this director's.",
  TransmitFailed: "The kernel refused to send it.",
  Answered: "The director answered it itself.",
};

export function verdictSentence(verdict: Verdict): string {
  return SENTENCES[VERDICT_NAMES[verdict]!];
}
