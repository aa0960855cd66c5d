import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Arrival, seededArrivals } from "../../src/dataplane/simulation/arrivals.ts";
import { capturedArrivals } from "../../src/dataplane/simulation/captured.ts";
import { Heap } from "../../src/dataplane/simulation/heap.ts";
import { Disruption, jain } from "../../src/dataplane/simulation/measures.ts";
import { SchedulerFault } from "../../src/dataplane/simulation/service.ts";
import {
  type SimulationOptions,
  type SimulationReport,
  simulate,
} from "../../src/dataplane/simulation/simulate.ts";
import { BUILT_IN } from "../../src/schedulers/built-in.ts";
import type { Scheduler } from "../../src/schedulers/scheduler.ts";
import { mapped } from "../../src/wire/address.ts";
import type { CapturedPacket } from "../../src/wire/capture.ts";
import { tcpFrame, udpFrame } from "../../src/wire/frame.ts";
import { TCP_FLAGS } from "../../src/wire/tcp.ts";

const VIP = 0x0a000064;

function named(name: string): Scheduler {
  return BUILT_IN.find((scheduler) => scheduler.name === name)!;
}

function arrival(at: number, duration: number, client = 1): Arrival {
  const to = { virtual: mapped(VIP), virtualPort: 80 };
  return { at, duration, family: 4, client: mapped(0x0a010000 + client), clientPort: 5000, ...to };
}

const DEFAULTS = { flags: 0, weights: [1, 1], end: 1000, seed: 1, linger: 120_000, samples: 10 };

function run(options: Partial<SimulationOptions> & Pick<SimulationOptions, "arrivals">): SimulationReport {
  return simulate({ ...DEFAULTS, scheduler: named("rr"), ...options });
}

const SEEDED = { seed: 3, connections: 4000, rate: 100, duration: 5, clients: 300, addresses: 8 };

function runSeeded(name: string, more: Partial<SimulationOptions> = {}): SimulationReport {
  return run({
    scheduler: named(name),
    arrivals: seededArrivals(SEEDED),
    end: 40_000,
    weights: [4, 2, 1],
    ...more,
  });
}

