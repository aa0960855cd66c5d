/**
 * The director dies, is killed, is replaced, under load: who talks to the real servers must not notice. Counts are
 * small here; DR_DIRECTOR_KILLS and DR_DIRECTOR_TAKEOVERS make them as large as one has patience for.
 */
import { describe, expect, test } from "vitest";
import { DirectorProgram } from "../../src/lab/director-program.ts";
import { startServers } from "../../src/lab/traffic.ts";
import { clusterConfig, verdictSum } from "../helpers/cluster.ts";
import { Load } from "../helpers/load.ts";
import { makeFolder, makeLab, sleep } from "../helpers/world.ts";

const KILLS = Number(process.env["DR_DIRECTOR_KILLS"] ?? 12);
const TAKEOVERS = Number(process.env["DR_DIRECTOR_TAKEOVERS"] ?? 5);

async function stage(shards: number) {
  const lab = await makeLab();
  await startServers(lab, lab.realServers);
  const folder = makeFolder();
  const config = clusterConfig({ config: { shards } });
  return { lab, folder, config };
}

describe("taking over from a running director", () => {
  test.each([1, 2])(
    `${TAKEOVERS} times under load, with %i shards: no request fails`,
    async (shards) => {
      const { lab, folder, config } = await stage(shards);
      let director = await DirectorProgram.start(lab, config, { folder });
      const load = await Load.start(lab, { long: 20, short: 4 });
      await sleep(500);
      let counted = 0;
      for (let n = 0; n < TAKEOVERS; n++) {
        const next = await DirectorProgram.start(lab, config, { folder, takeover: true });
        expect(await director.program.ended).toBe(0);
        const { received, sum } = await verdictSum(next);
        expect(received).toBeGreaterThan(counted);
        expect(Math.abs(sum - received)).toBeLessThan(64); // read while frames come in
        counted = received;
        director = next;
        await sleep(100 + Math.random() * 300);
      }
      const result = await load.end();
      expect(result).toMatchObject({ broken: [], strangers: [] });
      expect(result.requests).toBeGreaterThan(100);
      console.log(`takeovers ${TAKEOVERS}, shards ${shards}:`, result);
    },
    60_000 + TAKEOVERS * 5_000,
  );
});

describe("kill -9", () => {
  test.each([1, 2])(
    `${KILLS} times at random moments under load, with %i shards: no connection breaks`,
    async (shards) => {
      const { lab, folder, config } = await stage(shards);
      let director = await DirectorProgram.start(lab, config, { folder });
      const load = await Load.start(lab, { long: 20, short: 4 });
      let counted = 0;
      for (let n = 0; n < KILLS; n++) {
        await sleep(100 + Math.random() * 600);
        counted = (await verdictSum(director)).received;
        director.program.signal("SIGKILL");
        await director.program.ended;
        director = await DirectorProgram.start(lab, config, { folder });
        expect((await verdictSum(director)).received).toBeGreaterThanOrEqual(counted);
      }
      const result = await load.end();
      expect(result).toMatchObject({ broken: [], strangers: [] });
      console.log(`kills ${KILLS}, shards ${shards}:`, result);
    },
    60_000 + KILLS * 5_000,
  );
});
