import { describe, expect, it } from "vitest";
import { ESTIMATE_MS, KernelRates } from "../../src/observe/rates.ts";
import { TCP_FLAGS } from "../../src/wire/tcp.ts";
import { client, tcp, World } from "../dataplane/world.ts";

/** The traffic of oracle semantics/stats_delay: ten connections, each a SYN and an ACK with 100 bytes. */
function tenConnections(world: World): void {
  for (let i = 0; i < 10; i++) {
    const flow = { source: client(i + 1), sourcePort: 10_000 + i };
    world.send(tcp({ ...flow, flags: TCP_FLAGS.SYN }));
    world.send(tcp({ ...flow, flags: TCP_FLAGS.ACK, payload: new Uint8Array(100) }));
  }
}

describe("rates", () => {
  it("are the kernel's digits for the kernel's traffic", () => {
    const world = new World({ weights: [1, 1] });
    const rates = new KernelRates(world.region);
    rates.tick(world.now);
    tenConnections(world);
    const seen = [];
    for (let look = 0; look < 4; look++) {
      world.now += ESTIMATE_MS;
      rates.tick(world.now);
      const { cps, inPps, inBps } = rates.service(0);
      seen.push([cps, inPps, inBps]);
    }
    // Recorded with ipvsadm -Ln --rate at 3, 5 and 7 seconds.
    expect(seen.slice(0, 3)).toEqual([
      [1, 2, 225],
      [1, 2, 169],
      [1, 1, 127],
    ]);
    expect(rates.destination(0).inBps + rates.destination(1).inBps).toBeGreaterThan(0);
  });

  it("look no sooner than every two seconds, and fall to nothing when nothing comes", () => {
    const world = new World({ weights: [1] });
    const rates = new KernelRates(world.region);
    rates.tick(world.now);
    tenConnections(world);
    for (let ms = 10; ms < ESTIMATE_MS; ms += 10) rates.tick(world.now + ms);
    expect(rates.service(0).inPps).toBe(0);
    for (let look = 1; look < 60; look++) rates.tick(world.now + look * ESTIMATE_MS);
    expect(rates.total()).toEqual({ cps: 0, inPps: 0, outPps: 0, inBps: 0, outBps: 0 });
  });

  it("begin anew at --zero", () => {
    const world = new World({ weights: [1] });
    const rates = new KernelRates(world.region);
    rates.tick(world.now);
    tenConnections(world);
    rates.tick(world.now + ESTIMATE_MS);
    rates.zeroed(0);
    expect(rates.service(0).inBps).toBe(0);
    expect(rates.destination(0).inBps).toBe(0);
    rates.tick(world.now + 2 * ESTIMATE_MS);
    expect(rates.service(0).inBps).toBe(0);
  });

  it("of a row that was freed and taken again begin at nothing, and the service's do not fall", () => {
    const world = new World({ weights: [1] });
    const rates = new KernelRates(world.region);
    rates.tick(world.now);
    tenConnections(world);
    world.commands.execute({ kind: "zero" });
    rates.zeroed(0);
    tenConnections(world);
    const [counters] = world.region.shards.map((shard) => shard.counters);
    counters!.active.fill(0);
    counters!.inactive.fill(0);
    world.deleteServer(1);
    world.commands.sweep(world.now + 60_000);
    world.commands.sweep(world.now + 200_000);
    rates.tick(world.now + ESTIMATE_MS);
    const { inPps } = rates.service(0);
    expect(inPps).toBeGreaterThan(0);
    // Freed rows rest for long before they are taken again.
    let later = world.now + 400_000;
    for (let n = 0; n < world.region.destinations.capacity; n++) {
      world.addServer(2);
      world.deleteServer(2);
      world.commands.sweep(later);
      later += 200_000;
      world.commands.sweep(later);
    }
    world.addServer(3);
    rates.tick(world.now + 2 * ESTIMATE_MS);
    for (let d = 0; d < world.region.destinations.capacity; d++) expect(rates.destination(d).inPps).toBe(0);
    expect(rates.service(0).inPps).toBeLessThanOrEqual(inPps);
    expect(rates.service(0).inPps).toBeGreaterThanOrEqual(0);
    expect(rates.total().inPps).toBeGreaterThanOrEqual(0);
  });

  it("of a director that starts again do not take what was counted before for new", () => {
    const world = new World({ weights: [1] });
    tenConnections(world);
    const rates = new KernelRates(world.region);
    rates.tick(world.now);
    rates.tick(world.now + ESTIMATE_MS);
    expect([rates.service(0).inPps, rates.destination(0).inPps, rates.total().inPps]).toEqual([0, 0, 0]);
  });
});
