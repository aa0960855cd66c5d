/**
 * Where a flow lives, when shards do not agree on it by the flow's hash: with AF_XDP the NIC chooses the queue, and
 * with it the shard. A flow then lives where its first frame arrived. Whoever sees a frame of a flow it does not know
 * looks into the others' tables before it opens a connection, and hands the frame over to who has it: pieces of
 * datagrams, ICMP errors, and flows that the NIC has moved to another queue.
 *
 * The others write while we read. Rows and links are whole words, so what we read was true a moment ago: what is found
 * and gone meanwhile is decided anew by the shard that we give it to, and what is missed is a flow whose first frames
 * come by two queues at the same instant.
 */
import { FAMILY6 } from "../table/connections.ts";
import type { Context } from "./context.ts";
import { fillFlow } from "./flow.ts";

/** The other shard that has the flow of frame `i`; -1 when nobody has. */
export function livesElsewhere(context: Context, i: number): number {
  const { region, index, shards } = context;
  for (let step = 1; step < shards; step++) {
    const other = (index + step) % shards;
    if (has(context, i, region.shards[other]!.connections)) return other;
  }
  return -1;
}

/** True when this shard has the flow of frame `i`. */
export function livesHere(context: Context, i: number): boolean {
  return has(context, i, context.connections);
}

function has(context: Context, i: number, table: Context["connections"]): boolean {
  const { frames, flow } = context;
  const { hash, flowKind, client, virtual, ports } = frames;
  const kind = flowKind[i]!;
  if ((kind & FAMILY6) === 0) return table.find4(hash[i]!, kind, client[i]!, virtual[i]!, ports[i]!) >= 0;
  fillFlow(context, i);
  return table.find6(hash[i]!, kind, flow.words, 0, ports[i]!) >= 0;
}
