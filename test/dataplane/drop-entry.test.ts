import { beforeEach, describe, expect, it } from "vitest";
import { Verdict } from "../../src/dataplane/verdict.ts";
import { parseIpv4 } from "../../src/wire/address.ts";
import { tcpFrame, udpFrame } from "../../src/wire/frame.ts";
import { DIRECTOR_MAC, ROUTER_MAC, VIP, World } from "./world.ts";

const SYN = 0x02;
const ACK = 0x10;

let world: World;

/** One frame from client `n` to the service, in whatever state its connection is. */
function send(n: number, flags: number): void {
  const common = {
    source: parseIpv4("10.9.0.0")! + n,
    destination: parseIpv4(VIP)!,
    sourceMac: ROUTER_MAC,
    destinationMac: DIRECTOR_MAC,
    sourcePort: 1000,
    destinationPort: 80,
  };
  world.rings[0]!.inject(world.key.protocol === "udp" ? udpFrame(common) : tcpFrame({ ...common, flags }));
  world.turn();
}

function live(): number {
  return world.region.shards[0]!.connections.live;
}

/** Lets `seconds` pass in steps of one. */
function pass(seconds: number): void {
  for (let s = 0; s < seconds; s++) {
    world.now += 1000;
    world.turn();
  }
}

describe("drop_entry", () => {
  beforeEach(() => {
    world = new World();
  });

  it("ends half-open connections by and by, established ones with traffic never", () => {
    for (let n = 0; n < 200; n++) send(n, SYN);
    for (let n = 0; n < 20; n++) send(n, ACK);
    world.set("drop_entry", 3);
    pass(30);
    const left = live();
    expect(left).toBeLessThan(150);
    expect(left).toBeGreaterThanOrEqual(20);
    for (let n = 0; n < 20; n++) send(n, ACK);
    expect(live()).toBe(left);
    const counted = world.region.shards[0]!.counters.verdict[Verdict.NoConnection];
    expect(counted).toBe(0);
  });

  it("ends established ones that are silent for a minute and carried little", () => {
    for (let n = 0; n < 200; n++) {
      send(n, SYN);
      send(n, ACK);
    }
    // Ten or nineteen frames: more than are counted exactly.
    for (let n = 0; n < 50; n++) for (let frame = 0; frame < (n < 25 ? 8 : 17); frame++) send(n, ACK);
    world.set("drop_entry", 3);
    pass(59);
    expect(live()).toBe(200);
    pass(300);
    expect(live()).toBeLessThan(120);
    for (let n = 0; n < 50; n++) send(n, ACK);
    expect(world.region.shards[0]!.counters.verdict[Verdict.NoConnection]).toBe(0);
  });

  it("does nothing while it is off, or on demand and the table has room", () => {
    for (let n = 0; n < 100; n++) send(n, SYN);
    for (const mode of [0, 1, 2]) {
      world.set("drop_entry", mode);
      pass(10);
      expect(live()).toBe(100);
    }
  });

  it("works on demand when the table is nearly full", () => {
    world = new World({ connections: 256 });
    world.set("drop_entry", 1);
    for (let n = 0; n < 250; n++) send(n, SYN);
    pass(5);
    expect(live()).toBeLessThan(250);
  });
});
