/**
 * What became of a frame. Every frame received ends in exactly one verdict; its number is its counter's row
 * (table/counters.ts), so received = Σ verdicts at any moment. `Waiting` is the only one a frame can leave again:
 * its counter falls by one when the frame gets its final verdict.
 */
export const Verdict = {
  Forwarded: 0, //        sent to a real server
  Waiting: 1, //          kept until the neighbour answers or the first fragment comes
  NotIp: 2, //            neither IPv4 nor IPv6: the host's stack has its own copy
  NotOurs: 3, //          no virtual service matches: left to the host's stack
  NoConnection: 4, //     TCP without SYN and no connection: the kernel leaves it to the host's stack
  NotScheduled: 5, //     a rule of IPVS exempts it (source port 20): left to the host's stack
  NoDestination: 6, //    every real server is quiesced or overloaded: ICMP port unreachable
  DestinationGone: 7, //  its real server was deleted: dropped without a word, as the kernel does
  Malformed: 8, //        shorter than its own headers claim, or contradictory
  Truncated: 9, //        the kernel could not give us all of it
  Defended: 10, //        drop_packet defence
  TableFull: 11, //       no room for a new connection
  TtlExceeded: 12, //     ttl: decrement, and it was 1 or 0: ICMP time exceeded
  TooBig: 13, //          larger than the link's MTU, DF set: ICMP fragmentation needed
  FragmentLost: 14, //    its first fragment never came, or the fragment store was full
  NeighbourFailed: 15, // the real server does not answer ARP
  WaitingFull: 16, //     the neighbour's waiting room was full
  HandedOver: 17, //      belongs to another shard and went there
  HandoverFull: 18, //    belongs to another shard whose queue was full
  Loop: 19, //            came from ourselves or from a peer director: never forwarded again
  OtherHost: 20, //       destination MAC is not ours
  TransmitFailed: 21, //  the kernel refused to send it
  Answered: 22, //        answered by the director itself (echo to a VIP we own)
} as const;
export type Verdict = (typeof Verdict)[keyof typeof Verdict];

export const VERDICTS = 23;

/** The verdicts' names by number, for people and metrics. */
export const VERDICT_NAMES: readonly (keyof typeof Verdict)[] = Object.keys(
  Verdict,
) as (keyof typeof Verdict)[];
