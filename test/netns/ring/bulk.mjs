// node bulk.mjs '{"megabytes":…,"superFrames":…,"vlan":…}': one upload through the forwarder; prints what happened as JSON.
import { once } from "node:events";
import { openSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { native } from "../../../dist/ring/native.js";
import { openPacketSockets, wakeRing } from "../../../dist/ring/packet-sockets.js";
import { openXdpSockets } from "../../../dist/ring/xdp-sockets.js";
import { mapped } from "../../../dist/wire/address.js";
import { vipFilter } from "../../../dist/wire/vip-filter.js";
import { serviceKey } from "../../../dist/wire/xdp-program.js";
import { cluster, MAC, SINK, SOURCE, script } from "./cluster.mjs";

const options = JSON.parse(process.argv[2]);
const bytes = (mac) => mac.split(":").map((byte) => Number.parseInt(byte, 16));
const net = cluster({ bare: options.vlan !== undefined });
const xdp = options.xdp ? openXdpSockets({ interfaceName: "dir0", modes: [options.xdp] }) : undefined;
xdp?.take([serviceKey(mapped(0x0a090064), 6, 8000)], [], []);
const [sockets] =
  xdp?.sockets ??
  openPacketSockets({
    interfaceName: "dir0",
    shards: 1,
    filter: vipFilter([0x0a090064]),
    ...(options.superFrames ? { superFrames: options.superFrames } : {}),
  });
const cells = new SharedArrayBuffer(64);
const worker = new Worker(new URL("./forwarder.mjs", import.meta.url), {
  workerData: { sockets, cells, mac: bytes(MAC.server), from: bytes(MAC.director) },
});
await once(worker, "message");

if (options.vlan !== undefined) await tag();

/** Between client and director stands a switch of ours that tags. */
async function tag() {
  const home = openSync("/proc/self/ns/net", "r");
  native().setNamespace(`/proc/${net.network.pid}/ns/net`, 0);
  const ports = ["cli0", "dir0", "srv0"].map(
    (name) => openPacketSockets({ interfaceName: `p-${name}`, shards: 1, superFrames: "copy" })[0],
  );
  native().setNamespace(`/proc/self/fd/${home}`, 0);
  const data = { sockets: ports, cells, vlan: options.vlan };
  await once(new Worker(new URL("./tagging-switch.mjs", import.meta.url), { workerData: data }), "message");
}

const sink = script(net.server, SINK);
await sink.line();
const start = performance.now();
const source = script(net.client, SOURCE, String(options.megabytes));
const sent = await source.line();
const received = await source.line();
const milliseconds = performance.now() - start;

const state = new Int32Array(cells);
state[1] = 1;
const asked = performance.now();
wakeRing(sockets);
await once(worker, "exit");
console.log(
  JSON.stringify({
    sent,
    received,
    mode: sockets.mode,
    copies: sockets.copies,
    slotBytes: sockets.slotBytes,
    frames: state[2],
    superFrames: state[3],
    refused: state[4],
    drops: state[5],
    tagged: state[6],
    badTags: state[7],
    stopMilliseconds: performance.now() - asked,
    milliseconds,
  }),
);
source.end();
sink.end();
net.end();
process.exit(0);
