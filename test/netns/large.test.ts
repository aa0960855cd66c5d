/** Datagrams and answers larger than a link: pieces through any number of shards, echo in pieces, path MTU discovery. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { ConfigInput } from "../../src/control/config-schema.ts";
import { Injector } from "../../src/lab/enter.ts";
import { patternHash } from "../../src/lab/pattern.ts";
import { must } from "../../src/lab/program.ts";
import {
  clientAddress,
  DIP,
  ECHO_PORT,
  HTTP_PORT,
  macOf,
  ROUTER,
  realServerAddress,
  realServerAddress6,
  VIP,
  VIP6,
} from "../../src/lab/topology.ts";
import { parseIpv4, parseMac } from "../../src/wire/address.ts";
import { ipFrame, udpFrame } from "../../src/wire/frame.ts";
import { type Cluster, makeCluster, RINGS, verdictSum } from "../helpers/cluster.ts";
import { makeFolder, needs } from "../helpers/world.ts";

const UDP = 17;
const FIRST_PORT = 41_000;

const servers = (address: (i: number) => string) => [0, 1, 2].map((i) => ({ address: address(i) }));
const services = [
  { address: VIP, servers: servers(realServerAddress) },
  { address: VIP6, servers: servers(realServerAddress6) },
].flatMap(({ address, servers }) => [
  { protocol: "tcp" as const, address, port: HTTP_PORT, scheduler: "rr", servers },
  { protocol: "udp" as const, address, port: ECHO_PORT, scheduler: "rr", servers },
]);
const CONFIG: ConfigInput = {
  vips: [
    { address: VIP, own: true },
    { address: VIP6, own: true },
  ],
  services,
};

const CASES = RINGS.flatMap(({ ring, config }) =>
  (ring === "AF_PACKET" ? [1, 2, 4] : [2]).map((shards) => ({ ring, shards, config })),
);

/** Every datagram comes back whole, and all of a flow's from one real server: six flows to each address in turn. */
const ECHO = `
import hashlib, os, socket, sys
for host in sys.argv[1:]:
    for flow in range(6):
        s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5)
        s.connect((host, ${ECHO_PORT}))
        who = set()
        for size in [4, 1472, 1473, 3000, 8000, 20000, 60000, 4, 3000]:
            text = os.urandom(size); s.send(text); name, back = s.recv(65535).split(b": ", 1); who.add(name.decode())
            assert hashlib.sha256(back).digest() == hashlib.sha256(text).digest(), (host, size)
        print(*who)
`;

async function echoes({ lab }: Cluster): Promise<void> {
  const { stdout, stderr } = await lab.run("client", ["python3", "-c", ECHO, VIP, VIP6]);
  expect(stderr).toBe("");
  const turn = ["rs3", "rs2", "rs1"];
  expect(stdout.trim().split("\n")).toEqual([...turn, ...turn, ...turn, ...turn]);
}

/** Waits for one datagram at each of these ports; prints port, who answered and what, as SHA-256. */
const LISTEN = `
import hashlib, socket, sys
sockets = []
for port in range(${FIRST_PORT}, ${FIRST_PORT} + int(sys.argv[1])):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5); s.bind(("", port)); sockets.append(s)
print("ready", flush=True)
for s in sockets:
    name, text = s.recv(65535).split(b": ", 1); print(s.getsockname()[1], name.decode(), hashlib.sha256(text).hexdigest(), flush=True)
`;

/** A UDP datagram for the VIP as the router would send it, in pieces as large as the link takes. */
function cut(port: number, payload: Uint8Array): Uint8Array[] {
  const ends = {
    source: parseIpv4(clientAddress(0))!,
    destination: parseIpv4(VIP)!,
    sourceMac: parseMac(macOf(ROUTER))!,
    destinationMac: parseMac(macOf(DIP))!,
    identification: port,
  };
  const whole = udpFrame({ ...ends, sourcePort: port, destinationPort: ECHO_PORT, payload }).subarray(34);
  return Array.from({ length: Math.ceil(whole.length / 1480) }, (_, n) => {
    const at = n * 1480;
    const moreFragments = at + 1480 < whole.length;
    return ipFrame({ ...ends, fragmentOffset: at, moreFragments }, UDP, whole.subarray(at, at + 1480));
  });
}

