/** Metrics as the world reads them: Debian's Prometheus scrapes a live lab, and the dashboard's queries have answers. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { built } from "../../src/lab/built.ts";
import type { Lab } from "../../src/lab/lab.ts";
import { ECHO_PORT, realServerAddress, VIP } from "../../src/lab/topology.ts";
import { type Cluster, clusterConfig, makeCluster } from "../helpers/cluster.ts";
import { eventually, makeFolder, needs } from "../helpers/world.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const DRADM = [process.execPath, built("cli/dradm.js")];
const PROGRAM = [process.execPath, built("cli/dr-director.js")];

interface Sample {
  metric: Record<string, string>;
  value: [number, string];
}

/** A Prometheus in the director's namespace that scrapes it every second. */
async function startPrometheus(lab: Lab, folder: string): Promise<(promql: string) => Promise<Sample[]>> {
  const file = join(folder, "prometheus.yml");
  const scrape = { job_name: "dr-director", static_configs: [{ targets: ["127.0.0.1:9107"] }] };
  writeFileSync(file, JSON.stringify({ global: { scrape_interval: "1s" }, scrape_configs: [scrape] }));
  const storage = join(folder, "prometheus");
  mkdirSync(storage);
  const listen = ["--web.listen-address=127.0.0.1:9090", `--storage.tsdb.path=${storage}`];
  const program = lab.spawn("director", ["prometheus", `--config.file=${file}`, ...listen]);
  await program.line(/Server is ready to receive web requests/, 30_000);
  return async (promql) => {
    const url = "http://127.0.0.1:9090/api/v1/query";
    const asked = await lab.run("director", ["curl", "-sS", "--data-urlencode", `query=${promql}`, url]);
    const answer = JSON.parse(asked.stdout) as { status: string; error?: string; data: { result: Sample[] } };
    if (answer.status !== "success") throw new Error(`${promql}: ${answer.error}`);
    return answer.data.result;
  };
}

interface Panel {
  title: string;
  type: string;
  targets?: { expr: string }[];
}

const dashboard = JSON.parse(readFileSync(join(ROOT, "packaging/grafana/dr-director.json"), "utf8")) as {
  panels: Panel[];
  annotations: { list: { expr: string }[] };
};

/** Grafana's variables as it would fill them in. */
const filledIn = (promql: string): string =>
  promql.replaceAll("$instance", ".+").replaceAll("$__rate_interval", "30s");

/** Prometheus knows what it scraped last. */
const soon = <T>(look: () => Promise<T>, what: string) =>
  expect.poll(look, { timeout: 60_000, interval: 500, message: what });

async function busyCluster(): Promise<Cluster> {
  const base = clusterConfig({});
  const services = base.services!.map((service) => ({
    ...service,
    persistence: service.port === 80 ? 0 : 60,
  }));
  return makeCluster({ config: { metrics: "127.0.0.1:9107", shards: 2, services } });
}

