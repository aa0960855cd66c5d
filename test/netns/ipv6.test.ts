/** The main job over IPv6: neighbour discovery by the director itself, frames untouched, fragments and errors find home. */
import { describe, expect, test } from "vitest";
import type { ConfigInput } from "../../src/control/config-schema.ts";
import { Capture, type CapturedFrame } from "../../src/lab/capture.ts";
import { onTheWire } from "../../src/lab/evidence.ts";
import {
  DIP,
  ECHO_PORT,
  HTTP_PORT,
  macOf,
  ROUTER,
  realServerAddress6,
  VIP6,
} from "../../src/lab/topology.ts";
import {
  type Cluster,
  type ClusterOptions,
  makeCluster as makeAnyCluster,
  RINGS,
  verdictSum,
} from "../helpers/cluster.ts";
import { hexOf, needs, sleep } from "../helpers/world.ts";

const servers = [0, 1, 2].map((i) => ({ address: realServerAddress6(i) }));
const CONFIG: ConfigInput = {
  vips: [{ address: VIP6, own: true }],
  services: [
    { protocol: "tcp", address: VIP6, port: HTTP_PORT, scheduler: "rr", servers },
    { protocol: "udp", address: VIP6, port: ECHO_PORT, scheduler: "rr", servers },
  ],
};

/** Its destination stands 24 bytes into the IPv6 header, behind 14 of Ethernet. */
const VIP6_HEX = "fd00000a000000000000000000000100";
const isForVip6 = ({ bytes }: CapturedFrame): boolean =>
  bytes[12] === 0x86 &&
  bytes[13] === 0xdd &&
  Buffer.from(bytes.subarray(38, 54)).toString("hex") === VIP6_HEX;
const isFromVip6 = ({ bytes }: CapturedFrame): boolean =>
  bytes[12] === 0x86 &&
  bytes[13] === 0xdd &&
  Buffer.from(bytes.subarray(22, 38)).toString("hex") === VIP6_HEX;
/** TCP and UDP; neighbour discovery for the VIP goes other ways. */
const isTraffic = ({ bytes }: CapturedFrame): boolean => bytes[20] === 6 || bytes[20] === 17;
const macs = ({ bytes }: CapturedFrame): string => Buffer.from(bytes.subarray(0, 12)).toString("hex");
const tails = (frames: readonly CapturedFrame[]): string[] =>
  hexOf(frames.map(({ bytes }) => ({ bytes: onTheWire(bytes).subarray(12) }))).sort();
const plain = (mac: string): string => mac.replaceAll(":", "");

describe.each(RINGS)("over $ring", ({ config: ring }) => {
  const makeCluster = (options: ClusterOptions = {}): Promise<Cluster> =>
    makeAnyCluster({
      ...options,
      lab: { ipv6: true, ...options.lab },
      config: { ...ring, ...CONFIG, ...options.config },
    });

  test("requests reach each real server in turn, only MACs change, answers go past the director", async () => {
    const { lab, client, director } = await makeCluster();
    const capture = await Capture.start(lab, "switch", "director");
    const round = await client.request({ host: VIP6, requests: 9, path: "/bytes/100000" });
    expect(round).toMatchObject({ answers: { rs1: 3, rs2: 3, rs3: 3 }, failed: 0 });
    await capture.quiet();
    expect(await capture.stop()).toBe(0);
    const traffic = capture.frames.filter((frame) => isForVip6(frame) && isTraffic(frame));
    const [before, after] = [traffic.filter(({ sent }) => sent), traffic.filter(({ sent }) => !sent)];
    expect(before.length).toBeGreaterThan(9 * 4);
    expect(tails(after)).toEqual(tails(before));
    expect(new Set(before.map(macs))).toEqual(new Set([plain(macOf(DIP)) + plain(macOf(ROUTER))]));
    expect(after.every((frame) => macs(frame).endsWith(plain(macOf(DIP))))).toBe(true);
    expect(capture.frames.filter((frame) => isFromVip6(frame) && isTraffic(frame))).toEqual([]);
    // The router asked who has the VIP, and the director answered it alone (type 136, flag S).
    const answers = capture.frames.filter(
      (frame) =>
        !frame.sent && isFromVip6(frame) && frame.bytes[54] === 136 && (frame.bytes[58]! & 0x40) !== 0,
    );
    expect(new Set(answers.map((frame) => macs(frame).slice(0, 12)))).toEqual(
      new Set([plain(macOf(ROUTER))]),
    );
    expect(await lab.in("router").sh(`ip -6 neigh show ${VIP6}`)).toContain(macOf(DIP));
    expect(await lab.in("client").sh(`ping -c1 -W1 ${VIP6}`)).toContain(" 0% packet loss");
    const { received, sum } = await verdictSum(director);
    expect(sum).toBe(received);
  });

  test("a real server gets another MAC and announces it: old and new connections follow at once", async () => {
    const { lab, client, director } = await makeCluster({ lab: { realServers: 3 } });
    await client.request({ host: VIP6, requests: 3 });
    const old = [1, 2, 3].map(() =>
      client.request({ host: VIP6, requests: 50, keepAlive: true, pause: 20, timeout: 10_000 }),
    );
    await sleep(200);
    const moved = director.program.next(/"event":"neighbour-moved"/, 3_000);
    await lab.in("rs1").sysctl([["net/ipv6/conf/eth0/ndisc_notify", 1]]);
    await lab.in("rs1").ip(["link set eth0 address 02:00:0a:00:00:ee"]);
    expect(await moved).toContain(realServerAddress6(0));
    expect(await client.request({ host: VIP6, requests: 6, timeout: 10_000 })).toMatchObject({ failed: 0 });
    for (const { failed, answers } of await Promise.all(old))
      expect([failed, Object.keys(answers).length]).toEqual([0, 1]);
  });

  test("a router's 'packet too big' finds the real server whose answers are too large", async () => {
    // Only the router's side of the client's link is narrow: neither end knows.
    const { client } = await makeCluster({
      prepare: (lab) => lab.in("router").ip(["link set eth0 mtu 1300"]),
    });
    const round = await client.request({
      host: VIP6,
      requests: 30,
      parallel: 3,
      path: "/bytes/30000",
      timeout: 30_000,
    });
    expect(round).toMatchObject({ failed: 0 });
  });

  test("UDP: a flow's datagrams, whole or in pieces, reach one real server", async (context) => {
    needs(context, "python3");
    const { lab } = await makeCluster();
    const outcomes = await Promise.all([1, 2, 3].map(() => lab.run("client", ["python3", "-c", ECHO])));
    expect(outcomes.map(({ stderr }) => stderr)).toEqual(["", "", ""]);
    expect(outcomes.map(({ stdout }) => stdout.trim()).sort()).toEqual(["['rs1']", "['rs2']", "['rs3']"]);
  });
});

const ECHO = `
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.settimeout(3); s.connect(("${VIP6}", 7))
who = set()
for i in range(60):
    text = b"%d" % i * (1500 if i % 3 else 1); s.send(text); name, back = s.recv(65535).split(b": ", 1); assert back == text; who.add(name.decode())
print(sorted(who))
`;
