/** The daemon over AF_XDP: what it takes, what it leaves to its host, which mode it gets, and how it ends. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { built } from "../../src/lab/built.ts";
import { DirectorProgram } from "../../src/lab/director-program.ts";
import type { Lab } from "../../src/lab/lab.ts";
import type { Program } from "../../src/lab/program.ts";
import { clientAddress, realServerAddress, VIP } from "../../src/lab/topology.ts";
import { Client, type Round, startServers } from "../../src/lab/traffic.ts";
import { type Cluster, clusterConfig, makeCluster, RINGS } from "../helpers/cluster.ts";
import { eventually, makeFolder, makeLab, needs, sleep } from "../helpers/world.ts";

const XDP = { ring: { kind: "xdp!" } } as const;
const RUN = [process.execPath, built("cli/dr-director.js"), "run", "-i", "eth0", "--state", "none"];
const story = test.skipIf(RINGS.length < 2);

const link = (lab: Lab): Promise<string> => lab.in("director").sh("ip link show eth0");

function dradm({ lab, director }: Cluster, ...words: string[]) {
  return lab.run("director", [
    process.execPath,
    built("cli/dradm.js"),
    "--socket",
    director.socket,
    ...words,
  ]);
}

/** Somebody else's XDP program on the director's interface. */
async function occupy(lab: Lab): Promise<Program> {
  const source = `import { openXdpSockets } from ${JSON.stringify(built("ring/xdp-sockets.js"))};
    openXdpSockets({ interfaceName: "eth0", modes: ["native copy"] });
    console.log("attached");
    setInterval(() => {}, 1000);`;
  const file = join(makeFolder(), "other.mjs");
  writeFileSync(file, source);
  const other = lab.spawn("director", [process.execPath, file]);
  await other.line(/^attached$/);
  return other;
}

/** A TCP service of the director's own host: answers one line and closes. */
async function hostService(lab: Lab, port: number): Promise<void> {
  const source = `require("node:net").createServer((s) => s.end("host\\n")).listen(${port}, () => console.log("ready"))`;
  await lab.spawn("director", [process.execPath, "-e", source]).line(/^ready$/);
}

/** What a connection from the client is told first. */
async function call(lab: Lab, port: number): Promise<string> {
  const source = `const s = require("node:net").connect(${port}, "${VIP}");
    s.setTimeout(1000, () => { console.log("silence"); process.exit(); });
    s.on("data", (d) => { process.stdout.write(d); process.exit(); });
    s.on("error", (e) => { console.log(e.code); process.exit(); });`;
  return (await lab.run("client", [process.execPath, "-e", source])).stdout.trim();
}

describe("the mode it really got", () => {
  story("is told by log, counters, metrics; each step down is a warning", async () => {
    const { director, client } = await makeCluster({ config: { ring: { kind: "xdp" } } });
    expect(await client.request({ requests: 3 })).toMatchObject({ failed: 0 });
    const ready = JSON.parse(await director.program.line(/"event":"ready"/)) as object;
    expect(ready).toMatchObject({
      ring: "af_xdp native copy",
      msg: "forwards on eth0 by af_xdp native copy",
    });
    expect(await director.counters()).toMatchObject({ ring: "af_xdp native copy" });
    const metrics = await director.text("/metrics");
    expect(metrics).toMatch(/dr_director_build_info\{.*ring="af_xdp native copy".*\} 1/);
    // What veth lacks.
    expect(director.ringWarnings).toEqual([
      expect.stringMatching(/^AF_XDP on eth0: no zero-copy: .*EOPNOTSUPP/),
      expect.stringMatching(/^AF_XDP on eth0: tagged frames lose their VLAN tag: .*rxvlan off/),
    ]);
  });

  story(
    "another program on the interface: xdp takes AF_PACKET with a warning, xdp! does not start",
    async () => {
      const lab = await makeLab();
      const other = await occupy(lab);
      const refused = await lab.run("director", [
        ...RUN,
        "--ring",
        "xdp!",
        "--socket",
        join(makeFolder(), "s"),
      ]);
      expect(refused.code).toBe(1);
      expect(refused.stderr.trim().split("\n").at(-1)).toMatch(
        /^dr-director: ring xdp!: no AF_XDP on eth0: .*another program is attached there already/,
      );
      await startServers(lab);
      const config = clusterConfig({ config: { ring: { kind: "xdp" } } });
      const director = await DirectorProgram.start(lab, config, { folder: makeFolder() });
      expect(director.ringWarnings).toEqual([
        expect.stringMatching(/uses AF_PACKET: .*another program is attached/),
      ]);
      expect(await director.counters()).toMatchObject({ ring: "af_packet" });
      const client = await Client.start(lab);
      expect(await client.request({ requests: 6 })).toMatchObject({ failed: 0 });
      expect(other.running).toBe(true);
      expect(await link(lab)).toContain("xdp");
    },
  );
});

