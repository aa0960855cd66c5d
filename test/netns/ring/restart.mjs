// The forwarding thread is killed while numbered datagrams come in, and a new one maps the same ring: prints which
// numbers reached the real server.
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { openPacketSockets } from "../../../dist/ring/packet-sockets.js";
import { openXdpSockets } from "../../../dist/ring/xdp-sockets.js";
import { mapped } from "../../../dist/wire/address.js";
import { vipFilter } from "../../../dist/wire/vip-filter.js";
import { serviceKey } from "../../../dist/wire/xdp-program.js";
import { cluster, MAC, script, VIP } from "./cluster.mjs";

const COUNT = 4000;
const RECEIVER = `
  const seen = new Set();
  let frames = 0;
  const socket = require("node:dgram").createSocket({ type: "udp4", recvBufferSize: 4 << 20 }, (message) => {
    frames++;
    if (message.length === 4) { seen.add(message.readUInt32BE(0)); return; }
    const missing = []; for (let i = 0; i < ${COUNT}; i++) if (!seen.has(i)) missing.push(i); console.log(JSON.stringify({ seen: seen.size, frames, missing: missing.slice(0, 100) }));
  });
  socket.on("message", (_, from) => {}).bind(9000, () => console.log("ready"));`;
// Without a pause, so that the thread dies with frames in hand; what the ring holds is far more than comes meanwhile.
const SENDER = `
  const socket = require("node:dgram").createSocket("udp4");
  let next = 0;
  const one = () => {
    if (next === 500 || next === 1500) console.log(next);
    if (next === ${COUNT}) { console.log("done"); return socket.close(); }
    const number = Buffer.alloc(4);
    number.writeUInt32BE(next++);
    socket.send(number, 9000, "${VIP}", one);
  };
  one();`;

const bytes = (mac) => mac.split(":").map((byte) => Number.parseInt(byte, 16));
const net = cluster();
const xdp = process.argv[2]?.includes("xdp")
  ? openXdpSockets({ interfaceName: "dir0", modes: ["native copy"] })
  : undefined;
xdp?.take([serviceKey(mapped(0x0a090064), 17, 9000)], [], []);
const [sockets] =
  xdp?.sockets ?? openPacketSockets({ interfaceName: "dir0", shards: 1, filter: vipFilter([0x0a090064]) });
const cells = new SharedArrayBuffer(64);
const start = async () => {
  const workerData = { sockets, cells, mac: bytes(MAC.server), from: bytes(MAC.director) };
  const worker = new Worker(new URL("./forwarder.mjs", import.meta.url), { workerData });
  await once(worker, "message");
  return worker;
};

const receiver = script(net.server, RECEIVER);
await receiver.line();
let worker = await start();
const sender = script(net.client, SENDER);
await sender.line();
await worker.terminate(); // at 500: in the middle of whatever it does
await sender.line(); // 1000 more come in while nobody maps the ring
const atRestart = new Int32Array(cells)[2];
worker = await start();
await sender.line();
await new Promise((resolve) => setTimeout(resolve, 200));
script(
  net.client,
  `require("node:dgram").createSocket("udp4").send("end", 9000, "${VIP}", () => process.exit())`,
);
const report = JSON.parse(await receiver.line());
console.log(JSON.stringify({ ...report, sent: COUNT, atRestart, total: new Int32Array(cells)[2] }));
net.end();
process.exit(0);
