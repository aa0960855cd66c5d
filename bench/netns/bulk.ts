/** Bulk TCP with every offload on: an upload through the director, and through the kernel's own forwarding in its place. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { median, ratio, spread } from "../../src/lab/bench/statistics.ts";
import { DirectorProgram } from "../../src/lab/director-program.ts";
import { Lab } from "../../src/lab/lab.ts";
import { realServerAddress, VIP } from "../../src/lab/topology.ts";
import { BENCH_BUILD } from "../places.ts";
import type { Effort, Section } from "../section.ts";

const PORT = 5001;
const TOOL = join(BENCH_BUILD, "bulk");

interface Way {
  readonly name: string;
  readonly lab: Lab;
  end(): Promise<void>;
}

async function startServer(lab: Lab): Promise<void> {
  await lab.spawn("rs1", [TOOL, "sink", String(PORT)]).line(/^ready$/);
}

async function throughDirector(ring: "packet" | "xdp!"): Promise<Way> {
  const lab = await Lab.create({ realServers: 1 });
  await startServer(lab);
  const folder = mkdtempSync(join(tmpdir(), "dr-director-bench-"));
  const director = await DirectorProgram.start(
    lab,
    {
      vips: [{ address: VIP }],
      ring: { kind: ring, wait: "adaptive" },
      state: "none",
      services: [{ address: VIP, port: PORT, servers: [{ address: realServerAddress(0) }] }],
    },
    { folder },
  );
  const end = async () => {
    await director.stop();
    await lab.close();
    rmSync(folder, { recursive: true, force: true });
  };
  return { name: `dr-director ${ring === "packet" ? "af_packet" : "af_xdp"}`, lab, end };
}

/** The director's host routes the VIP to the real server: the same hops, no director. */
async function throughKernel(): Promise<Way> {
  const lab = await Lab.create({ realServers: 1, ipForward: true, vipBy: "route" });
  await startServer(lab);
  await lab.in("director").sysctl([
    ["net/ipv4/conf/all/send_redirects", 0],
    ["net/ipv4/conf/eth0/send_redirects", 0],
  ]);
  await lab.in("director").ip([`route add ${VIP}/32 via ${realServerAddress(0)} dev eth0`]);
  return { name: "kernel IP forwarding", lab, end: () => lab.close() };
}

/** Gigabits a second. */
async function upload(way: Way, milliseconds: number): Promise<number> {
  const argv = [TOOL, "send", VIP, String(PORT), String(milliseconds)];
  const outcome = await way.lab.run("client", argv);
  if (outcome.code !== 0) throw new Error(`the upload through ${way.name} failed: ${outcome.stderr.trim()}`);
  const { bytes, nanoseconds } = JSON.parse(outcome.stdout) as { bytes: number; nanoseconds: number };
  return (bytes * 8) / nanoseconds;
}

export async function bulkSection({ rounds, quick, say }: Effort): Promise<Section> {
  const ways: Way[] = [];
  try {
    ways.push(await throughDirector("packet"), await throughKernel());
    if (!quick) ways.push(await throughDirector("xdp!"));
    const samples = new Map<string, number[]>(ways.map((way) => [way.name, []]));
    say("bulk: uploads through dr-director and through kernel IP forwarding, offloads on");
    for (const way of ways) await upload(way, 700);
    for (let round = 0; round < rounds; round++)
      for (const way of ways) samples.get(way.name)!.push(await upload(way, quick ? 700 : 2_000));
    const [own, kernel] = ways.map((way) => samples.get(way.name)!);
    return {
      ratios: { bulk_vs_ipforward: ratio(own!, kernel!) },
      tables: [
        {
          name: "bulk",
          title: "Bulk TCP upload, offloads on",
          note: "Gigabits a second through client, router, switch, director and real server on this machine; every byte is checked.",
          columns: ["through", "Gbit/s", "least–most"],
          rows: [...samples].map(([name, values]) => {
            const { min, max } = spread(values);
            return [name, median(values).toFixed(2), `${min.toFixed(2)}–${max.toFixed(2)}`];
          }),
        },
      ],
      pictures: {},
      raw: { bulk: Object.fromEntries(samples) },
    };
  } finally {
    for (const way of ways) await way.end();
  }
}
