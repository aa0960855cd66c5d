import { join } from "node:path";
import { expect, test } from "vitest";
import { patternHash } from "../../src/lab/pattern.ts";
import { must } from "../../src/lab/program.ts";
import { VIP } from "../../src/lab/topology.ts";
import { makeCluster, RINGS, verdictSum } from "../helpers/cluster.ts";
import { makeFolder, needs } from "../helpers/world.ts";

const BYTES = 200_000_000;

const CASES = RINGS.flatMap(({ ring, config }) =>
  (ring === "AF_PACKET" ? [1, 2, 4] : [1]).map((shards) => ({ ring, shards, config: { ...config, shards } })),
);

for (const { ring, shards, config } of CASES) {
  const many = shards === 1 ? "one shard" : `${shards} shards`;
  test(`200 MB come down and go up through the VIP unharmed, ${ring} with ${many}`, async (context) => {
    needs(context, "curl");
    const { lab, director } = await makeCluster({ config });
    const hash = patternHash(BYTES);
    const file = join(makeFolder(), "down");
    const down = await lab.run("client", ["curl", "-sS", "-o", file, `http://${VIP}/bytes/${BYTES}`]);
    expect(down).toMatchObject({ code: 0, stderr: "" });
    expect(await must(["sha256sum", file])).toContain(hash);
    // The client sends super-frames with half-done checksums: offloads are on everywhere.
    const up = await lab.run("client", ["curl", "-sS", "-T", file, "-X", "POST", `http://${VIP}/upload`]);
    expect(up).toEqual({ code: 0, stdout: `${hash}\n`, stderr: "" });
    const { received, sum, verdicts } = await verdictSum(director);
    expect(sum).toBe(received);
    expect(verdicts.Forwarded).toBeGreaterThan(BYTES / 65_536);
  });
}
