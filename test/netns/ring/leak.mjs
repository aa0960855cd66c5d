// Fifty threads map the same ring, watch a descriptor, and are ended in the middle of it. Prints what is left.
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { native, Watch } from "../../../dist/ring/native.js";
import { openPacketSockets } from "../../../dist/ring/packet-sockets.js";
import { ip } from "./cluster.mjs";

ip("link", "add", "va", "type", "veth", "peer", "name", "vb");
ip("link", "set", "va", "up");
ip("link", "set", "vb", "up");
const [sockets] = openPacketSockets({ interfaceName: "va", shards: 1 });
const cells = new SharedArrayBuffer(64);
const ends = native().socketPair();
const watched = new Watch(ends[0], () => {}).unref();

const SOURCE = `
  const { parentPort, workerData } = require("node:worker_threads");
  (async () => {
    const { PacketRing } = await import(workerData.modules + "packet-ring.js");
    const { native, Watch } = await import(workerData.modules + "native.js");
    const ring = new PacketRing(workerData.sockets, { cells: new Int32Array(workerData.cells), position: 0 });
    const watch = new Watch(workerData.fd, () => {});
    const region = native().mapRegion(-1, 0, 1 << 20);
    parentPort.postMessage("ready");
    globalThis.kept = [watch, region];
    for (;;) { ring.wait(1); ring.reserve(100); }
  })();`;

/** Mappings of packet rings and of external memory: everything of 1 MiB and more that is not V8's. */
function count() {
  const lines = readFileSync("/proc/self/maps", "utf8").split("\n");
  const status = readFileSync("/proc/self/status", "utf8");
  return {
    rings: lines.filter((line) => line.includes("socket:")).length,
    maps: lines.length,
    fds: readdirSync("/proc/self/fd").length,
    threads: Number(/Threads:\s+(\d+)/.exec(status)[1]),
    megabytes: Math.round(Number(/VmSize:\s+(\d+)/.exec(status)[1]) / 1024),
  };
}

const modules = new URL("../../../dist/ring/", import.meta.url).href;
async function one() {
  const worker = new Worker(SOURCE, { eval: true, workerData: { modules, sockets, cells, fd: ends[0] } });
  await once(worker, "message");
  const mapped = count().rings;
  await worker.terminate();
  return mapped;
}

for (let i = 0; i < 3; i++) await one();
const before = count();
let mapped = 0;
for (let i = 0; i < 50; i++) mapped = await one();
console.log(JSON.stringify({ before, after: count(), mapped }));
watched.end();
process.exit(0);