describe("a Prometheus that scrapes a live lab", () => {
  test("has every metric, each query of the dashboard has data, and promtool minds nothing", async (context) => {
    needs(context, "prometheus", "promtool", "curl");
    const { lab, client, director } = await busyCluster();
    const query = await startPrometheus(lab, makeFolder());
    // Until every question has been asked, however long that takes here.
    let asking = true;
    const traffic = (async () => {
      let requests = 0;
      for (; asking; requests += 40) {
        const round = await client.request({ requests: 40, parallel: 4, pause: 60, timeout: 60_000 });
        expect(round).toMatchObject({ failed: 0 });
      }
      return requests;
    })();
    const echo = await lab.run("client", ["bash", "-c", `echo hello >/dev/udp/${VIP}/${ECHO_PORT}`]);
    expect(echo.code).toBe(0);
    await eventually(
      "five scrapes",
      async () => {
        const [scrapes] = await query('count_over_time(up{job="dr-director"}[1m])');
        return Number(scrapes?.value[1] ?? 0) > 5 || undefined;
      },
      60_000,
    );

    const asked = await lab.run("director", ["curl", "-sS", "http://127.0.0.1:9107/metrics"]);
    const names = [...asked.stdout.matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1]!);
    expect(names.length).toBeGreaterThan(40);
    for (const name of names) await soon(() => query(name), name).not.toEqual([]);
    const lint = await lab.run("director", ["promtool", "check", "metrics"], { input: asked.stdout });
    expect(lint).toEqual({ code: 0, stdout: "", stderr: "" });

    const targets = dashboard.panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }) => ({ title, expr })),
    );
    expect(targets.length).toBeGreaterThan(30);
    for (const { title, expr } of targets) {
      const data = async () => (await query(filledIn(expr))).filter(({ value }) => value[1] !== "NaN");
      await soon(data, `${title}: ${expr}`).not.toEqual([]);
    }
    for (const { expr } of dashboard.annotations.list) await query(filledIn(expr));

    asking = false;
    const made = await traffic;
    const one = async (promql: string): Promise<number> => Number((await query(promql))[0]?.value[1]);
    const stats = await lab.run("director", [...DRADM, "--socket", director.socket, "-L", "-n", "--stats"]);
    const conns = Number(/^TCP +\S+ +(\d+)/m.exec(stats.stdout)![1]);
    expect(conns).toBe(made);
    const soonOne = (promql: string) => soon(() => one(promql), promql);
    await soonOne('dr_director_service_connections_total{protocol="tcp"}').toBe(conns);
    await soonOne('sum by (port) (dr_director_destination_connections_total{port="80"})').toBe(conns);
    await soonOne('sum(dr_director_frames_total{verdict="Forwarded"})').toBeGreaterThan(2 * made);
    await soonOne("dr_director_templates").toBe(1);
    const verdicts = "sum(dr_director_frames_total) + sum(dr_director_frames_waiting)";
    await soonOne(`${verdicts} - sum(dr_director_frames_received_total)`).toBe(0);
    expect(
      (await query("dr_director_neighbour_state == 1")).map(({ metric }) => metric.address).sort(),
    ).toEqual([0, 1, 2].map(realServerAddress));
  });

  test("metrics over TCP are there only when asked for; the control socket has them always", async (context) => {
    needs(context, "curl");
    const { lab, director } = await makeCluster();
    const listening = await lab.run("director", ["sh", "-c", "cat /proc/net/tcp /proc/net/tcp6"]);
    expect(listening.stdout).not.toMatch(/ 0A /); // no socket in LISTEN
    const asked = await lab.run("director", [
      "curl",
      "-sS",
      "--unix-socket",
      director.socket,
      "http://d/metrics",
    ]);
    expect(asked.stdout).toContain("dr_director_build_info{");
  });
});

describe("what reads a kernel director", () => {
  test("rates of the kernel's estimator, and /proc/net's texts", async (context) => {
    const { lab, client, director } = await makeCluster();
    const traffic = client.request({ requests: 600, parallel: 2, pause: 10, timeout: 60_000 });
    const dradm = (...words: string[]) =>
      lab.run("director", [...DRADM, "--socket", director.socket, ...words]);
    const cps = await eventually(
      "a rate",
      async () => {
        const rate = Number(/^TCP +\S+ +(\d+)/m.exec((await dradm("-L", "-n", "--rate")).stdout)?.[1]);
        return rate > 10 ? rate : undefined;
      },
      15_000,
    );
    expect(cps).toBeLessThan(400);
    await traffic;
    const proc = (file: string) =>
      lab.run("director", [...PROGRAM, "proc", file, "--socket", director.socket]);
    const table = (await proc("ip_vs")).stdout;
    expect(table).toMatch(
      /^IP Virtual Server version 1\.2\.1 \(size=\d+\)\nProt LocalAddress:Port Scheduler Flags\n/,
    );
    expect(table).toMatch(/^TCP {2}0A000064:0050 rr {2}$/m);
    expect(table).toMatch(/^ {2}-> 0A00000B:0050 {6}Route {3}1 {6}\d+ +\d+ +$/m);
    const stats = (await proc("ip_vs_stats")).stdout.split("\n");
    expect(parseInt(stats[2]!.trim().split(/ +/)[0]!, 16)).toBe(600);
    await dradm("-Z");
    expect((await proc("ip_vs_stats")).stdout.split("\n")[2]).toMatch(/^( +0){5}$/);
    needs(context, "prometheus-node-exporter", "curl");
    const folder = makeFolder();
    mkdirSync(join(folder, "net"));
    writeFileSync(join(folder, "net", "ip_vs"), table);
    writeFileSync(join(folder, "net", "ip_vs_stats"), stats.join("\n"));
    const exporter = ["--collector.disable-defaults", "--collector.ipvs", `--path.procfs=${folder}`];
    const listen = "--web.listen-address=127.0.0.1:9100";
    const program = lab.spawn("director", ["prometheus-node-exporter", ...exporter, listen]);
    await program.line(/[Ll]istening/, 10_000);
    const { stdout } = await lab.run("director", ["curl", "-sS", "http://127.0.0.1:9100/metrics"]);
    expect(stdout).toMatch(/^node_ipvs_connections_total 600$/m);
    const labels = `local_address="${VIP}",local_mark="",local_port="80",proto="TCP",remote_address="${realServerAddress(0)}",remote_port="80"`;
    expect(stdout).toContain(`node_ipvs_backend_weight{${labels}} 1\n`);
  });
});
