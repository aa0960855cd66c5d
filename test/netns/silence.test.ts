import { expect, test } from "vitest";
import { Capture, type CapturedFrame } from "../../src/lab/capture.ts";
import { isForVip, isIpv4, pairFrames } from "../../src/lab/evidence.ts";
import type { LabOptions } from "../../src/lab/topology.ts";
import { DIP, macOf, VIP } from "../../src/lab/topology.ts";
import { ETH_HEADER } from "../../src/wire/ethernet.ts";
import { headerLength, Protocol, protocol } from "../../src/wire/ipv4.ts";
import { flags, TCP_FLAGS } from "../../src/wire/tcp.ts";
import { type Cluster, makeCluster, RINGS } from "../helpers/cluster.ts";
import { hexOf, needs } from "../helpers/world.ts";

const viewOf = ({ bytes }: CapturedFrame): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

function isReset(frame: CapturedFrame): boolean {
  const view = viewOf(frame);
  if (!isIpv4(frame) || protocol(view, ETH_HEADER) !== Protocol.Tcp) return false;
  return (flags(view, ETH_HEADER + headerLength(view, ETH_HEADER)) & TCP_FLAGS.RST) !== 0;
}

const isIcmp = (frame: CapturedFrame): boolean =>
  isIpv4(frame) && protocol(viewOf(frame), ETH_HEADER) === Protocol.Icmp;

const fromDirectorsHost = ({ bytes }: CapturedFrame): boolean =>
  Buffer.from(bytes.subarray(6, 12)).toString("hex") === macOf(DIP).replaceAll(":", "");

/** Requests, and what client and director's port saw of them. */
async function watched({ lab, client }: Cluster) {
  const atClient = await Capture.start(lab, "client", "eth0");
  const atDirector = await Capture.start(lab, "switch", "director");
  const round = await client.request({ requests: 30, parallel: 3, path: "/bytes/50000", timeout: 30_000 });
  await atDirector.quiet();
  await Promise.all([atClient.stop(), atDirector.stop()]);
  return { round, atClient: atClient.frames, atDirector: atDirector.frames };
}

/**
 * What the director's host's own stack did, by its own counters (RFC 2011 and 2013 names, /proc/net/snmp). A packet that
 * it takes for forwarding may lead to an ICMP error only seconds later, when its ARP for the VIP has failed.
 */
async function stackOf({ lab }: Cluster): Promise<Record<string, number>> {
  const lines = (await lab.in("director").sh("cat /proc/net/snmp")).split("\n");
  const found: Record<string, number> = {};
  for (let i = 0; i + 1 < lines.length; i += 2) {
    const [kind, ...names] = lines[i]!.split(" ");
    const values = lines[i + 1]!.split(" ").slice(1);
    for (const [n, name] of names.entries()) found[`${kind}${name}`] = Number(values[n]);
  }
  return found;
}

const SILENT = { "Ip:ForwDatagrams": 0, "Ip:InDelivers": 0, "Icmp:OutMsgs": 0, "Tcp:OutRsts": 0 };

const HOSTS: [string, LabOptions][] = [
  ["the VIP is the director's own, its host knows nothing of it", {}],
  ["the VIP is on the director's host, whose kernel answers ARP for it", { vipOnHost: true }],
  ["nobody has the VIP and the router sends it to the DIP", { vipBy: "route" }],
  ["the director's host forwards packets itself (ip_forward)", { ipForward: true }],
  ["ip_forward, and the router sends the VIP to the DIP", { ipForward: true, vipBy: "route" }],
  ["ip_forward, and the VIP on the director's host", { ipForward: true, vipOnHost: true }],
];

const CASES = RINGS.flatMap((each) => HOSTS.map(([what, options]) => ({ ...each, what, options })));

for (const { ring, config, what, options } of CASES) {
  test(`the director's host stays silent: ${what}, ${ring}`, async () => {
    const cluster = await makeCluster({ lab: options, config });
    const { round, atClient, atDirector } = await watched(cluster);
    expect(round).toMatchObject({ answers: { rs1: 10, rs2: 10, rs3: 10 }, failed: 0 });
    // No reset, no redirect, no unreachable reaches the client …
    expect(hexOf(atClient.filter((frame) => !frame.sent && (isReset(frame) || isIcmp(frame))))).toEqual([]);
    // … and the director's host sends each frame for the VIP on exactly once, and nothing else that is IP.
    const { pairs, lost, strange } = pairFrames(atDirector);
    expect(pairs.length).toBeGreaterThan(30 * 4);
    expect({ lost: hexOf(lost), strange: hexOf(strange) }).toEqual({ lost: [], strange: [] });
    const other = atDirector.filter((frame) => fromDirectorsHost(frame) && isIpv4(frame) && !isForVip(frame));
    expect(hexOf(other)).toEqual([]);
    expect(await stackOf(cluster)).toMatchObject(SILENT);
  });
}

test("without the rule the host does answer: a VIP on the host and silence off give the client a reset", async () => {
  const cluster = await makeCluster({ lab: { vipOnHost: true }, config: { silence: "off" } });
  const { atClient } = await watched(cluster);
  expect(atClient.some((frame) => !frame.sent && isReset(frame))).toBe(true);
});

test("without the rule a host that forwards takes the packets as its own to forward", async () => {
  const cluster = await makeCluster({ lab: { ipForward: true }, config: { silence: "off" } });
  await watched(cluster);
  expect((await stackOf(cluster))["Ip:ForwDatagrams"]).toBeGreaterThan(30);
});

test("the rule is the host's only change, and is gone after kill -9", async (context) => {
  needs(context, "nft");
  const { lab, director } = await makeCluster({ lab: { vipOnHost: true } });
  const rules = async (): Promise<string> => (await lab.run("director", ["nft", "list", "ruleset"])).stdout;
  const standing = await rules();
  expect(standing).toMatch(/table netdev dr-director/);
  expect(standing).toContain(VIP);
  director.program.signal("SIGKILL");
  await director.program.ended;
  expect(await rules()).toBe("");
});

test("SIGTERM ends the director within a second and leaves the host as it was", async (context) => {
  needs(context, "nft");
  const { lab, director, client } = await makeCluster();
  await client.request({ requests: 6 });
  const before = performance.now();
  expect(await director.stop()).toBe(0);
  expect(performance.now() - before).toBeLessThan(10_000); // a tenth of it on a machine with nothing else to do
  expect((await lab.run("director", ["nft", "list", "ruleset"])).stdout).toBe("");
  expect(await lab.in("director").sh("ip -o address show dev eth0 | wc -l")).toBe("1\n");
  expect(await lab.in("director").sh("cat /proc/net/packet | wc -l")).toBe("1\n");
});