describe("what it does not take", () => {
  story("is the host's own: other ports of a VIP that the host has, its ping, ARP", async () => {
    // With the silence off it is the program alone that keeps the host from answering for the services.
    const config = { ...XDP, silence: "off" } as const;
    const { lab, client } = await makeCluster({ lab: { vipOnHost: true }, config });
    await hostService(lab, 2222);
    expect(await call(lab, 2222)).toBe("host");
    expect(await client.request({ requests: 6 })).toMatchObject({ failed: 0 });
    expect(await lab.in("client").sh(`ping -c2 -i0.2 -W1 ${VIP}`)).toContain(" 0% packet loss");
    expect(await lab.in("director").sh("ping -c1 -W1 10.0.0.11")).toContain(" 0% packet loss");
  });

  story("ping of a VIP that only the director has is answered by it, as long as it is active", async () => {
    const cluster = await makeCluster({ config: XDP });
    const { lab, director } = cluster;
    const ping = () => lab.run("client", ["ping", "-c1", "-W1", VIP]);
    expect((await ping()).code).toBe(0);
    expect((await director.counters()).verdicts.Answered).toBe(1);
    expect(await director.post("/v1/vips", { address: VIP, active: false })).toEqual({ ok: true });
    await ping();
    expect((await director.counters()).verdicts.Answered).toBe(1);
  });

  story("follows the services: one that comes is taken, one that goes is the host's again", async () => {
    const cluster = await makeCluster({ lab: { vipOnHost: true }, config: XDP });
    const { lab, client } = cluster;
    await hostService(lab, 8001);
    expect(await call(lab, 8001)).toBe("host");
    await dradm(cluster, "-A", "-t", `${VIP}:8001`, "-s", "rr");
    await dradm(cluster, "-a", "-t", `${VIP}:8001`, "-r", realServerAddress(0), "-g");
    expect(await client.request({ requests: 3, port: 8001 })).toMatchObject({
      answers: { rs1: 3 },
      failed: 0,
    });
    expect(await dradm(cluster, "-D", "-t", `${VIP}:8001`)).toMatchObject({ code: 0 });
    expect(await call(lab, 8001)).toBe("host");
  });
});

describe("several queues, a shard for each", () => {
  const TWO = { lab: { queues: 2 }, config: { ...XDP, shards: 2 } };

  story("flows live in the shard whose queue the NIC chose: hardly a frame is handed over", async () => {
    const { client, director } = await makeCluster(TWO);
    const round = await client.request({ requests: 300, parallel: 20, keepAlive: true });
    expect(round).toMatchObject({ failed: 0, errors: [] });
    expect(await client.request({ requests: 60 })).toMatchObject({
      failed: 0,
      answers: { rs1: 20, rs2: 20, rs3: 20 },
    });
    const { shards, verdicts } = await director.counters();
    for (const { received } of shards) expect(received).toBeGreaterThan(100);
    expect(verdicts.HandedOver! / verdicts.Forwarded!).toBeLessThan(0.05);
    expect(shards.reduce((sum, { received }) => sum + received, 0)).toBe(
      Object.values(verdicts).reduce((sum, count) => sum + count, 0),
    );
  });

  story("a flow's fragmented datagrams reach the real server that its small ones reach", async (context) => {
    needs(context, "python3");
    const { lab, director } = await makeCluster(TWO);
    const outcomes = await Promise.all(
      [1, 2, 3, 4, 5, 6].map(() => lab.run("client", ["python3", "-c", FRAGMENTS])),
    );
    expect(outcomes.map(({ stderr }) => stderr)).toEqual(["", "", "", "", "", ""]);
    const servers = outcomes.map(({ stdout }) => stdout.trim()).sort();
    expect(servers).toEqual(["['rs1']", "['rs1']", "['rs2']", "['rs2']", "['rs3']", "['rs3']"]);
    expect((await director.counters()).verdicts).toMatchObject({ FragmentLost: 0 });
  });

  story("a router's 'fragmentation needed' finds the real server whose answers are too large", async () => {
    // Only the router's side of the client's link is narrow: neither end knows.
    const prepare = (lab: Lab) => lab.in("router").ip(["link set eth0 mtu 1200"]);
    // What a real server learns about a client holds for all its connections: so there are many clients.
    const clients = Array.from({ length: 20 }, (_, i) => clientAddress(i));
    const lab = { queues: 2, clientAddresses: clients.length };
    const { client, director } = await makeCluster({ ...TWO, lab, prepare });
    const round = await client.request({
      requests: 60,
      parallel: 6,
      path: "/bytes/30000",
      timeout: 30_000,
      from: clients,
    });
    expect(round).toMatchObject({ failed: 0 });
    expect((await director.counters()).verdicts.NotOurs).toBe(0);
  });

  story("what a director by queues leaves is found by one whose frames come by hash, and back", async () => {
    const lab = await makeLab({ queues: 2 });
    const folder = makeFolder();
    await startServers(lab);
    const client = await Client.start(lab);
    const order = { requests: 60, keepAlive: true, pause: 40, timeout: 10_000 };
    const rounds: Promise<Round>[] = [];
    const start = (kind: "packet" | "xdp!") =>
      DirectorProgram.start(lab, clusterConfig({ config: { ring: { kind }, shards: 2 } }), { folder });
    for (const ring of ["xdp!", "packet"] as const) {
      const director = await start(ring);
      rounds.push(...[1, 2, 3, 4].map(() => client.request(order)));
      await sleep(500);
      director.program.signal("SIGKILL");
      await director.program.ended;
    }
    await start("xdp!");
    for (const { failed, answers } of await Promise.all(rounds))
      expect([failed, Object.keys(answers).length]).toEqual([0, 1]);
  });

  story("a shard too few or too many is refused with what to say instead", async () => {
    const lab = await makeLab({ queues: 2 });
    const refused = await lab.run("director", [
      ...RUN,
      "--ring",
      "xdp!",
      "--socket",
      join(makeFolder(), "s"),
    ]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/it has 2 receive queues and the director 1 shards?: say shards: 2/);
  });
});

