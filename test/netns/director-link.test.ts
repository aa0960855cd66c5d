/** What happens to the director's own interface while it runs: down and up, another MAC, gone and made anew. */
import { describe, expect, test } from "vitest";
import type { Lab } from "../../src/lab/lab.ts";
import { DIP, switchPort, VIP } from "../../src/lab/topology.ts";
import { type Cluster, makeCluster, verdictSum } from "../helpers/cluster.ts";
import { Load } from "../helpers/load.ts";
import { eventually, has, sleep } from "../helpers/world.ts";

/** Takes the director's interface away and puts another of the same name in its place. */
async function makeAnew(lab: Lab): Promise<void> {
  await lab.in("director").ip(["link del eth0"]);
  await sleep(1_500);
  await lab.in("switch").ip(switchPort("director", "eth0", DIP, lab.in("director").pid));
  await lab.in("switch").ip(["link set director up"]);
  await lab.in("director").ip(["link set eth0 up", `address add ${DIP}/24 dev eth0`]);
}

async function goesOn({ director }: Cluster, load: Load): Promise<void> {
  await load.well();
  expect(await load.end()).toMatchObject({ broken: [], strangers: [] });
  const { received, sum } = await verdictSum(director);
  expect(sum).toBe(received);
}

/** Long connections only, so that an outage of two seconds is no flood of SYNs. */
const calm = { long: 10, short: 1 };

describe("the director's own interface", () => {
  test("goes down and comes up: it is told, and everything goes on", async () => {
    const cluster = await makeCluster({ config: { shards: 2 } });
    const load = await Load.start(cluster.lab, calm);
    await load.well();
    const { program } = cluster.director;
    const down = program.next(/interface eth0 is down|ARP on eth0: .*ENETDOWN/, 4_000);
    await cluster.lab.in("director").ip(["link set eth0 down"]);
    await down;
    const back = program.next(/interface eth0 is back/, 4_000);
    await cluster.lab.in("director").ip(["link set eth0 up"]);
    await back;
    await goesOn(cluster, load);
  });

  test("gets another MAC: whoever knew the old one is told, frames to the new one are ours", async () => {
    const cluster = await makeCluster();
    const load = await Load.start(cluster.lab, calm);
    await load.well();
    const told = cluster.director.program.next(/our MAC is 02:00:0a:00:00:dd now/, 4_000);
    await cluster.lab.in("director").ip(["link set eth0 address 02:00:0a:00:00:dd"]);
    await told;
    await eventually("the router knows", async () => {
      const known = await cluster.lab.in("router").sh(`ip neigh show ${VIP}`);
      return known.includes("02:00:0a:00:00:dd") || undefined;
    });
    await goesOn(cluster, load);
  });

  test.each([1, 2])(
    "is deleted and made anew: sockets, rule and shards follow, with %i shards",
    async (shards) => {
      const cluster = await makeCluster({ config: { shards } });
      const { lab, director } = cluster;
      const load = await Load.start(lab, calm);
      await load.well();
      const gone = director.program.next(/there is no interface eth0 here/, 4_000);
      const anew = director.program.next(/forwards on eth0 again, which was made anew/, 8_000);
      await makeAnew(lab);
      await gone;
      await anew;
      await goesOn(cluster, load);
      if (has("nft"))
        expect(await lab.in("director").sh("nft list ruleset")).toMatch(
          /ingress device "eth0" .*[\s\S]*th dport @services counter/,
        );
      expect(await director.stop()).toBe(0);
      if (has("nft")) expect(await lab.in("director").sh("nft list ruleset")).not.toContain("dr-director");
    },
  );
});
