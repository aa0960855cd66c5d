// Run by garbage.test.ts in a process of its own, on what is compiled in dist/: how many bytes of heap do a million
// frames cost once the machine code is warm? Prints one JSON object. A trial that V8 compiles something in costs some,
// so the least of several counts.
import { getHeapStatistics } from "node:v8";
import { attachCommands } from "../../dist/control/commands.js";
import { tuneV8 } from "../../dist/control/v8-flags.js";
import { Shard } from "../../dist/dataplane/shard.js";
import { registerBuiltIn } from "../../dist/schedulers/built-in.js";
import { beginChange, endChange } from "../../dist/table/generation.js";
import { createRegion, Header, regionBytes } from "../../dist/table/region.js";
import { Setting } from "../../dist/table/settings.js";
import { tcpFrame } from "../../dist/wire/frame.js";

const FRAMES = 1_000_000;
const TRIALS = 6;
const SYN = 0x02;
const ACK = 0x10;
const SYN_RECV = 3;
const PERMANENT = 7;
const VIP = 0x0a000064;
const MAC = { hi: 0x0200, lo: 0xd1a50001 };

/** Hands out the same 64 frames for ever, each time as another flow's. */
class TurningRing {
  name = "turning";
  headroom = 0;
  bytes = new Uint8Array(128 * 2048);
  view = new DataView(this.bytes.buffer);
  flows = 1;
  flow = 0;
  left = 0;
  sent = 0;

  load(frame) {
    for (let slot = 0; slot < 64; slot++) this.bytes.set(frame, slot * 2048 + 2);
  }
  peek(burst) {
    const count = this.left < 64 ? this.left : 64;
    for (let i = 0; i < count; i++) {
      const at = i * 2048 + 2;
      this.view.setUint32(at, 0x0200d1a5);
      this.view.setUint16(at + 4, 1);
      this.view.setUint32(at + 6, 0x020000fe);
      const before = this.view.getUint16(at + 28) + this.view.getUint16(at + 26);
      this.view.setUint32(at + 26, 0x0b000000 + this.flow);
      const after = this.view.getUint16(at + 28) + this.view.getUint16(at + 26);
      // The header's checksum follows the source address (RFC 1624 eqn 3).
      let sum = (~this.view.getUint16(at + 24) & 0xffff) + after + 0x1fffe - before;
      sum = (sum & 0xffff) + (sum >>> 16);
      sum = (sum & 0xffff) + (sum >>> 16);
      this.view.setUint16(at + 24, ~sum & 0xffff);
      this.flow = this.flow + 1 === this.flows ? 0 : this.flow + 1;
      burst.at[i] = at;
      burst.length[i] = 60;
    }
    this.left -= count;
    burst.count = count;
    return count;
  }
  submit() {
    this.sent++;
  }
  reserve() {
    return -1;
  }
  cancel() {}
  flush() {
    return 0;
  }
  release() {}
  isSuperFrame() {
    return false;
  }
  wait() {}
  drops() {
    return 0;
  }
  close() {}
}

function makeWorld() {
  registerBuiltIn();
  const sizes = {
    shards: 1,
    services: 64,
    destinations: 256,
    connections: 32_768,
    templates: 64,
    neighbours: 64,
  };
  const region = createRegion(new ArrayBuffer(regionBytes(sizes)), sizes, 0x5eed, 100_000);
  const commands = attachCommands(region, { now: () => 1_000_000 });
  const key = { protocol: "tcp", family: 4, address: "10.0.0.100", port: 80, mark: 0 };
  const service = {
    key,
    scheduler: process.argv[3] ?? "wlc",
    flags: 0,
    persistence: 0,
    netmask: "255.255.255.255",
    onePacket: false,
  };
  commands.addService(service);
  for (let d = 0; d < 4; d++) {
    commands.addServer(key, {
      address: `10.0.1.${d + 1}`,
      port: 80,
      weight: 1,
      method: "route",
      upper: 0,
      lower: 0,
    });
  }
  beginChange(region.header, Header.Generation);
  region.settings[Setting.mac_hi] = MAC.hi;
  region.settings[Setting.mac_lo] = MAC.lo;
  region.settings[Setting.timeout_tcp + SYN_RECV] = 1;
  endChange(region.header, Header.Generation);
  beginChange(region.header, Header.NeighbourGeneration);
  for (let n = 0; n < 8; n++) {
    region.neighbours.state[n] = PERMANENT;
    region.neighbours.macLo[n] = 0x90000000 + n;
  }
  endChange(region.header, Header.NeighbourGeneration);
  const ring = new TurningRing();
  return { ring, shard: new Shard(region, 0, ring), now: 1_000_000.5, step: 0 };
}

function run(world, frames) {
  const { ring, shard } = world;
  ring.left = frames;
  ring.sent = 0;
  while (ring.left > 0) {
    shard.turn(world.now);
    world.now += world.step;
  }
}

const fields = { source: 0x0b000000, destination: VIP, sourcePort: 40_000, destinationPort: 80, pad: true };
const frame = (flags) => tcpFrame({ ...fields, destinationMac: MAC, flags });

const PHASES = {
  /** Data of connections that exist. */
  steady(world) {
    world.ring.flows = 10_000;
    world.ring.load(frame(SYN));
    run(world, 10_000);
    world.ring.load(frame(ACK));
  },
  /** Every frame opens a connection, and another one ends. */
  churn(world) {
    world.ring.flows = 4_000_000;
    world.step = 10.25;
    world.ring.load(frame(SYN));
  },
};

tuneV8();
const world = makeWorld();
PHASES[process.argv[2]](world);
run(world, FRAMES);
const costs = [];
for (let trial = 0; trial < TRIALS; trial++) {
  globalThis.gc();
  const before = getHeapStatistics().used_heap_size;
  const looking = getHeapStatistics().used_heap_size - before;
  const start = getHeapStatistics().used_heap_size;
  run(world, FRAMES);
  costs.push(getHeapStatistics().used_heap_size - start - looking);
}
const { context } = world.shard;
console.log(
  JSON.stringify({
    costs,
    sent: world.ring.sent,
    live: context.connections.live,
    created: context.counters.shard[6],
    expired: context.counters.shard[7],
  }),
);
