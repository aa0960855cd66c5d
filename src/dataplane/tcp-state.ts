/**
 * TCP as a director sees it that hears only the client: kernel IPVS's INPUT_ONLY tables (ip_vs_proto_tcp.c; recorded
 * in the oracle's state/). A frame counts by its strongest flag: RST, then SYN, then FIN, then ACK.
 */
export const TcpState = {
  None: 0,
  Established: 1,
  SynSent: 2,
  SynRecv: 3,
  FinWait: 4,
  TimeWait: 5,
  Close: 6,
  CloseWait: 7,
  LastAck: 8,
  Listen: 9,
  SynAck: 10,
} as const;
export type TcpState = (typeof TcpState)[keyof typeof TcpState];

export const TCP_STATE_NAMES = [
  "NONE",
  "ESTABLISHED",
  "SYN_SENT",
  "SYN_RECV",
  "FIN_WAIT",
  "TIME_WAIT",
  "CLOSE",
  "CLOSE_WAIT",
  "LAST_ACK",
  "LISTEN",
  "SYNACK",
] as const;

const { None: NO, Established: ES, SynSent: SS, SynRecv: SR, FinWait: FW, TimeWait: TW } = TcpState;
const { Close: CL, CloseWait: CW, LastAck: LA, Listen: LI, SynAck: SA } = TcpState;

/** Next state by present state, in the order of TcpState; secure_tcp only changes what a SYN leads to. */
//                 NO  ES  SS  SR  FW  TW  CL  CW  LA  LI  SA
const ON_SYN = /*  */ [SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR];
const ON_SYN_SECURE = [SA, ES, ES, SR, SA, SA, SA, SA, SA, SA, SA];
const ON_FIN = /*  */ [CL, FW, SS, TW, FW, TW, CL, CW, LA, LI, TW];
const ON_ACK = /*  */ [ES, ES, ES, ES, FW, TW, CL, CW, CL, LI, ES];
const ON_RST = /*  */ [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL];

export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const ACK = 0x10;

const STATE_BITS = 4;

/** next[flags << 4 | state] for all 64 combinations of flags. */
function compile(onSyn: readonly number[]): Int32Array {
  const table = new Int32Array(64 << STATE_BITS);
  for (let flags = 0; flags < 64; flags++) {
    const row =
      flags & RST ? ON_RST : flags & SYN ? onSyn : flags & FIN ? ON_FIN : flags & ACK ? ON_ACK : undefined;
    for (let state = NO; state <= SA; state++) table[(flags << STATE_BITS) | state] = row?.[state] ?? CL;
  }
  return table;
}

const NORMAL = compile(ON_SYN);
const SECURE = compile(ON_SYN_SECURE);

/** @param flags the low six bits of the TCP flags byte */
export function nextState(state: number, flags: number, secure: boolean): number {
  const move = (flags << STATE_BITS) | state;
  return secure ? SECURE[move]! : NORMAL[move]!;
}

/** Which states count as ActiveConn: SYN_RECV and its like are active, FIN_WAIT and what follows are not. */
const ACTIVE = Int32Array.from([0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1]);

export function isActive(state: number): boolean {
  return ACTIVE[state] !== 0;
}
