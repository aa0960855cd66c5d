/** dr-director itself in a bench: the daemon as it ships, one shard. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ConfigInput } from "../../control/config-schema.ts";
import { formatIpv4 } from "../../wire/address.ts";
import { built } from "../built.ts";
import { type Site, threadCpu, threadOn } from "./site.ts";
import { FORWARDER_CPU, PORT, type Stage, VIP } from "./stage.ts";

export interface DirectorShape {
  readonly ring: "packet" | "xdp!" | "xdp";
  readonly wait?: "poll" | "busy" | "adaptive";
  readonly services?: number;
  readonly servers?: number;
  readonly connections?: number;
}

const CONNECTIONS = 2 ** 20;

/** The MAC of real server `d`: 02:02:90:00 and its number. */
export function serverMac(d: number): string {
  const bytes = [2, 2, 0x90, 0, d >> 8, d & 0xff];
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

function config(shape: DirectorShape, folder: string): ConfigInput {
  const { services = 1, servers = 4 } = shape;
  return {
    interface: "eth0",
    ring: { kind: shape.ring, wait: shape.wait ?? "poll" },
    cpus: [FORWARDER_CPU],
    socket: join(folder, "control.sock"),
    state: "none",
    sizes: { connections: shape.connections ?? CONNECTIONS },
    services: Array.from({ length: services }, (_, s) => ({
      address: formatIpv4(VIP + s),
      port: PORT,
      scheduler: "rr",
      servers: Array.from({ length: servers }, (_, k) => ({
        address: `10.0.${1 + ((s * servers + k) >> 8)}.${(s * servers + k) & 0xff}`,
        mac: serverMac(s * servers + k),
      })),
    })),
  };
}

export async function directorSite(stage: Stage, name: string, shape: DirectorShape): Promise<Site> {
  const arm = await stage.arm(name);
  const folder = mkdtempSync(join(tmpdir(), "dr-director-bench-"));
  const file = join(folder, "director.json");
  writeFileSync(file, JSON.stringify(config(shape, folder)));
  const argv = [process.execPath, built("cli/dr-director.js"), "run", "--config", file];
  const program = arm.namespace.spawn(argv);
  const remove = () => rmSync(folder, { recursive: true, force: true });
  try {
    const ready = await program.line(/"event":"ready"/, 20_000);
    const thread = threadOn(program.pid, FORWARDER_CPU);
    const ring = /"ring":"([^"]+)"/.exec(ready)?.[1] ?? shape.ring;
    return {
      name,
      arm,
      how: `${ring}, ${shape.wait ?? "poll"}`,
      stateful: true,
      ownXdp: shape.ring !== "packet",
      cpu: () => threadCpu(program.pid, thread),
      close: async () => {
        await program.stop();
        remove();
      },
    };
  } catch (error) {
    await program.stop();
    remove();
    throw error;
  }
}
