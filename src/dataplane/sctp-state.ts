/**
 * SCTP as a director sees it that hears only the client, as kernel IPVS tells it (ip_vs_proto_sctp.c, where no answer is
 * seen): the first INIT, repeated ones, COOKIE ECHO for established, SHUTDOWN and what ends it. States are numbered
 * as the kernel's; those that only a server's answer leads to are never entered.
 */
import { Chunk } from "../wire/sctp.ts";

export const SctpState = {
  None: 0,
  Init1: 1,
  Init: 2,
  CookieSent: 3,
  CookieReplied: 4,
  CookieWait: 5,
  Cookie: 6,
  CookieEchoed: 7,
  Established: 8,
  ShutdownSent: 9,
  ShutdownReceived: 10,
  ShutdownAckSent: 11,
  Rejected: 12,
  Closed: 13,
} as const;

const { None, Init1, Init, CookieEchoed, Established, ShutdownReceived, Closed } = SctpState;

/** Names as `ipvsadm -Lc` prints them, by state number. */
export const SCTP_STATE_NAMES = [
  "NONE",
  "INIT1",
  "INIT",
  "C-SENT",
  "C-REPLIED",
  "C-WAIT",
  "COOKIE",
  "C-ECHOED",
  "ESTABLISHED",
  "S-SENT",
  "S-RECEIVED",
  "S-ACK-SENT",
  "REJECTED",
  "CLOSED",
] as const;

/** One more than RTO.Max, 60 s (RFC 9260 §16). */
const LONG = 61;
/** Seconds an association may rest in each state: an INIT of which nothing comes is forgotten after RTO.Initial. */
export const SCTP_TIMEOUTS = [
  2,
  4,
  LONG,
  LONG,
  LONG,
  LONG,
  LONG,
  LONG,
  900,
  LONG,
  LONG,
  LONG,
  4,
  LONG,
] as const;

type Moves = Readonly<Partial<Record<number, number>>>;

/** By chunk: from which state to which. A state that is not named stays. */
const MOVES: Readonly<Partial<Record<number, Moves>>> = {
  [Chunk.Init]: { [None]: Init1, [Init1]: Init, [Closed]: Init },
  [Chunk.InitAck]: { [None]: CookieEchoed, [Init1]: CookieEchoed, [Init]: CookieEchoed },
  [Chunk.CookieEcho]: { [None]: Established, [Init1]: Established, [Init]: Established },
  [Chunk.CookieAck]: { [None]: Established, [CookieEchoed]: Established },
  [Chunk.Shutdown]: { [None]: ShutdownReceived, [Established]: ShutdownReceived },
  [Chunk.ShutdownAck]: { [None]: Closed, [Init1]: Init, [Established]: Closed },
  [Chunk.ShutdownComplete]: { [None]: Closed, [Init1]: Closed, [Init]: Closed, [ShutdownReceived]: Closed },
  [Chunk.Error]: { [None]: Closed },
};
/** DATA, SACK, HEARTBEAT and whatever else an association carries. */
const ANY_OTHER: Moves = { [None]: Established };

/** @param chunk type of the telling chunk (wire/sctp.ts) */
export function nextSctpState(state: number, chunk: number): number {
  if (chunk === Chunk.Abort) return Closed;
  return (MOVES[chunk] ?? ANY_OTHER)[state] ?? state;
}
