/** HTTP requests a second through the VIP, each on a connection of its own: dr-director, and haproxy in its place. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { median, ratio, spread } from "../../src/lab/bench/statistics.ts";
import { DirectorProgram } from "../../src/lab/director-program.ts";
import { Lab } from "../../src/lab/lab.ts";
import { run } from "../../src/lab/program.ts";
import { realServerAddress, VIP } from "../../src/lab/topology.ts";
import { type Effort, NOTHING, type Section } from "../section.ts";

const SERVERS = 3;
const SECONDS = 2;
const CONNECTIONS = 32;

interface Way {
  readonly lab: Lab;
  end(): Promise<void>;
}

/** By what the tables call them. */
const WAYS: Readonly<Record<string, (folder: string) => Promise<Way>>> = {
  "dr-director af_packet": throughDirector,
  "haproxy, TCP mode, one thread": throughHaproxy,
};

async function needs(program: string): Promise<void> {
  const { code } = await run(["sh", "-c", `command -v ${program}`]);
  if (code !== 0) throw new Error(`${program} is not installed`);
}

/** nginx in every real server: what it answers costs it next to nothing. It unlinks its pid file, so each has its own. */
async function startServers(lab: Lab, folder: string): Promise<void> {
  for (let s = 0; s < SERVERS; s++) {
    const file = join(folder, `${lab.in("client").pid}-${s}.conf`);
    writeFileSync(
      file,
      `daemon off; master_process off; pid ${file}.pid; error_log stderr crit;
events { worker_connections 4096; }
http { access_log off; server { listen 80 backlog=4096; location / { return 200 "here\\n"; } } }
`,
    );
    lab.spawn(`rs${s + 1}`, ["nginx", "-c", file, "-e", "stderr"]);
  }
  for (let s = 0; s < SERVERS; s++) await answers(lab, realServerAddress(s));
}

async function answers(lab: Lab, address: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const { code, stderr } = await lab.run("client", ["curl", "-sf", "-m", "2", `http://${address}/`]);
    if (code === 0) return;
    if (attempt === 20) throw new Error(`nobody answers at ${address}: ${stderr.trim()}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function throughDirector(folder: string): Promise<Way> {
  const lab = await Lab.create({ realServers: SERVERS });
  await startServers(lab, folder);
  const servers = Array.from({ length: SERVERS }, (_, s) => ({ address: realServerAddress(s) }));
  const services = [{ address: VIP, port: 80, scheduler: "rr", servers }];
  const config = { vips: [{ address: VIP }], state: "none" as const, services };
  const director = await DirectorProgram.start(lab, config, { folder });
  await answers(lab, VIP);
  const end = async () => {
    await director.stop();
    await lab.close();
  };
  return { lab, end };
}

async function throughHaproxy(folder: string): Promise<Way> {
  const lab = await Lab.create({ realServers: SERVERS, vipBy: "route" });
  await startServers(lab, folder);
  await lab.in("director").ip([`address add ${VIP}/32 dev lo`]);
  const file = join(folder, "haproxy.cfg");
  const servers = Array.from({ length: SERVERS }, (_, s) => `  server rs${s + 1} ${realServerAddress(s)}:80`);
  writeFileSync(
    file,
    `global
  nbthread 1
  maxconn 4000
defaults
  mode tcp
  timeout connect 5s
  timeout client 30s
  timeout server 30s
listen web
  bind ${VIP}:80
  balance roundrobin
${servers.join("\n")}
`,
  );
  lab.spawn("director", ["haproxy", "-db", "-f", file]);
  await answers(lab, VIP);
  return { lab, end: () => lab.close() };
}

/**
 * Requests a second, in namespaces of their own for each round: a proxy spends two ports a request, and those of earlier
 * rounds, which rest for a minute, would leave it none.
 */
async function requests(name: string): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "dr-director-bench-"));
  const way = await WAYS[name]!(folder);
  try {
    const options = ["-t", "1", "-c", String(CONNECTIONS), "-d", `${SECONDS}s`, "-H", "Connection: close"];
    const { stdout, stderr } = await way.lab.run("client", ["wrk", ...options, `http://${VIP}/`]);
    const rate = /Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1];
    if (rate === undefined) throw new Error(`wrk through ${name}: ${stderr.trim() || stdout.trim()}`);
    if (/Non-2xx/.test(stdout)) throw new Error(`wrong answers came through ${name}`);
    return Number(rate);
  } finally {
    await way.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

export async function webSection({ rounds, say }: Effort): Promise<Section> {
  for (const program of ["nginx", "wrk", "curl"]) await needs(program);
  const names = Object.keys(WAYS);
  const missing = await needs("haproxy").then(
    () => undefined,
    (error: Error) => error.message,
  );
  if (missing !== undefined) names.pop();
  say(`web: requests through ${names.join(" and ")}`);
  const samples = new Map<string, number[]>(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++)
    for (const name of names) samples.get(name)!.push(await requests(name));
  const [own, haproxy] = names.map((name) => samples.get(name)!);
  return {
    ...NOTHING,
    ratios: { web_vs_haproxy: haproxy === undefined ? { missing: missing! } : ratio(own!, haproxy) },
    tables: [
      {
        name: "web",
        title: "HTTP requests a second through the VIP",
        note: `wrk, ${CONNECTIONS} at a time, a new connection for each; three nginx behind; namespaces of their own for each round. Client, servers and the machine in the middle share this machine's cores.`,
        columns: ["through", "requests/s", "least–most"],
        rows: [
          ...[...samples].map(([name, values]) => {
            const { min, max } = spread(values);
            return [name, median(values).toFixed(0), `${min.toFixed(0)}–${max.toFixed(0)}`];
          }),
          ...(missing === undefined ? [] : [["haproxy, TCP mode", missing, "–"]]),
        ],
      },
    ],
    raw: { web: Object.fromEntries(samples) },
  };
}
