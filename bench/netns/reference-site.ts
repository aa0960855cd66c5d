/**
 * The same forwarder in C (bench/reference/) on the same ring: the sockets, their options, filters and XDP program are
 * opened here by dr-director's own code and handed down, so that both sides differ in nothing but the forwarder.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Site, threadCpu } from "../../src/lab/bench/site.ts";
import { type Arm, DIRECTOR_MAC, FORWARDER_CPU, PORT, type Stage, VIP } from "../../src/lab/bench/stage.ts";
import { within } from "../../src/lab/enter.ts";
import { closePacketSockets, openPacketSockets } from "../../src/ring/packet-sockets.ts";
import { openXdpSockets, type XdpSockets } from "../../src/ring/xdp-sockets.ts";
import { mapped } from "../../src/wire/address.ts";
import { vipFilter } from "../../src/wire/vip-filter.ts";
import { serviceKey } from "../../src/wire/xdp-program.ts";
import { BENCH_BUILD } from "../places.ts";
import { silence } from "./kernel-sites.ts";

export interface ReferenceShape {
  readonly ring: "packet" | "xdp";
  readonly wait?: "poll" | "busy";
  readonly services?: number;
  readonly servers?: number;
  readonly connections?: number;
}

const TCP = 6;
const CONNECTIONS = 2 ** 20;

interface OpenRing {
  readonly how: string;
  readonly fds: readonly number[];
  readonly arguments: readonly number[];
  close(): void;
}

function packetRing(arm: Arm, services: number): OpenRing {
  const vips = Array.from({ length: services }, (_, s) => VIP + s);
  const [sockets] = within(arm.namespace, () =>
    openPacketSockets({ interfaceName: "eth0", shards: 1, filter: vipFilter(vips) }),
  );
  const { rx, tx, slots, slotBytes } = sockets!;
  return {
    how: "af_packet",
    fds: [rx, tx],
    arguments: [3, 4, slots, slotBytes],
    close: () => closePacketSockets(sockets!),
  };
}

function offsets({ receive, send, fill, completion }: XdpSockets): number[] {
  return [receive, send, fill, completion].flatMap((ring) => [
    ring.producer,
    ring.consumer,
    ring.descriptors,
  ]);
}

function xdpRing(arm: Arm, services: number): OpenRing {
  const opened = within(arm.namespace, () =>
    openXdpSockets({ interfaceName: "eth0", modes: ["zero-copy", "native copy", "generic"] }),
  );
  const keys = Array.from({ length: services }, (_, s) => serviceKey(mapped(VIP + s), TCP, PORT));
  opened.take(keys, [], []);
  const sockets = opened.sockets[0]!;
  const { chunkBytes, chunks, own, ringSize } = sockets;
  return {
    how: `af_xdp ${opened.mode}`,
    fds: [sockets.fd, sockets.memory],
    arguments: [3, 4, chunkBytes, chunks, own, ringSize, ...offsets(sockets)],
    close: () => opened.close(),
  };
}

async function start(shape: ReferenceShape, ring: OpenRing): Promise<ChildProcess> {
  const { services = 1, servers = 4, connections = CONNECTIONS } = shape;
  const own = [FORWARDER_CPU, shape.wait ?? "poll", connections, services, servers, "rr", DIRECTOR_MAC];
  const argv = [shape.ring, ...own, VIP.toString(16), ...ring.arguments].map(String);
  const child = spawn(join(BENCH_BUILD, "forward"), argv, {
    stdio: ["pipe", "pipe", "inherit", ...ring.fds],
  });
  const lines = createInterface({ input: child.stdout! });
  const ready = await Promise.race([once(lines, "line"), once(child, "exit")]);
  if (ready[0] !== "ready") throw new Error(`the reference forwarder did not start: ${ready[0]}`);
  return child;
}

export async function referenceSite(stage: Stage, name: string, shape: ReferenceShape): Promise<Site> {
  const arm = await stage.arm(name);
  await silence(arm);
  const ring =
    shape.ring === "xdp" ? xdpRing(arm, shape.services ?? 1) : packetRing(arm, shape.services ?? 1);
  const child = await start(shape, ring);
  return {
    name,
    arm,
    how: `${ring.how}, ${shape.wait ?? "poll"}`,
    stateful: true,
    ownXdp: shape.ring === "xdp",
    cpu: () => threadCpu(child.pid!),
    close: async () => {
      child.stdin!.end();
      if (child.exitCode === null) await once(child, "exit");
      ring.close();
    },
  };
}
