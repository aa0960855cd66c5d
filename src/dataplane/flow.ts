/** Describes frame `i` in `context.flow`, the form that services, persistence and schedulers look at. */
import { FAMILY6 } from "../table/connections.ts";
import type { Context } from "./context.ts";

/** Where the client's address and the virtual one begin in a flow's words. */
export const FLOW_CLIENT = 0;
export const FLOW_VIRTUAL = 4;

const MAPPED = 0xffff;

export function fillFlow(context: Context, i: number): void {
  const { flow, frames } = context;
  const { words } = flow;
  if ((frames.flowKind[i]! & FAMILY6) === 0) {
    flow.family = 4;
    words[0] = words[1] = words[4] = words[5] = 0;
    words[2] = words[6] = MAPPED;
    words[3] = frames.client[i]!;
    words[7] = frames.virtual[i]!;
  } else {
    flow.family = 6;
    for (let w = 0; w < 8; w++) words[w] = frames.words[i * 8 + w]!;
  }
  flow.now = context.now;
  flow.clientPort = frames.ports[i]! >>> 16;
  flow.virtualPort = frames.ports[i]! & 0xffff;
}