describe("a simulation", () => {
  it("counts a connection as active for its duration: mean, peak and samples agree", () => {
    const arrivals = [arrival(0, 500), arrival(100, 300), arrival(200, 800)];
    const { servers, samples, connections } = run({ arrivals });
    expect(connections).toBe(3);
    // rr: rs2, rs1, rs2. rs2 has one from 0, two from 200, one from 500 to the end.
    expect(servers.map((s) => s.connections)).toEqual([1, 2]);
    expect(servers.map((s) => s.peakActive)).toEqual([1, 2]);
    expect(servers[0]!.meanActive).toBeCloseTo(0.3, 9);
    expect(servers[1]!.meanActive).toBeCloseTo(1.3, 9);
    expect(samples.map((s) => s.at)).toEqual([100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]);
    expect(samples[2]!.active).toEqual([1, 2]);
    expect(samples[9]!.active).toEqual([0, 0]);
    expect(samples[2]!.fairness).toBeCloseTo(0.9, 9);
  });

  it("lets closed connections count as inactive for the lingering time", () => {
    // lc counts inactive ones: the first server keeps a trace of its connection until it has lingered away.
    const arrivals = [arrival(0, 10), arrival(500, 10)];
    const chosen = (linger: number): number[] =>
      run({ scheduler: named("lc"), arrivals, linger }).servers.map((s) => s.connections);
    expect(chosen(100_000)).toEqual([1, 1]);
    expect(chosen(100)).toEqual([0, 2]);
  });

  it("is the same for the same seed, for every scheduler, and another for another", () => {
    for (const { name } of BUILT_IN) expect(runSeeded(name)).toEqual(runSeeded(name));
    const other = run({ arrivals: seededArrivals({ ...SEEDED, seed: 4 }), end: 40_000, weights: [4, 2, 1] });
    expect(other.samples).not.toEqual(runSeeded("rr").samples);
  });

  it("gives every connection to a server or refuses it", () => {
    for (const { name } of BUILT_IN) {
      const { connections, refused, servers } = runSeeded(name, { removal: { server: 0, at: 20_000 } });
      expect(connections).toBe(4000);
      expect(servers.reduce((sum, server) => sum + server.connections, refused)).toBe(4000);
    }
  });

  it("shows wlc even for its weights, rr even without, fo on one server", () => {
    const wlc = runSeeded("wlc");
    expect(wlc.fairness.mean).toBeGreaterThan(0.99);
    for (const { share, shareByWeight } of wlc.servers)
      expect(Math.abs(share - shareByWeight)).toBeLessThan(0.02);
    expect(runSeeded("rr").servers.map((s) => s.share)).toEqual([0.33325, 0.33325, 0.3335]);
    const fo = runSeeded("fo");
    expect(fo.servers.map((s) => s.share)).toEqual([1, 0, 0]);
    expect(fo.fairness.mean).toBeCloseTo(1 / 3, 2);
  });

  it("shows the removal: nobody moves needlessly with mh as with sh, and nothing is scheduled there any more", () => {
    const removal = { server: 1, at: 20_000 };
    const weights = [1, 1, 1, 1, 1];
    const mh = runSeeded("mh", { removal, weights });
    const sh = runSeeded("sh", { removal, weights });
    const rate = ({ disruption }: SimulationReport): number =>
      disruption!.movedNeedlessly / (disruption!.returning - disruption!.displaced);
    expect(mh.disruption!.returning).toBeGreaterThan(250);
    expect(mh.disruption!.broken).toBe(mh.samples[4]!.active[1]);
    expect(rate(mh)).toBeLessThan(0.03);
    expect(rate(sh)).toBeGreaterThan(0.4);
    const last = mh.samples.at(-1)!.active;
    expect(last[1]!).toBeLessThan(mh.samples[4]!.active[1]!);
    // Fairness regards those who are there: without the removed server the others are even again.
    expect(runSeeded("wlc", { removal, weights }).samples.at(-1)!.fairness).toBeGreaterThan(0.99);
  });

  it("serves IPv6 connections with IPv6 servers", () => {
    const v6 = (n: number): Arrival => ({
      ...arrival(n, 1),
      family: 6,
      client: [0x20010db8, 0, 0, n],
      virtual: [0x20010db8, 1, 0, 0],
    });
    const { servers } = run({
      scheduler: named("sh"),
      arrivals: Array.from({ length: 64 }, (_, n) => v6(n)),
    });
    expect(Math.min(...servers.map((s) => s.connections))).toBeGreaterThan(0);
  });

  it("says so when a scheduler throws or chooses what is no member", () => {
    const broken = (schedule: Scheduler["schedule"]): (() => void) => {
      return () => void run({ scheduler: { name: "mine", schedule }, arrivals: [arrival(0, 1)] });
    };
    expect(broken(() => 7)).toThrow(
      new SchedulerFault("mine chose 7: neither NO_DESTINATION nor one of service.members"),
    );
    expect(broken(() => undefined as unknown as number)).toThrow(/mine chose undefined/);
    const oops = broken(() => {
      throw new Error("oops");
    });
    expect(oops).toThrow(/mine threw in schedule: oops/);
    const prepare = (): never => {
      throw new Error("no");
    };
    expect(() => run({ scheduler: { ...named("rr"), prepare }, arrivals: [] })).toThrow(
      /threw in prepare: no/,
    );
  });

  it("has nothing to tell of no connections", () => {
    const report = run({ arrivals: [], end: 0 });
    expect(report.connections).toBe(0);
    expect(report.servers.map((s) => s.share)).toEqual([0, 0]);
    expect(report.fairness).toEqual({ mean: 1, least: 1, leastAt: 0 });
  });
});

describe("seeded arrivals", () => {
  it("come at the rate, stay for the duration and bring the number of clients that were asked for", () => {
    const all = [...seededArrivals({ ...SEEDED, connections: 20_000, clients: 50, addresses: 3 })];
    expect(all.at(-1)!.at / 1000).toBeGreaterThan(190);
    expect(all.at(-1)!.at / 1000).toBeLessThan(210);
    const mean = all.reduce((sum, a) => sum + a.duration, 0) / all.length;
    expect(mean / 5000).toBeGreaterThan(0.96);
    expect(mean / 5000).toBeLessThan(1.04);
    expect(new Set(all.map((a) => a.client[3])).size).toBe(50);
    expect(new Set(all.map((a) => a.virtual[3])).size).toBe(3);
    expect(all.every((a, i) => i === 0 || a.at >= all[i - 1]!.at)).toBe(true);
    expect(all.every((a) => a.clientPort >= 1024 && a.clientPort < 65_536)).toBe(true);
  });
});

