/** Which firewall mark a flow carries, by the rules of table/marks.ts; 0 for none. Asked once per new connection. */
import type { Context } from "./context.ts";

export function markOf(context: Context, protocol: number): number {
  const { marks } = context.region;
  const { family, virtualPort } = context.flow;
  let mark = 0;
  for (let r = 0; r < marks.count[0]!; r++) {
    if (marks.family[r] !== family || (marks.protocol[r] !== 0 && marks.protocol[r] !== protocol)) continue;
    if (virtualPort < marks.firstPort[r]! || virtualPort > marks.lastPort[r]!) continue;
    if (isWithin(context, r)) mark = marks.mark[r]!;
  }
  return mark;
}

function isWithin(context: Context, r: number): boolean {
  const { network, mask } = context.region.marks;
  const { words } = context.flow;
  for (let w = 0; w < 4; w++) {
    if (((words[4 + w]! ^ network[r * 4 + w]!) & mask[r * 4 + w]!) !== 0) return false;
  }
  return true;
}
