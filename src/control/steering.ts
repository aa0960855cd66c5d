/**
 * Who decides which shard a flow lives in: its hash, where the kernel's fanout does the same sum, or the NIC, which
 * brings it to the queue of its choice (dataplane/elsewhere.ts).
 */
import { hashOfRow } from "../dataplane/life.ts";
import { shardOf } from "../table/hash.ts";
import { Header, type Region } from "../table/region.ts";

/** Does every connection stand in the shard of its hash? */
function allAtHome({ header, shards }: Region): boolean {
  return shards.every(({ connections }, index) => {
    for (let row = 0; row < connections.high; row++) {
      if (!connections.isLive(row)) continue;
      if (shardOf(hashOfRow(connections, row, header[Header.Seed]!), shards.length) !== index) return false;
    }
    return true;
  });
}

/**
 * Tells the shards, before they begin, how frames come to them. Connections of a director whose frames came by queue
 * are still looked for in every shard by the next one, whose frames come by hash.
 */
export function steer(region: Region, byArrival: boolean): void {
  const { header } = region;
  header[Header.ByArrival] = byArrival || !allAtHome(region) ? 1 : 0;
}
