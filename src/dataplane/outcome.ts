/** What became of a frame, as a tap sees it: the rows it met, and in words. */
import { C_STATUS, ROW_SHIFT } from "../table/connections.ts";
import type { Region } from "../table/region.ts";
import { NONE } from "../table/services.ts";
import type { Context } from "./context.ts";
import { fillFlow } from "./flow.ts";
import { serverName, serviceName, stateName } from "./naming.ts";
import { findService } from "./schedule.ts";
import { connectionOf, destinationOf, hasFlow } from "./tap.ts";
import { VERDICT_NAMES, Verdict } from "./verdict.ts";
import { verdictSentence } from "./verdict-words.ts";

export const ConnectionPart = { None: 0, Found: 1, Made: 2 } as const;
export type ConnectionPart = (typeof ConnectionPart)[keyof typeof ConnectionPart];

/** One frame's end, in rows. */
export interface Ending {
  verdict: Verdict;
  /** Service's and destination's rows, NONE for none. */
  service: number;
  destination: number;
  /** What part a connection had, and its status word after the turn. */
  connection: ConnectionPart;
  status: number;
  /** IP protocol of the flow, 0 when none was read. */
  protocol: number;
}

export function createEnding(): Ending {
  return { verdict: 0, service: NONE, destination: NONE, connection: 0, status: 0, protocol: 0 };
}

/** Before the burst is decided: the connection that frame `i` would find, -1 for none. */
export function knownBefore(context: Context, i: number): number {
  return hasFlow(context, i, Verdict.Forwarded) ? connectionOf(context, i) : -1;
}

/** After it was decided: fills `ending` for frame `i`. `known` is what knownBefore said. Allocates nothing. */
export function readEnding(context: Context, i: number, known: number, ending: Ending): void {
  const { frames, region, connections } = context;
  const verdict = frames.verdict[i] as Verdict;
  const flow = verdict !== Verdict.HandedOver && hasFlow(context, i, verdict);
  const row = flow ? connectionOf(context, i) : -1;
  const d = destinationOf(context, i, verdict, row);
  ending.verdict = verdict;
  ending.destination = d;
  ending.service = d === NONE ? NONE : region.destinations.service[d]!;
  ending.protocol = flow ? frames.flowKind[i]! & 0xff : 0;
  ending.connection =
    row < 0 ? ConnectionPart.None : row === known ? ConnectionPart.Found : ConnectionPart.Made;
  ending.status = row < 0 ? 0 : connections.rows[(row << ROW_SHIFT) + C_STATUS]!;
  if (!flow || ending.service !== NONE) return;
  fillFlow(context, i);
  ending.service = findService(context, ending.protocol);
}

/** "Forwarded: tcp 10.0.0.100:80 → 10.0.0.12:80, new connection, SYN_RECV": the comment of a captured frame. */
export function endingText(region: Region, ending: Ending): string {
  const { verdict, service, destination, connection, status, protocol } = ending;
  const parts: string[] = [];
  const to = destination === NONE ? "" : ` → ${serverName(region, destination).text}`;
  if (service !== NONE && region.services.live[service] === 1)
    parts.push(`${serviceName(region, service).text}${to}`);
  else if (to !== "") parts.push(`a deleted service${to}`);
  if (connection !== ConnectionPart.None) {
    const made = connection === ConnectionPart.Made ? "new connection" : "known connection";
    parts.push(`${made}, ${stateName(protocol, status)}`);
  }
  if (verdict !== Verdict.Forwarded) parts.push(verdictSentence(verdict));
  return `${VERDICT_NAMES[verdict]}: ${parts.join(", ")}`;
}
