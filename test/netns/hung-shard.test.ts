/** Shards that hang or die again and again: the rest of the traffic goes on, and nothing is tried for ever. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { built } from "../../src/lab/built.ts";
import { DirectorProgram } from "../../src/lab/director-program.ts";
import { VIP } from "../../src/lab/topology.ts";
import { startServers } from "../../src/lab/traffic.ts";
import { clusterConfig, verdictSum } from "../helpers/cluster.ts";
import { Load } from "../helpers/load.ts";
import { makeFolder, makeLab } from "../helpers/world.ts";

/** Round robin, but for ever for clients from port 4444. */
const ENDLESS = `
  let turn = 0;
  export const endless = {
    name: "endless",
    schedule: (service, flow) => {
      while (flow.clientPort === 4444);
      return service.count === 0 ? -1 : service.members[turn++ % service.count];
    },
  };`;

test.each([1, 2])(
  "a scheduler that never returns is ended with its shard, and given up the second time; %i shards",
  async (shards) => {
    const lab = await makeLab();
    await startServers(lab, lab.realServers);
    const folder = makeFolder();
    const module = join(folder, "endless.mjs");
    writeFileSync(module, ENDLESS);
    const config = clusterConfig({ scheduler: "endless", config: { shards } });
    const director = await DirectorProgram.start(lab, config, { folder, schedulers: [module] });
    const load = await Load.start(lab, { long: 8, short: 0 });
    await load.well();
    const curl = ["curl", "-s", "-m", "5", "-o", "/dev/null", "--local-port"];
    const poison = lab.run("client", [...curl, "4444", `http://${VIP}/`]);
    const hung = /shard \d hangs: it has not turned for 3 s, in the scheduler of tcp 10\.0\.0\.100:80/;
    await director.program.next(hung, 10_000);
    await director.program.next(/shard \d died \(it has not turned.*and is started again/, 5_000);
    await director.program.next(/takes no new connections: its scheduler hung a shard twice/, 15_000);
    await director.program.next(/shard \d started|shard \d died/, 5_000);
    expect((await poison).code).not.toBe(0);
    await load.well();
    expect(await load.end()).toMatchObject({ broken: [], strangers: [] });
    // Nobody new gets in, at once and with an answer, until an administrator says so.
    const refused = await lab.run("client", [...curl, "5000-5999", `http://${VIP}/`]);
    expect(refused.code).toBe(7);
    const dradm = [process.execPath, built("cli/dradm.js"), "--socket", director.socket];
    await lab.run("director", [...dradm, "-E", "-t", `${VIP}:80`, "-s", "endless"]);
    const again = await lab.run("client", [...curl, "5000-5999", `http://${VIP}/`]);
    expect(again.code).toBe(0);
    const { received, sum } = await verdictSum(director);
    expect(sum).toBe(received);
  },
);
