// A switch of three ports in user space whose port to the director is a VLAN trunk, for kernels without VLAN devices:
// client → (tag put on) → director → (tag taken off) → real server → client.
import { parentPort, workerData } from "node:worker_threads";
import { createBurst } from "../../../dist/ring/burst.js";
import { PacketRing } from "../../../dist/ring/packet-ring.js";
import { putTagBack } from "../../../dist/ring/vlan-tag.js";

const { sockets, cells, vlan } = workerData;
const STOP = 1;
const BAD_TAGS = 7;
const HEADER = 10;
const state = new Int32Array(cells);
const open = (port) => new PacketRing(port, { cells: new Int32Array(1), position: 0 });
const [client, director, server] = sockets.map(open);
const burst = createBurst(8); // no more super-frames than there are places for copies
parentPort.postMessage("ready");

// Port by port: what is received on one is copied to the other, because a frame is sent from its own ring's memory.
function carry(from, to, change) {
  const count = from.peek(burst);
  for (let i = 0; i < count; i++) {
    const length = burst.length[i];
    const at = to.reserve(length + 4);
    if (at < 0) throw new Error("no place");
    to.bytes.set(from.bytes.subarray(burst.at[i] - HEADER, burst.at[i] + length), at - HEADER);
    change(to, at, length);
  }
  to.flush();
  from.release();
  return count;
}

function putOn(ring, at, length) {
  putTagBack(ring.bytes, ring.view, at, (0x8100 << 16) | vlan);
  ring.submit(at - 4, length + 4);
}

function takeOff(ring, at, length) {
  if (ring.view.getUint32(at + 12) !== ((0x8100 << 16) | vlan) >>> 0) state[BAD_TAGS]++;
  ring.bytes.copyWithin(at + 4 - HEADER, at - HEADER, at + 12);
  const header = at + 4 - HEADER;
  const less = (where) => ring.view.setUint16(where, ring.view.getUint16(where, true) - 4, true);
  if (ring.view.getUint16(header + 2, true) !== 0) less(header + 2);
  if ((ring.bytes[header] & 1) !== 0) less(header + 6);
  ring.submit(at + 4, length - 4);
}

const asIs = (ring, at, length) => ring.submit(at, length);

while (Atomics.load(state, STOP) === 0) {
  const carried =
    carry(client, director, putOn) + carry(director, server, takeOff) + carry(server, client, asIs);
  if (carried === 0) director.wait(0.05);
}
