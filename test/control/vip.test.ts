import { describe, expect, test } from "vitest";
import { type VipEvent, VipKeeper } from "../../src/control/vip.ts";
import { PLACE_VIPS } from "../../src/table/place.ts";
import { createRegion, DEFAULT_SIZES, regionBytes } from "../../src/table/region.ts";
import { formatIpv4, formatMac, type Mac, parseIpv4, parseMac } from "../../src/wire/address.ts";
import { ArpOperation } from "../../src/wire/arp.ts";

const ip = (text: string): number => parseIpv4(text)!;
const mac = (text: string): Mac => parseMac(text)!;
const OURS = mac("02:00:00:00:00:01");
const CLIENT = mac("02:00:00:00:00:aa");
const RIVAL = mac("02:00:00:00:00:bb");
const VIP = "10.0.0.100";

function keeper(onHost: string[] = []) {
  const sizes = {
    ...DEFAULT_SIZES,
    services: 4,
    destinations: 16,
    connections: 16,
    templates: 16,
    neighbours: 8,
  };
  const region = createRegion(new ArrayBuffer(regionBytes(sizes)), sizes, 1, 0);
  const sent: string[] = [];
  const events: VipEvent[] = [];
  const link = {
    mac: OURS,
    answer: (vip: number, asker: Mac) => void sent.push(`${formatIpv4(vip)} to ${formatMac(asker)}`),
    announce: (vip: number) => void sent.push(`${formatIpv4(vip)} to all`),
  };
  const vips = new VipKeeper(region, link, {
    isLocal: (words) => onHost.includes(formatIpv4(words[3])),
    wake: () => {},
    event: (event) => events.push(event),
  });
  const ask = (target: string, now: number, from = CLIENT, senderIp = ip("10.0.0.1")) =>
    vips.heard(
      {
        operation: ArpOperation.Request,
        senderMac: from,
        senderIp,
        targetMac: { hi: 0, lo: 0 },
        targetIp: ip(target),
      },
      now,
    );
  return { region, vips, sent, events, ask };
}

describe("an owned virtual address", () => {
  test("is announced three times when it becomes active, and answered for", () => {
    const v = keeper();
    v.vips.configure([{ address: VIP, own: true, active: true }], 0);
    for (let now = 0; now <= 10_000; now += 100) v.vips.tend(now);
    expect(v.sent).toEqual(["10.0.0.100 to all", "10.0.0.100 to all", "10.0.0.100 to all"]);
    v.ask(VIP, 10_000);
    expect(v.sent.at(-1)).toBe("10.0.0.100 to 02:00:00:00:00:aa");
  });

  test("on standby is neither answered for nor announced, until it is activated", () => {
    const v = keeper();
    v.vips.configure([{ address: VIP, own: true, active: false }], 0);
    v.vips.tend(5_000);
    v.ask(VIP, 5_000);
    expect(v.sent).toEqual([]);
    expect(v.region.place.counts[PLACE_VIPS]).toBe(0);
    expect(v.vips.setActive(VIP, true, 6_000)).toBe(true);
    v.ask(VIP, 6_001);
    expect(v.sent).toEqual(["10.0.0.100 to all", "10.0.0.100 to 02:00:00:00:00:aa"]);
    expect([...v.region.place.vips.slice(0, 4)]).toEqual([0, 0, 0xffff, ip(VIP)]);
    v.vips.setActive(VIP, false, 6_002);
    v.vips.tend(20_000);
    v.ask(VIP, 20_000);
    expect(v.sent.length).toBe(2);
    expect(v.events.map((event) => event.kind)).toEqual(["activated", "deactivated"]);
  });

  test("that the host's own stack has is left to the kernel", () => {
    const v = keeper([VIP]);
    v.vips.configure([{ address: VIP, own: true, active: true }], 0);
    v.vips.tend(9_000);
    v.ask(VIP, 9_000);
    expect(v.sent).toEqual([]);
    expect(v.vips.list()[0]?.onHost).toBe(true);
  });

  test("others' addresses and VIPs that a router sends here are not answered for", () => {
    const v = keeper();
    v.vips.configure([{ address: VIP, own: false, active: true }], 0);
    v.ask(VIP, 1);
    v.ask("10.0.0.7", 1);
    expect(v.sent).toEqual([]);
    expect(v.vips.setActive(VIP, true, 2)).toBe(false);
  });

  test("an address probe (RFC 5227) is answered, so that nobody else takes the VIP", () => {
    const v = keeper();
    v.vips.configure([{ address: VIP, own: true, active: true }], 0);
    v.ask(VIP, 100, RIVAL, 0);
    expect(v.sent.at(-1)).toBe("10.0.0.100 to 02:00:00:00:00:bb");
  });

  test("claimed by another is an event, and defended at most once in ten seconds", () => {
    const v = keeper();
    v.vips.configure([{ address: VIP, own: true, active: true }], 0);
    for (let now = 100; now < 10_000; now += 100) v.ask(VIP, now, RIVAL, ip(VIP));
    expect(v.events.at(-1)).toEqual({ kind: "conflict", address: VIP, mac: "02:00:00:00:00:bb" });
    expect(v.events.length).toBe(2);
    expect(v.sent.length).toBe(2);
    expect(v.vips.list()[0]?.conflicts).toBe(99);
    v.ask(VIP, 10_200, RIVAL, ip(VIP));
    expect(v.sent.length).toBe(3);
  });

  test("our own announcement heard back is no conflict", () => {
    const v = keeper();
    v.vips.configure([{ address: VIP, own: true, active: true }], 0);
    v.ask(VIP, 100, OURS, ip(VIP));
    expect(v.events.length).toBe(1);
  });

  test("that stays in the list keeps its state; one that leaves is given up", () => {
    const v = keeper();
    const both = [
      { address: VIP, own: true, active: true },
      { address: "10.0.0.101", own: true, active: true },
    ];
    v.vips.configure(both, 0);
    v.vips.setActive(VIP, false, 10);
    v.vips.configure([both[0]!], 20);
    expect(v.vips.list()).toMatchObject([{ address: VIP, active: false }]);
    v.ask("10.0.0.101", 30);
    expect(v.sent.filter((line) => line.includes("101 to 02"))).toEqual([]);
    expect(v.events.at(-1)).toEqual({ kind: "deactivated", address: "10.0.0.101" });
  });
});