describe("measures", () => {
  it("Jain's index is 1 when all are equal, 1 / n when one has all, and lies between", () => {
    expect(jain([3, 3, 3])).toBe(1);
    expect(jain([5, 0, 0, 0])).toBe(0.25);
    expect(jain([])).toBe(1);
    expect(jain([0, 0])).toBe(1);
    const some = fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(some, (values) => {
        expect(jain(values)).toBeLessThanOrEqual(1 + 1e-9);
        expect(jain(values)).toBeGreaterThanOrEqual(1 / values.length - 1e-9);
      }),
    );
  });

  it("a removal disturbs needlessly only clients whose server was still there, each counted once", () => {
    const disruption = new Disruption(0);
    const client = (n: number): ReturnType<typeof mapped> => mapped(n);
    for (const [n, d] of [
      [1, 0],
      [2, 1],
      [3, 2],
      [4, -1],
    ] as const)
      disruption.scheduled(client(n), d);
    disruption.removed(17);
    disruption.scheduled(client(1), 2); // had to
    disruption.scheduled(client(2), 2); // had not to
    disruption.scheduled(client(2), 0);
    disruption.scheduled(client(3), 2); // stayed
    disruption.scheduled(client(3), 1); // its first one counts
    disruption.scheduled(client(4), 1); // had none before
    disruption.scheduled(client(5), 1); // new
    expect(disruption.report()).toEqual({
      server: 0,
      broken: 17,
      returning: 3,
      displaced: 1,
      movedNeedlessly: 1,
    });
  });

  it("the heap gives everything back in the order of times, and of entering among equals", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20), { maxLength: 600 }), (times) => {
        const heap = new Heap();
        for (const [i, time] of times.entries()) heap.push(time, i);
        const expected = times.map((time, i) => ({ time, i })).sort((a, b) => a.time - b.time || a.i - b.i);
        for (const { time, i } of expected) {
          expect(heap.next).toBe(time);
          expect(heap.pop()).toBe(i);
        }
        expect(heap.next).toBe(Number.POSITIVE_INFINITY);
      }),
    );
  });
});

describe("connections of a capture", () => {
  const { SYN, ACK, FIN, RST } = TCP_FLAGS;
  const CLIENT = 0x0a010001;

  function packet(ms: number, bytes: Uint8Array): CapturedPacket {
    const seconds = 1_700_000_000 + Math.floor(ms / 1000);
    const nanoseconds = (ms % 1000) * 1e6;
    const rest = { interface: 0, comments: [], direction: "unknown" as const, originalLength: bytes.length };
    return { ...rest, seconds, nanoseconds, bytes };
  }

  function segment(flags: number, sourcePort = 4000, destination = VIP, vlan?: number): Uint8Array {
    const tag = vlan === undefined ? {} : { vlan };
    return tcpFrame({ source: CLIENT, destination, sourcePort, destinationPort: 80, flags, ...tag });
  }

  it("begin with a SYN and end with the client's first FIN or RST", () => {
    const packets = [
      packet(1000, segment(SYN)),
      packet(1100, segment(ACK)),
      packet(1200, segment(SYN, 4001, VIP, 12)),
      packet(3500, segment(FIN | ACK)),
      packet(3600, segment(ACK)),
      packet(4000, segment(RST, 4001, VIP, 12)),
    ];
    const found = capturedArrivals(packets);
    expect(found.map(({ at, duration, clientPort }) => [at, duration, clientPort])).toEqual([
      [0, 2500, 4000],
      [200, 2800, 4001],
    ]);
    expect(found[0]).toMatchObject({
      family: 4,
      client: mapped(CLIENT),
      virtual: mapped(VIP),
      virtualPort: 80,
    });
  });

  it("are new ones when a port is used again, and none without their beginning", () => {
    const packets = [
      packet(0, segment(ACK, 4002)),
      packet(1, segment(SYN)),
      packet(2, segment(RST)),
      packet(3, segment(SYN)),
      packet(4, segment(SYN)),
      packet(9, segment(ACK)),
      packet(9, segment(SYN | ACK, 4003)),
    ];
    expect(capturedArrivals(packets).map(({ at, duration }) => [at, duration])).toEqual([
      [1, 1],
      [3, 6],
    ]);
  });

  it("are UDP's too, their answers and fragments being none, and IPv6's", () => {
    const udp = { source: CLIENT, destination: VIP, sourcePort: 53_000, destinationPort: 53 };
    const answer = { source: VIP, destination: CLIENT, sourcePort: 53, destinationPort: 53_000 };
    const v6 = {
      source: [1, 2, 3, 4] as const,
      destination: [5, 6, 7, 8] as const,
      sourcePort: 9,
      destinationPort: 53,
    };
    const packets = [
      packet(0, udpFrame(udp)),
      packet(5, udpFrame(answer)),
      packet(7, udpFrame(udp)),
      packet(8, udpFrame({ ...udp, sourcePort: 1, fragmentOffset: 1480 })),
      packet(9, udpFrame(v6)),
      packet(9, new Uint8Array(10)),
      packet(9, udpFrame(udp).subarray(0, 36)),
    ];
    expect(capturedArrivals(packets).map(({ family, at, duration }) => [family, at, duration])).toEqual([
      [4, 0, 7],
      [6, 9, 0],
    ]);
  });

  it("are only those of the virtual service that is asked for", () => {
    const packets = [packet(0, segment(SYN)), packet(1, segment(SYN, 4001, VIP + 1))];
    const to = (address: number, port: number): number[] =>
      capturedArrivals(packets, { address: mapped(address), port }).map(({ clientPort }) => clientPort);
    expect(to(VIP, 0)).toEqual([4000]);
    expect(to(VIP + 1, 80)).toEqual([4001]);
    expect(to(VIP, 443)).toEqual([]);
  });
});
