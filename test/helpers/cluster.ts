/** A whole cluster for a story: the lab, its servers, its client and a real `dr-director run`. */
import type { ConfigInput } from "../../src/control/config-schema.ts";
import { DirectorProgram } from "../../src/lab/director-program.ts";
import type { Lab } from "../../src/lab/lab.ts";
import { ECHO_PORT, HTTP_PORT, type LabOptions, realServerAddress, VIP } from "../../src/lab/topology.ts";
import { Client, startServers } from "../../src/lab/traffic.ts";
import { isNativeError, native } from "../../src/ring/native.ts";
import { makeFolder, makeLab } from "./world.ts";

export interface ClusterOptions {
  lab?: LabOptions;
  /** Laid over the config below. */
  config?: ConfigInput;
  /** Weights of rs1 … rsN; default 1 each. */
  weights?: readonly number[];
  scheduler?: string;
  /** Real servers that run our HTTP server; default all. */
  servers?: readonly string[];
  /** Done in the lab before anything runs in it. */
  prepare?: (lab: Lab) => Promise<unknown>;
}

export interface Cluster {
  lab: Lab;
  client: Client;
  director: DirectorProgram;
  config: ConfigInput;
}

export interface RingCase {
  readonly ring: string;
  readonly config: ConfigInput;
}

/** The rings that carry the main job, by name; the kernel has no AF_XDP for who is root in a user namespace only. */
export const RINGS: readonly RingCase[] = [
  { ring: "AF_PACKET", config: {} },
  ...(mayUseXdp() ? [{ ring: "AF_XDP", config: { ring: { kind: "xdp!" } } } as const] : []),
];

function mayUseXdp(): boolean {
  try {
    native().close(native().bpfMapCreate(1, 4, 4, 1, 0));
    return true;
  } catch (error) {
    if (isNativeError(error, "EPERM")) return false;
    throw error;
  }
}

/** HTTP on port 80 and echo on UDP 7, both with every real server. */
export function clusterConfig(options: ClusterOptions): ConfigInput {
  const count = options.lab?.realServers ?? 3;
  const servers = Array.from({ length: count }, (_, i) => ({
    address: realServerAddress(i),
    weight: options.weights?.[i] ?? 1,
  }));
  const scheduler = options.scheduler ?? "rr";
  return {
    vips: [{ address: VIP, own: options.lab?.vipBy !== "route" && options.lab?.vipOnHost !== true }],
    services: [
      { protocol: "tcp", address: VIP, port: HTTP_PORT, scheduler, servers },
      { protocol: "udp", address: VIP, port: ECHO_PORT, scheduler, servers },
    ],
    ...options.config,
  };
}

/** Everything stands and answers; it is gone when the test is over. */
export async function makeCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const lab = await makeLab(options.lab);
  await options.prepare?.(lab);
  const config = clusterConfig(options);
  const [client, , director] = await Promise.all([
    Client.start(lab),
    startServers(lab, options.servers ?? lab.realServers),
    DirectorProgram.start(lab, config, { folder: makeFolder() }),
  ]);
  return { lab, client, director, config };
}

/** Σ verdicts, which must be the frames received. */
export async function verdictSum(
  director: DirectorProgram,
): Promise<{ received: number; sum: number; verdicts: Record<string, number> }> {
  const { received, verdicts } = await director.counters();
  return { received, sum: Object.values(verdicts).reduce((total, count) => total + count, 0), verdicts };
}
