/** The highest rate without loss, after RFC 2544, in rounds that take turns. */

import type { Site } from "../../src/lab/bench/site.ts";
import type { Stage } from "../../src/lab/bench/stage.ts";
import { highestWithoutLoss } from "../search.ts";
import type { Effort } from "../section.ts";
import { openFlows, pass } from "./traffic.ts";

const LOW = 5_000;
/** Where the search goes when even its begin was too fast. */
const LOWEST = 500;
const HIGH = 900_000;
/** With many forwarders a search each takes half a minute. */
const MOST_ROUNDS = 3;
/** After the first search of a site the next ones look around what it found. */
const AROUND = 1.6;

/** Frames a second by site, one for each round. */
export async function zeroLossRates(
  stage: Stage,
  sites: readonly Site[],
  { rounds: wanted, quick, say }: Effort,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const rounds = quick ? wanted : Math.min(wanted, MOST_ROUNDS);
  const found = new Map<string, number[]>(sites.map((site) => [site.name, []]));
  const milliseconds = quick ? 400 : 700;
  for (const site of sites) await openFlows(stage, site, {});
  for (let round = 0; round < rounds; round++) {
    for (const site of sites) {
      const before = found.get(site.name)!.at(-1) ?? 0;
      const low = before === 0 ? LOW : before / AROUND;
      const high = before === 0 ? HIGH : before * AROUND;
      const lossAt = async (rate: number) => {
        const passage = await pass(stage, site, { rate, milliseconds });
        // What the generator could not make in time was not offered, so it proves nothing.
        return passage.offered < rate * 0.97 ? Math.max(1, passage.lost) : passage.lost;
      };
      const precision = quick ? 0.1 : 0.04;
      let { rate } = await highestWithoutLoss(lossAt, { low, high, precision });
      if (rate === 0) rate = (await highestWithoutLoss(lossAt, { low: LOWEST, high: low, precision })).rate;
      // A forwarder that loses even then is taken at the lowest rate, to its advantage.
      rate = Math.max(rate, LOWEST);
      say(`zero loss: ${site.name} ${Math.round(rate / 1000)} kpps`);
      found.get(site.name)!.push(rate);
    }
  }
  return found;
}
