/** The cluster that the page plays: its traffic goes through the real core, and its faults do what they do in a lab. */

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type Mac, parseMac } from "../../src/wire/address.ts";
import { writeReply } from "../../src/wire/arp.ts";
import { tcpFrame, udpFrame } from "../../src/wire/frame.ts";
import { concat } from "../../src/wire/netlink.ts";
import { pcapHeader, pcapRecord } from "../../src/wire/pcap.ts";
import { Generator } from "../../web/src/browser/generator.ts";
import { EmptyCapture, Recording } from "../../web/src/browser/recording.ts";
import type { Frame } from "../../web/src/model.ts";

const SERVICE = "tcp 10.0.0.100:80";
const RS2 = "10.0.0.12";

function play(source: Generator | Recording, seconds: number): Frame[] {
  const heard: Frame[] = [];
  source.onFrame = (frame) => void heard.push(frame);
  for (let passed = 0; passed < seconds * 1000; passed += 50) source.advance(50);
  source.onFrame = () => {};
  return heard;
}

function made(source: Generator | Recording): Record<string, number> {
  return Object.fromEntries(
    source.picture().services[0]!.servers.map(({ name, connections }) => [name, connections]),
  );
}

describe("the page's own traffic", () => {
  it("is the same each time", () => {
    const [a, b] = [new Generator(), new Generator()].map((source) =>
      play(source, 30).map(({ kind, ways, fate }) => `${kind} ${ways} ${fate}`),
    );
    expect(a).toEqual(b);
    expect(a!.length).toBeGreaterThan(80);
  });

  it("changes the MAC addresses of a frame and nothing else", () => {
    const forwarded = play(new Generator(), 30).filter(({ after }) => after !== undefined);
    expect(forwarded.length).toBeGreaterThan(30);
    for (const { before, after } of forwarded) expect(after!.subarray(12)).toEqual(before.subarray(12));
  });

  it("is explained with the verdict that the frame then got", () => {
    const source = new Generator();
    source.setWeight(SERVICE, RS2, 0);
    const received = play(source, 40).filter(({ explanation, late }) => explanation !== undefined && !late);
    expect(received.length).toBeGreaterThan(60);
    for (const { verdict, explanation, server } of received) {
      expect(explanation!.verdict.name).toBe(verdict);
      if (explanation!.scheduling?.chose) expect(explanation!.scheduling.chose.address).toBe(server);
    }
  });

  it("waits for ARP at first, and every frame that waited goes on", () => {
    const heard = play(new Generator(), 20);
    const waits = heard.filter(({ fate }) => fate === "waits");
    expect(waits.length).toBeGreaterThan(0);
    expect(heard.filter(({ late, fate }) => late && fate === "arrived")).toHaveLength(waits.length);
  });

  it("received = Σ verdicts, at any moment", () => {
    const source = new Generator();
    for (let i = 0; i < 60; i++) {
      play(source, 0.5);
      const { received, verdicts } = source.picture();
      expect(Object.values(verdicts).reduce((sum, count) => sum + count, 0)).toBe(received);
    }
  });

  it("follows the weights under wrr", () => {
    const source = new Generator();
    source.setSpeed("fast");
    play(source, 60);
    const { rs1, rs2, rs3 } = made(source);
    expect(rs1! + rs2! + rs3!).toBeGreaterThan(60);
    expect(Math.abs(rs2! - 2 * rs1!)).toBeLessThanOrEqual(3);
    expect(Math.abs(rs3! - 3 * rs1!)).toBeLessThanOrEqual(4);
  });

  it("gives a quiesced real server no new connection, and lets the old ones go on", () => {
    const source = new Generator();
    play(source, 12);
    source.setWeight(SERVICE, RS2, 0);
    const before = made(source).rs2;
    const later = play(source, 30);
    expect(made(source).rs2).toBe(before);
    expect(
      later.filter(({ server, opens, kind }) => server === RS2 && !opens && kind === "request").length,
    ).toBeGreaterThan(0);
  });

  it("steps exactly one frame", () => {
    const source = new Generator();
    source.setPaused(true);
    const heard: Frame[] = [];
    source.onFrame = (frame) => void heard.push(frame);
    source.advance(5000);
    expect(heard).toHaveLength(0);
    for (let step = 1; step <= 25; step++) {
      source.step();
      expect(heard).toHaveLength(step);
    }
  });

  it("passes ten thousand frames a second and tells of fourteen", () => {
    const source = new Generator();
    play(source, 6);
    source.setSpeed("flood");
    const before = source.picture();
    const heard = play(source, 2);
    const after = source.picture();
    expect(after.received - before.received).toBeGreaterThan(19_000);
    expect(heard.length).toBeLessThan(60);
    expect(after.frames).toBeGreaterThan(after.told * 100);
  });
});

