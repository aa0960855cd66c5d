/** The forwarder written with the `cap` package (bench/peers/cap/), where that is installed. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { serverMac } from "../../src/lab/bench/director-site.ts";
import { type Site, threadCpu } from "../../src/lab/bench/site.ts";
import { DIRECTOR_MAC, FORWARDER_CPU, PORT, type Stage, VIP } from "../../src/lab/bench/stage.ts";
import { formatIpv4 } from "../../src/wire/address.ts";
import { ROOT } from "../places.ts";

const FOLDER = join(ROOT, "bench", "peers", "cap");

/** Why there is no such peer here, or undefined. */
export function capMissing(): string | undefined {
  return existsSync(join(FOLDER, "node_modules", "cap", "build", "Release", "cap.node"))
    ? undefined
    : "the cap package is not built: it needs libpcap-dev, then `npm ci` in bench/peers/cap";
}

export async function capSite(stage: Stage, name: string): Promise<Site> {
  const arm = await stage.arm(name);
  const servers = [0, 1, 2, 3].map(serverMac);
  const argv = [process.execPath, join(FOLDER, "forward.js"), "eth0", DIRECTOR_MAC];
  const program = arm.namespace.spawn([
    "taskset",
    "-c",
    String(FORWARDER_CPU),
    ...argv,
    formatIpv4(VIP),
    String(PORT),
    ...servers,
  ]);
  await program.line(/^ready$/, 10_000);
  return {
    name,
    arm,
    how: "libpcap events",
    stateful: false,
    cpu: () => threadCpu(program.pid),
    close: async () => {
      await program.stop();
    },
  };
}
