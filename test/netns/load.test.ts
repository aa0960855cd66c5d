import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Lab } from "../../src/lab/lab.ts";
import { HTTP_PORT, VIP } from "../../src/lab/topology.ts";
import { makeCluster, RINGS, verdictSum } from "../helpers/cluster.ts";
import { eventually, makeFolder, needs } from "../helpers/world.ts";

/** Two shards, where the ring can share out one queue. */
const CASES = RINGS.map(({ ring, config }) => ({
  ring,
  config: ring === "AF_PACKET" ? { ...config, shards: 2 } : config,
}));

test.for(CASES)("ab: 1000 requests, 100 at a time, none fails, $ring", async ({ config }, context) => {
  needs(context, "ab");
  const { lab, director } = await makeCluster({ config });
  const run = await lab.run("client", ["ab", "-n", "1000", "-c", "100", "-r", `http://${VIP}/bytes/1000`]);
  expect(run.stdout).toMatch(/Complete requests:\s+1000\n/);
  expect(run.stdout).toMatch(/Failed requests:\s+0\n/);
  expect(run.stdout).not.toContain("Non-2xx");
  const { received, sum } = await verdictSum(director);
  expect(sum).toBe(received);
});

test.for(CASES)(
  "wrk: 50 connections kept open for two seconds, no error, $ring",
  async ({ config }, context) => {
    needs(context, "wrk");
    const { lab } = await makeCluster({ config });
    const run = await lab.run("client", ["wrk", "-t2", "-c50", "-d2s", "--timeout", "5s", `http://${VIP}/`]);
    expect(run.stdout).toMatch(/\d+ requests in/);
    expect(run.stdout).not.toMatch(/Socket errors|Non-2xx/);
  },
);

test.for(CASES)(
  "50 connections kept alive side by side: no request fails, every real server has its third, $ring",
  async ({ config }) => {
    const { client, director } = await makeCluster({ config });
    const round = await client.request({ requests: 500, parallel: 50, keepAlive: true });
    expect(round).toMatchObject({ failed: 0, errors: [] });
    // Strict turns, also over two shards: 17, 17 and 16 connections, about ten requests on each.
    expect(Object.keys(round.answers).sort()).toEqual(["rs1", "rs2", "rs3"]);
    expect(Math.min(...Object.values(round.answers))).toBeGreaterThan(100);
    const { received, sum } = await verdictSum(director);
    expect(sum).toBe(received);
  },
);

const ECHO = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3); s.connect(("${VIP}", 7))
who = set()
for i in range(200):
    s.send(b"%d" % i); name, text = s.recv(99).split(b": "); assert int(text) == i; who.add(name.decode())
print(sorted(who))
`;

test.for(CASES)(
  "UDP: a flow's datagrams all reach one real server and come back from the VIP, $ring",
  async ({ config }, context) => {
    needs(context, "python3");
    const { lab } = await makeCluster({ config });
    const outcomes = await Promise.all([1, 2, 3].map(() => lab.run("client", ["python3", "-c", ECHO])));
    expect(outcomes.map(({ stderr }) => stderr)).toEqual(["", "", ""]);
    const servers = outcomes.map(({ stdout }) => stdout.trim()).sort();
    expect(servers).toEqual(["['rs1']", "['rs2']", "['rs3']"]); // three flows, round robin
  },
);

/** nginx as anyone runs it, with everything it writes in one folder; as root, the only user that a user namespace has. */
async function startNginx(lab: Lab, name: string): Promise<void> {
  const folder = makeFolder();
  writeFileSync(
    join(folder, "nginx.conf"),
    `daemon off; master_process off; user root root; pid ${folder}/pid; error_log ${folder}/error.log;
     events { worker_connections 256; }
     http {
       access_log off; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
       fastcgi_temp_path ${folder}/fastcgi; uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
       server { listen ${HTTP_PORT}; location / { add_header X-Real-Server ${name}; return 200 "${name}"; } }
     }`,
  );
  lab.spawn(name, ["nginx", "-p", folder, "-c", join(folder, "nginx.conf"), "-e", join(folder, "error.log")]);
  await eventually("nginx listens", async () => {
    const sockets = await lab.in(name).sh("cat /proc/net/tcp");
    return sockets.includes(":0050 00000000:0000 0A") || undefined;
  });
}

test("nginx as a real server answers through the VIP", async (context) => {
  needs(context, "nginx");
  const { lab, client } = await makeCluster({ servers: ["rs1", "rs3"] });
  await startNginx(lab, "rs2");
  const round = await client.request({ requests: 30 });
  expect(round).toMatchObject({ answers: { rs1: 10, rs2: 10, rs3: 10 }, failed: 0 });
});
