/** What explain tells, and that it leaves no trace. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { explain, hexText } from "../../src/dataplane/explain.ts";
import { copyRegion } from "../../src/dataplane/snapshot.ts";
import { VERDICT_NAMES } from "../../src/dataplane/verdict.ts";
import { bucketOf } from "../../src/schedulers/address-hash.ts";
import { NeighbourState } from "../../src/table/neighbours.ts";
import { formatMac } from "../../src/wire/address.ts";
import { icmpFrame, ipFrame } from "../../src/wire/frame.ts";
import { client, DIRECTOR_MAC, parseIpv4, ROUTER_MAC, tcp, udp, VIP, World } from "./world.ts";

const SYN = 0x02;
const ACK = 0x10;
const FIN = 0x01;

const syn = (n: number, port = 4000) => tcp({ source: client(n), sourcePort: port, flags: SYN });
const told = (world: World, frame: Uint8Array, more = {}) =>
  explain(world.region, frame, { now: world.now, ...more });

describe("explain", () => {
  it("tells a new connection's way from service to bytes", () => {
    const world = new World({ weights: [1, 3, 0] });
    const { words, ...one } = told(world, syn(1));
    expect(one.verdict.name).toBe("Forwarded");
    expect(one.flow).toMatchObject({ protocol: "tcp", client: "10.7.0.1", clientPort: 4000, virtual: VIP });
    expect(one.service).toMatchObject({ by: "exact", decides: true, found: { text: `tcp ${VIP}:80` } });
    expect(one.connection).toMatchObject({
      what: "made",
      before: null,
      after: { state: "SYN_RECV", active: true, expiresIn: 60_000 },
    });
    expect(
      one.scheduling?.members.map(({ server, weight, available, chosen }) => [
        server.text,
        weight,
        available,
        chosen,
      ]),
    ).toEqual([
      ["10.0.0.13:80", 0, false, false],
      ["10.0.0.12:80", 3, true, true],
      ["10.0.0.11:80", 1, true, false],
    ]);
    expect(one.neighbour).toMatchObject({ address: "10.0.0.12", state: "permanent", usable: true });
    expect(one.sent[0]?.changed).toEqual([4, 5, 11]);
    expect(words.at(-1)).toContain("nothing from byte 12 on");
  });

  it("tells a known connection's state before and after", () => {
    const world = new World();
    world.send(syn(1));
    world.send(tcp({ source: client(1), sourcePort: 4000, flags: ACK }));
    const one = told(world, tcp({ source: client(1), sourcePort: 4000, flags: FIN | ACK }));
    expect(one.connection).toMatchObject({
      what: "found",
      before: { state: "ESTABLISHED", active: true },
      after: { state: "FIN_WAIT", active: false, expiresIn: 120_000 },
    });
    expect(one.scheduling).toBeNull();
    expect(one.service.decides).toBe(false);
  });

  it("says what keeps each other service from matching", () => {
    const world = new World();
    world.run({
      kind: "addService",
      service: {
        key: { ...world.key, port: 8080 },
        scheduler: "rr",
        flags: 0,
        persistence: 0,
        netmask: "255.255.255.255",
        onePacket: false,
      },
    });
    const one = told(world, tcp({ source: client(1), sourcePort: 4000, flags: SYN, destinationPort: 81 }));
    expect(one.verdict.name).toBe("NotOurs");
    expect(one.service.candidates.map(({ service, words }) => `${service.port}: ${words}`)).toEqual([
      "80: family and address and protocol equal, but port 80 is not 81",
      "8080: family and address and protocol equal, but port 8080 is not 81",
    ]);
    const dns = told(world, udp({ source: client(1), sourcePort: 4000, destinationPort: 80 }));
    expect(dns.service.candidates[0]?.differs).toEqual(["protocol"]);
  });

  it.each(["sh", "dh", "mh"])("finds the place that %s's table was read at by reading it", (scheduler) => {
    const world = new World({ scheduler });
    const one = told(world, syn(7));
    expect(one.scheduling?.buckets).toHaveLength(1);
    expect(one.scheduling?.buckets[0]?.server).toBe(one.scheduling?.chose?.text);
    expect(one.scheduling?.words).toMatch(/place \d+ of (256|4093)/);
    const hashed = { sh: client(7), dh: parseIpv4(VIP)! }[scheduler];
    if (hashed !== undefined) expect(one.scheduling?.buckets[0]?.place).toBe(bucketOf(hashed));
  });

  it("shows a scheduler's memory move", () => {
    const world = new World({ scheduler: "wrr", weights: [4, 2] });
    world.send(syn(1));
    const one = told(world, syn(2));
    expect(one.scheduling?.memory.before).not.toEqual(one.scheduling?.memory.after);
    expect(one.scheduling?.words).toContain("the last turn was");
  });

  it("tells of a template, made and found", () => {
    const world = new World({ persistence: 300 });
    expect(told(world, syn(1)).template).toMatchObject({ what: "made", client: "10.7.0.1", connections: 1 });
    world.send(syn(1));
    const second = told(world, syn(1, 4001));
    expect(second.template).toMatchObject({ what: "found", connections: 2 });
    expect(second.scheduling).toBeNull();
    expect(second.connection.what).toBe("made");
  });

  it("tells why nobody could take it, and what the client hears", () => {
    const world = new World({ weights: [0, 0] });
    const one = told(world, syn(1));
    expect(one.verdict.name).toBe("NoDestination");
    expect(one.scheduling?.chose).toBeNull();
    expect(one.sent[0]).toMatchObject({ what: "answer", changed: [] });
    expect(one.sent[0]?.summary).toContain("ICMP");
  });

  it("tells of a neighbour that is not known, and of one that failed", () => {
    const world = new World({ resolved: false });
    const waits = told(world, syn(1));
    expect(waits.verdict.name).toBe("Waiting");
    expect(waits.neighbour).toMatchObject({ mac: null, usable: false });
    for (let n = 0; n < 3; n++) world.setNeighbour(n, NeighbourState.Failed);
    expect(told(world, syn(1)).verdict.name).toBe("NeighbourFailed");
  });

  it("replaces an ended connection and says so", () => {
    const world = new World();
    world.send(tcp({ source: client(2), sourcePort: 4000, flags: SYN }));
    world.send(tcp({ source: client(2), sourcePort: 4000, flags: FIN }));
    const one = told(world, syn(2));
    expect(one.connection).toMatchObject({ what: "replaced", before: { state: "TIME_WAIT" } });
  });

  it("gives a scheduler's exception as its fault", async () => {
    const { registerScheduler } = await import("../../src/schedulers/registry.ts");
    registerScheduler({
      name: "explainfault",
      schedule() {
        throw new Error("out of dice");
      },
    });
    const one = told(new World({ scheduler: "explainfault" }), syn(1));
    expect(one.scheduling).toMatchObject({ fault: "out of dice", chose: null });
    expect(one.verdict.name).toBe("NoDestination");
  });

  it("follows a frame to its flow's home shard", () => {
    const world = new World({ shards: 4 });
    const ways = Array.from({ length: 12 }, (_, n) => told(world, syn(n)).shards.way);
    expect(ways.every((way) => way.length === 1)).toBe(true);
    expect(new Set(ways.flat()).size).toBeGreaterThan(1);
    const quoted = tcp({
      source: parseIpv4(VIP)!,
      sourcePort: 80,
      flags: ACK,
      destination: client(3),
      destinationPort: 4000,
    });
    world.send(syn(3));
    const error = icmpFrame({
      source: parseIpv4("10.9.9.9")!,
      destination: parseIpv4(VIP)!,
      sourceMac: ROUTER_MAC,
      destinationMac: DIRECTOR_MAC,
      type: 3,
      code: 1,
      payload: quoted.subarray(14),
    });
    const one = told(world, error);
    expect(one.verdict.name).toBe("Forwarded");
    expect(one.kind).toBe("icmp");
    expect(one.shards.way.at(-1)).toBe(told(world, syn(3)).shards.way[0]);
    expect(one.connection.what).toBe("found");
  });

  it("knows a later fragment only with the first one before it", () => {
    const world = new World({ protocol: "udp", port: 53 });
    const piece = (offset: number, more: boolean, body: Uint8Array) =>
      ipFrame(
        {
          source: client(1),
          destination: parseIpv4(VIP)!,
          sourceMac: ROUTER_MAC,
          destinationMac: DIRECTOR_MAC,
          identification: 77,
          fragmentOffset: offset,
          moreFragments: more,
        },
        17,
        body,
      );
    const first = piece(0, true, Uint8Array.of(0x0f, 0xa0, 0, 53, 0, 24, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8));
    const last = piece(16, false, new Uint8Array(8));
    expect(told(world, last).verdict.name).toBe("Waiting");
    const after = told(world, last, { before: [first] });
    expect(after).toMatchObject({ verdict: { name: "Forwarded" }, flow: null, connection: { what: "none" } });
    expect(after.destination?.server.text).toBe(told(world, first).destination?.server.text);
    expect(told(world, first).flow?.virtualPort).toBe(53);
  });

  it("reads frames of any length and any bytes, as the data path does, and changes nothing", () => {
    const world = new World({ shards: 2 });
    for (let n = 0; n < 40; n++) world.send(syn(n));
    const base = [
      syn(1),
      udp({ source: client(1), sourcePort: 1 }),
      tcp({ source: client(2), sourcePort: 4000, flags: ACK }),
    ];
    const mutated = fc
      .tuple(
        fc.constantFrom(...base),
        fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 6 }),
        fc.nat(60),
      )
      .map(([frame, changes, cut]) => {
        const bytes = frame.slice(0, frame.length - (cut > 50 ? cut - 50 : 0));
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        return bytes;
      });
    const any = fc.oneof(mutated, fc.uint8Array({ maxLength: 120 }));
    fc.assert(
      fc.property(any, (frame) => {
        const image = new Uint8Array(world.region.header.buffer as ArrayBuffer);
        const before = image.slice();
        const one = told(world, frame);
        expect(Buffer.compare(before, image)).toBe(0);
        const counted = world.verdicts();
        const sent = world.send(frame).map(hexText);
        const after = world.verdicts();
        const name = VERDICT_NAMES.find((v) => v !== "HandedOver" && (after[v] ?? 0) > (counted[v] ?? 0));
        expect(one.verdict.name).toBe(name);
        if (one.verdict.name === "Forwarded") expect(one.sent.map(({ bytes }) => bytes)).toEqual(sent);
      }),
      { numRuns: 400 },
    );
  });

  it("makes a torn copy whole: half a chain, a held lock, a row of nobody's", () => {
    const world = new World();
    for (let n = 0; n < 20; n++) world.send(syn(n));
    const { connections } = world.region.shards[0]!;
    connections.heads.fill(0);
    world.region.services.lock[0] = 5;
    connections.rows[10] = 200; // destination of row 0: nobody's
    const copy = copyRegion(world.region, { now: world.now, running: true });
    expect(copy.shards[0]!.connections.live).toBe(19);
    expect(copy.services.lock[0]).toBe(0);
    const one = told(world, tcp({ source: client(5), sourcePort: 4000, flags: ACK }), { running: true });
    expect(one.connection.what).toBe("found");
  });

  it("names the MAC addresses when the frame is for somebody else", () => {
    const frame = syn(1);
    frame[5] = 9;
    const { words } = told(new World(), frame);
    expect(words.join("\n")).toContain(formatMac(DIRECTOR_MAC));
  });
});