/** Small and large datagrams of one flow in turn; prints who answered. */
const FRAGMENTS = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3); s.connect(("${VIP}", 7))
who = set()
for i in range(60):
    text = b"%d" % i * (1500 if i % 3 else 1); s.send(text); name, back = s.recv(65535).split(b": ", 1); assert back == text; who.add(name.decode())
print(sorted(who))
`;

describe("the end", () => {
  story("SIGTERM and kill -9 leave no program on the interface; the next start goes on", async () => {
    const lab = await makeLab();
    const folder = makeFolder();
    await startServers(lab);
    const client = await Client.start(lab);
    const config = clusterConfig({ config: XDP });
    const first = await DirectorProgram.start(lab, config, { folder });
    expect(await link(lab)).toContain("xdp");
    const long = client.request({ requests: 40, keepAlive: true, pause: 50, timeout: 60_000 });
    await sleep(500);
    first.program.signal("SIGKILL");
    await first.program.ended;
    await eventually("the program is gone", async () => !(await link(lab)).includes("xdp") || undefined);
    const second = await DirectorProgram.start(lab, config, { folder });
    const { failed, answers } = await long;
    expect([failed, Object.keys(answers).length]).toEqual([0, 1]);
    expect(await second.stop()).toBe(0);
    expect(await link(lab)).not.toContain("xdp");
  });

  story(
    "a shard that dies in the middle of a transfer is started again, and the transfer goes on",
    async () => {
      const lab = await makeLab();
      await startServers(lab);
      const client = await Client.start(lab);
      const { module, kill } = brittle();
      const config = clusterConfig({ scheduler: "brittle", config: XDP });
      const director = await DirectorProgram.start(lab, config, {
        folder: makeFolder(),
        schedulers: [module],
      });
      const long = client.request({ requests: 60, keepAlive: true, pause: 20, path: "/bytes/200000" });
      await sleep(300);
      kill();
      director.reload({
        ...config,
        services: config.services!.map((service) => ({ ...service, persistence: 60 })),
      });
      await director.program.line(/shard 0 died .* started again/);
      expect(await long).toMatchObject({ failed: 0 });
      expect(await client.request({ requests: 20 })).toMatchObject({ failed: 0 });
      const { received, verdicts, ringDrops } = await director.counters();
      expect(Object.values(verdicts).reduce((sum, count) => sum + count, 0)).toBe(received);
      expect(ringDrops).toBe(0);
    },
  );
});

/** A scheduler that ends its thread, once, when asked to: outside the places where a scheduler's faults are caught. */
function brittle(): { module: string; kill: () => void } {
  const flag = join(makeFolder(), "die");
  const module = join(makeFolder(), "brittle.mjs");
  writeFileSync(
    module,
    `import { existsSync, unlinkSync } from "node:fs";
     export const brittle = {
       name: "brittle",
       get prepare() {
         if (existsSync(${JSON.stringify(flag)})) { unlinkSync(${JSON.stringify(flag)}); process.exit(3); }
         return (service) => service.count;
       },
       schedule: (service) => (service.count === 0 ? -1 : service.members[0]),
     };`,
  );
  return { module, kill: () => writeFileSync(flag, "") };
}
