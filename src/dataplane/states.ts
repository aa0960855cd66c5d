/** What is asked of a connection's state whatever its protocol. */
import { Protocol } from "../wire/ipv4.ts";
import { SctpState } from "./sctp-state.ts";
import { isActive as isActiveTcp, TcpState } from "./tcp-state.ts";

/** Does it count as ActiveConn? UDP never does. */
export function isActive(protocol: number, state: number): boolean {
  if (protocol === Protocol.Tcp) return isActiveTcp(state);
  return protocol === Protocol.Sctp && state === SctpState.Established;
}

/** Has only its beginning been seen? Such connections go first when the table is full. */
export function isHalfOpen(protocol: number, state: number): boolean {
  if (protocol === Protocol.Tcp) return state === TcpState.SynRecv || state === TcpState.SynAck;
  return protocol === Protocol.Sctp && (state === SctpState.Init1 || state === SctpState.Init);
}

/** Is it established: what a persistence template and drop_entry want to know. */
export function isEstablished(protocol: number, state: number): boolean {
  return state === (protocol === Protocol.Sctp ? SctpState.Established : TcpState.Established);
}