describe("a fault of the page", () => {
  const broken = (name: string, address?: string) => {
    const source = new Generator();
    play(source, 10);
    source.setFault(name, address, true);
    return source;
  };

  it("vip-missing: the real server throws the packets away", () => {
    const heard = play(broken("vip-missing", RS2), 20);
    const toRs2 = heard.filter(({ kind, server }) => kind === "request" && server === RS2);
    expect(new Set(toRs2.map(({ fate }) => fate))).toEqual(new Set(["lost.vip"]));
  });

  it("dead-server: it refuses, and the director goes on sending", () => {
    const source = broken("dead-server", RS2);
    play(source, 40);
    const heard = play(source, 20);
    expect(heard.some(({ kind, server, opens }) => kind === "request" && server === RS2 && opens)).toBe(true);
    expect(
      heard
        .filter(({ kind, server }) => kind === "answer" && server === RS2)
        .every(({ before }) => (before[47]! & 0x04) !== 0),
    ).toBe(true);
  });

  it("neighbour-unresolved: the director notices by ARP, and gives frames up", () => {
    const source = broken("neighbour-unresolved", RS2);
    play(source, 60);
    expect(source.picture().neighbours.find(({ address }) => address === RS2)!.state).toMatch(
      /incomplete|failed/,
    );
    expect(source.picture().verdicts.NeighbourFailed).toBeGreaterThan(0);
    source.setFault("neighbour-unresolved", RS2, false);
    const heard = play(source, 20);
    // The frame that finds it failed is given up, and asks for it at once: the next one goes on.
    const refused = heard.filter(({ verdict, late }) => verdict === "NeighbourFailed" && !late);
    const asked = heard.filter(({ kind, server }) => kind === "arp" && server === RS2);
    expect(refused.length).toBeGreaterThan(0);
    expect(asked.map(({ time }) => time)).toContain(refused[0]!.time);
    expect(source.picture().neighbours.find(({ address }) => address === RS2)!.state).toMatch(
      /reachable|stale/,
    );
  });

  it("arp-leak: frames go past the director, until the router has asked anew", () => {
    const source = broken("arp-leak", RS2);
    play(source, 4);
    const before = source.picture().received;
    const heard = play(source, 15).filter(({ kind }) => kind === "request");
    expect(new Set(heard.map(({ fate }) => fate))).toEqual(new Set(["bypass"]));
    expect(source.picture().received).toBe(before);
    source.setFault("arp-leak", RS2, false);
    play(source, 4);
    expect(play(source, 15).some(({ fate }) => fate === "bypass")).toBe(false);
  });

  it("mac-change: frames are lost until the director has asked again, which it does by itself", () => {
    const source = broken("mac-change", RS2);
    expect(play(source, 15).some(({ fate }) => fate === "lost.mac")).toBe(true);
    play(source, 90);
    expect(play(source, 20).some(({ fate }) => fate === "lost.mac")).toBe(false);
  });

  it("mac-moves: answers end at the director", () => {
    const heard = play(broken("mac-moves"), 15);
    const astray = heard.filter(({ fate }) => fate === "lost.port");
    expect(astray.length).toBeGreaterThan(0);
    expect(astray.every(({ verdict }) => verdict === "OtherHost")).toBe(true);
  });
});

