import { describe, expect, test } from "vitest";
import type { ConfigInput } from "../../src/control/config-schema.ts";
import { Capture } from "../../src/lab/capture.ts";
import { isForVip, pairFrames } from "../../src/lab/evidence.ts";
import { VIP } from "../../src/lab/topology.ts";
import {
  type Cluster,
  type ClusterOptions,
  clusterConfig,
  makeCluster as makeAnyCluster,
  RINGS,
} from "../helpers/cluster.ts";
import { eventually, hexOf, sleep } from "../helpers/world.ts";

/** One kept-alive connection, a request each 20 ms for about 1.2 s; tells who answered. */
const longConnection = ({ client }: Cluster) =>
  client.request({ requests: 60, keepAlive: true, pause: 20, timeout: 10_000 });

/** The same config with another weight for real server `i`. */
function reweighed(config: ConfigInput, i: number, weight: number): ConfigInput {
  const services = config.services!.map((service) => ({
    ...service,
    servers: service.servers!.map((server, n) => (n === i ? { ...server, weight } : server)),
  }));
  return { ...config, services };
}

async function reload(cluster: Cluster, config: ConfigInput): Promise<void> {
  const heard = cluster.director.program.next(/"event":"reloaded"/);
  cluster.director.reload(config);
  await heard;
}

describe.each(RINGS)("over $ring", ({ config: ring }) => {
  const makeCluster = (options: ClusterOptions = {}): Promise<Cluster> =>
    makeAnyCluster({ ...options, config: { ...ring, ...options.config } });

  test("a real server gets another MAC and announces it: old and new connections follow at once", async () => {
    const cluster = await makeCluster({ lab: { realServers: 1 } });
    const { lab, client } = cluster;
    await client.request(); // its neighbour is known now
    const old = longConnection(cluster);
    await sleep(200);
    const moved = cluster.director.program.next(/"event":"neighbour-moved"|moved/, 10_000);
    await lab.in("rs1").sysctl([["net/ipv4/conf/eth0/arp_notify", 1]]);
    await lab.in("rs1").ip(["link set eth0 address 02:00:0a:00:00:ee"]);
    await moved;
    const fresh = await client.request({ requests: 5, timeout: 10_000 });
    expect(fresh).toMatchObject({ answers: { rs1: 5 }, failed: 0 });
    expect(await old).toMatchObject({ answers: { rs1: 60 }, failed: 0 });
  });

  test("a cable pulled for half a second: the connections on it go on as if nothing had been", async () => {
    const cluster = await makeCluster({ lab: { realServers: 1 } });
    const { lab } = cluster;
    const old = longConnection(cluster);
    await sleep(200);
    await lab.in("switch").ip(["link set rs1 down"]);
    await sleep(500);
    await lab.in("switch").ip(["link set rs1 up"]);
    expect(await old).toMatchObject({ answers: { rs1: 60 }, failed: 0 });
  });

  test("a dead real server fails its third of the new connections until it is taken out, and has them again when it is back", async () => {
    const cluster = await makeCluster();
    const { lab, client, config } = cluster;
    await client.request({ requests: 3 });
    await lab.in("switch").ip(["link set rs2 down"]);
    const dead = await client.request({ requests: 9, parallel: 9, timeout: 1_500 });
    expect(dead).toMatchObject({ answers: { rs1: 3, rs3: 3 }, failed: 3 });

    await reload(cluster, reweighed(config, 1, 0)); // quiesced
    const without = await client.request({ requests: 10, timeout: 10_000 });
    expect(without).toMatchObject({ answers: { rs1: 5, rs3: 5 }, failed: 0 });

    await lab.in("switch").ip(["link set rs2 up"]);
    await reload(cluster, config);
    const back = await client.request({ requests: 9, timeout: 60_000 });
    expect(back).toMatchObject({ answers: { rs1: 3, rs2: 3, rs3: 3 }, failed: 0 });
  });

  test("quiescing a real server keeps its old connection and gives it no new one", async () => {
    const cluster = await makeCluster({ lab: { realServers: 2 } });
    const old = longConnection(cluster);
    await sleep(200);
    // Whoever answered the long connection first is the one to be quiesced: rr gives the next connection to the other.
    const { answers } = await cluster.client.request();
    const first = answers.rs1 === 1 ? 1 : 0;
    await reload(cluster, reweighed(cluster.config, first, 0));
    const fresh = await cluster.client.request({ requests: 4 });
    const [held, other] = [`rs${first + 1}`, `rs${2 - first}`];
    expect(fresh.answers).toEqual({ [other]: 4 });
    expect(await old).toMatchObject({ answers: { [held]: 60 }, failed: 0 });
  });

  test("real server and router lose their ARP entries: the connection goes on", async () => {
    const cluster = await makeCluster({ lab: { realServers: 1 } });
    const old = longConnection(cluster);
    for (let i = 0; i < 5; i++) {
      await sleep(100);
      await Promise.all(
        ["rs1", "router", "director"].map((name) => cluster.lab.in(name).ip(["neigh flush all"])),
      );
    }
    expect(await old).toMatchObject({ answers: { rs1: 60 }, failed: 0 });
    // The router asked again who has the VIP, and only the director answered.
    const neighbour = await cluster.lab.in("router").sh(`ip neigh show ${VIP}`);
    expect(neighbour).toContain("02:00:0a:00:00:02");
  });

  test("frames for a real server whose MAC is not known yet wait for it: not even the first is lost", async () => {
    const { lab, client, director } = await makeCluster({
      lab: { realServers: 1 },
      prepare: (lab) => lab.in("switch").ip(["link set rs1 down"]),
    });
    const capture = await Capture.start(lab, "switch", "director");
    const request = client.request();
    await capture.until((frame) => frame.sent && isForVip(frame));
    await eventually("it waits", async () => (await director.counters()).verdicts.Waiting === 1 || undefined);
    await lab.in("switch").ip(["link set rs1 up"]);
    expect(await request).toMatchObject({ answers: { rs1: 1 }, failed: 0 });
    await capture.quiet();
    await capture.stop();
    expect(hexOf(pairFrames(capture.frames).lost)).toEqual([]);
    expect((await director.counters()).verdicts.Waiting).toBe(0);
  });

  test("a real server that never answers ARP: its frames are told apart, the others' connections are not harmed", async () => {
    // The config names three real servers, the lab has two: 10.0.0.13 does not exist.
    const { services } = clusterConfig({});
    const cluster = await makeCluster({ lab: { realServers: 2 }, config: { services: services! } });
    const round = await cluster.client.request({ requests: 9, parallel: 9, timeout: 1_500 });
    expect(round).toMatchObject({ answers: { rs1: 3, rs2: 3 }, failed: 3 });
    const held = await cluster.director.counters();
    expect(held.verdicts.Waiting! + held.verdicts.NeighbourFailed!).toBeGreaterThan(0);
    // Three unanswered questions, a second apart, and the waiting frames get their verdict.
    const failed = await eventually(
      "frames for it end as NeighbourFailed",
      async () => {
        const counters = await cluster.director.counters();
        return counters.verdicts.Waiting === 0 && counters.verdicts.NeighbourFailed! > 0
          ? counters
          : undefined;
      },
      8_000,
    );
    const sum = Object.values(failed.verdicts).reduce((total, count) => total + count, 0);
    expect(sum).toBe(failed.received);
  });
});