const ORDERS: ((pieces: Uint8Array[]) => Uint8Array[])[] = [
  (pieces) => [...pieces].reverse(),
  (pieces) => [...pieces.slice(1), pieces[0]!],
  (pieces) => pieces.flatMap((piece) => [piece, piece]),
  (pieces) => [...pieces.slice(2), ...pieces, pieces[1]!].reverse(),
];

/** Datagrams whose pieces the network has shuffled and doubled. */
async function shuffled({ lab }: Cluster): Promise<void> {
  const sent = ORDERS.flatMap((order, o) =>
    [3000, 20_000].map((bytes, b) => {
      const payload = Uint8Array.from({ length: bytes }, (_, i) => (i * 31 + o * 7 + b) >>> 3);
      const port = FIRST_PORT + o * 2 + b;
      return { port, payload, frames: order(cut(port, payload)) };
    }),
  );
  const listener = lab.spawn("client", ["python3", "-c", LISTEN, String(sent.length)]);
  await listener.line(/^ready$/);
  const injector = new Injector(lab.in("router"), "eth1");
  onTestFinished(() => injector.close());
  for (const { frames } of sent) for (const frame of frames) injector.send(frame);
  expect(await listener.ended).toBe(0);
  const hash = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
  const answers = listener.lines.slice(1).map((line) => line.split(" "));
  expect(answers.map(([port, , text]) => `${port} ${text}`)).toEqual(
    sent.map(({ port, payload }) => `${port} ${hash(payload)}`),
  );
}

/** Pings larger than the link, as the kernel of a director with the VIP would answer them. */
async function pings({ lab }: Cluster): Promise<void> {
  for (const [host, bytes] of [
    [VIP, 4000],
    [VIP, 60_000],
    [VIP6, 4000],
  ]) {
    const said = await lab.run("client", `ping -c 5 -i 0.05 -W 3 -s ${bytes} ${host}`.split(" "));
    expect(said.stdout, said.stderr).toContain("5 received, 0% packet loss");
    expect(said.stdout).not.toContain("wrong data");
  }
}

/**
 * The router's own end of the client's link takes less than anybody knows of: the real servers have to be told so, and
 * by whom they are told speaks to the VIP.
 */
async function narrow({ lab, client }: Cluster): Promise<void> {
  await lab.in("router").ip(["link set eth0 mtu 1300"]);
  for (const host of [VIP, VIP6]) {
    const bytes = 300_000;
    const order = { host, requests: 3, parallel: 3, path: `/bytes/${bytes}`, timeout: 10_000 };
    expect(await client.request(order)).toMatchObject({
      failed: 0,
      bytes: 3 * bytes,
      answers: { rs1: 1, rs2: 1, rs3: 1 },
    });
  }
  const file = join(makeFolder(), "down");
  const url = `http://${VIP}/bytes/1000000`;
  await must([...lab.in("client").enter, "curl", "-sS", "--max-time", "20", "-o", file, url]);
  expect(await must(["sha256sum", file])).toContain(patternHash(1_000_000));
  for (const name of lab.realServers) {
    expect(await lab.in(name).sh(`ip route get ${clientAddress(0)}`)).toContain("mtu 1300");
  }
}

for (const { ring, shards, config } of CASES) {
  test(`large datagrams, large pings and a narrow link, ${ring} with ${shards} shards`, async (context) => {
    needs(context, "python3", "ping", "curl");
    const cluster = await makeCluster({
      lab: { ipv6: true, queues: ring === "AF_PACKET" ? 1 : shards },
      config: { ...CONFIG, ...config, shards },
    });
    await echoes(cluster);
    await shuffled(cluster);
    await pings(cluster);
    const { verdicts } = await verdictSum(cluster.director);
    expect(verdicts).toMatchObject({ FragmentLost: 0, Waiting: 0 });
    // Three, 41 and three pieces a ping.
    expect(verdicts.Answered).toBe(5 * (3 + 41 + 3));
    await narrow(cluster);
    const after = await verdictSum(cluster.director);
    expect(after.sum).toBe(after.received);
  });
}
