// The smallest director: a worker thread that sends every frame of its ring on to one MAC, until told to stop.
import { parentPort, workerData } from "node:worker_threads";
import { createBurst } from "../../../dist/ring/burst.js";
import { PacketRing } from "../../../dist/ring/packet-ring.js";
import { XdpRing } from "../../../dist/ring/xdp-ring.js";

const { sockets, cells, mac, from } = workerData;
const STOP = 1;
const [FRAMES, SUPER, REFUSED, DROPS, TAGGED] = [2, 3, 4, 5, 6];

const state = new Int32Array(cells);
const ring = sockets.mode ? new XdpRing(sockets) : new PacketRing(sockets, { cells: state, position: 0 });
const burst = createBurst();
parentPort.postMessage("ready");

while (Atomics.load(state, STOP) === 0) {
  if (ring.peek(burst) === 0) {
    ring.wait(100);
    continue;
  }
  for (let i = 0; i < burst.count; i++) {
    const at = burst.at[i];
    for (let b = 0; b < 6; b++) {
      ring.bytes[at + b] = mac[b];
      ring.bytes[at + 6 + b] = from[b];
    }
    state[FRAMES]++;
    if (ring.isSuperFrame(at)) state[SUPER]++;
    if (ring.view.getUint16(at + 12) === 0x8100) state[TAGGED]++;
    ring.submit(at, burst.length[i]);
  }
  state[REFUSED] += ring.flush();
  ring.release();
}
state[DROPS] = ring.drops();
ring.close();