describe("a recording", () => {
  const lab = () =>
    new Recording(new Uint8Array(readFileSync(new URL("../../web/recording.pcap", import.meta.url))), "");

  it("from the lab is read: who is who, and a choice anew for each connection", () => {
    const source = lab();
    const heard = play(source, 400);
    expect(source.picture().services[0]).toMatchObject({ name: SERVICE, scheduler: "rr" });
    expect(Object.values(made(source))).toEqual([6, 6, 5].map(() => expect.any(Number)));
    const counts = Object.values(made(source));
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    expect(heard.filter(({ kind }) => kind === "answer").length).toBeGreaterThan(50);
    expect(source.step()).toBe(false);
  });

  it("is decided by the scheduler that is chosen here", () => {
    const source = lab();
    source.setScheduler(SERVICE, "fo");
    source.setWeight(SERVICE, RS2, 9);
    play(source, 400);
    expect(made(source)).toMatchObject({ rs1: 0, rs3: 0 });
  });

  const capture = (...frames: Uint8Array[]) =>
    concat([
      pcapHeader(),
      ...frames.map((bytes, i) => pcapRecord({ seconds: 5, nanoseconds: i * 1e6, bytes })),
    ]);

  it("without any real server gets three", () => {
    const syn = (port: number) =>
      tcpFrame({ source: 1e9, destination: 2e9, sourcePort: port, destinationPort: 443, flags: 2 });
    const source = new Recording(capture(syn(1), syn(2), syn(3)), "x");
    play(source, 5);
    expect(Object.values(made(source))).toEqual([1, 1, 1]);
  });

  const [client, rs] = [parseMac("00:1b:21:0c:0d:0e")!, ["00:25:90:aa:00:01", "00:25:90:aa:00:02"]];
  const [vip, director] = [2e9, parseMac("00:1b:21:00:00:01")!];
  const request = (port: number, sourceMac: Mac, destinationMac: Mac) =>
    tcpFrame({
      source: 1e9,
      destination: vip,
      sourcePort: port,
      destinationPort: 80,
      sourceMac,
      destinationMac,
      flags: 2,
    });
  const answer = (port: number, sourceMac: Mac) =>
    tcpFrame({
      source: vip,
      destination: 1e9,
      sourcePort: 80,
      destinationPort: port,
      sourceMac,
      destinationMac: client,
      flags: 0x12,
    });
  const shown = (source: Recording) => ({
    hosts: source.picture().services[0]!.servers.map(({ name, shown }) => `${name} ${shown}`),
    macs: source.picture().neighbours.map(({ mac }) => mac),
  });

  it("of any network: the real servers are those of its forwarded frames, with their own MACs", () => {
    const relayed = rs.flatMap((mac, i) => [
      request(i + 1, client, director),
      request(i + 1, director, parseMac(mac)!),
    ]);
    const arp = new Uint8Array(60);
    writeReply(new DataView(arp.buffer), 0, parseMac(rs[1]!)!, 0xc0a80117, director, 0xc0a80101);
    const source = new Recording(capture(...relayed, arp), "x");
    expect(shown(source)).toEqual({ hosts: [`rs1 ${rs[0]}`, "rs2 192.168.1.23"], macs: rs });
    const after = play(source, 5).find((frame) => frame.after !== undefined)!.after!;
    expect(after.subarray(0, 6)).toEqual(relayed[3]!.subarray(0, 6));
  });

  it("without the director's own frames: the real servers are those who answer", () => {
    const frames = rs.flatMap((mac, i) => [request(i + 1, client, director), answer(i + 1, parseMac(mac)!)]);
    const source = new Recording(capture(...frames), "x");
    expect(shown(source).macs).toEqual(rs);
    // The list is gone through from its head, where the last one added stands: rs2 comes first.
    const answers = play(source, 9).filter(({ kind }) => kind === "answer");
    expect(answers.map(({ server, recordedFrom }) => [server, recordedFrom])).toEqual([
      ["192.0.2.2", "rs1"],
      ["192.0.2.1", "rs2"],
    ]);
  });

  it("a MAC that begins as the lab's do is no address of the lab", () => {
    const source = new Recording(
      capture(request(1, client, director), request(1, director, parseMac("02:00:5e:10:00:01")!)),
      "x",
    );
    expect(shown(source).hosts).toEqual(["rs1 02:00:5e:10:00:01"]);
  });

  it("of UDP, of IPv6", () => {
    const six = { source: [0xfd000000, 0, 0, 1], destination: [0xfd000000, 0, 0, 0x64] } as const;
    const source = new Recording(capture(udpFrame({ ...six, sourcePort: 9, destinationPort: 53 })), "x");
    play(source, 5);
    expect(source.picture().services[0]!.name).toBe("udp [fd00::64]:53");
    expect(source.picture().verdicts.Forwarded).toBe(1);
  });

  it("with nothing to direct is refused", () => {
    expect(() => new Recording(capture(new Uint8Array(60)), "x")).toThrow(EmptyCapture);
  });
});
