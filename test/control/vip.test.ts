import { describe, expect, test } from "vitest";
import { type VipEvent, VipKeeper } from "../../src/control/vip.ts";
import { PLACE_VIPS } from "../../src/table/place.ts";
import { createRegion, DEFAULT_SIZES, regionBytes } from "../../src/table/region.ts";
import {
  formatAddress,
  formatIpv4,
  formatMac,
  type Mac,
  parseAddress,
  parseIpv4,
  parseMac,
  type Words,
} from "../../src/wire/address.ts";
import { ArpOperation } from "../../src/wire/arp.ts";
import { ANY_ADDRESS, type NdpMessage } from "../../src/wire/ndp.ts";

const ip = (text: string): number => parseIpv4(text)!;
const mac = (text: string): Mac => parseMac(text)!;
const OURS = mac("02:00:00:00:00:01");
const CLIENT = mac("02:00:00:00:00:aa");
const RIVAL = mac("02:00:00:00:00:bb");
const VIP = "10.0.0.100";
const VIP6 = "fd00::100";

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
    answer6: (vip: Words, asker: { mac: Mac; address: Words }) =>
      void sent.push(`${formatAddress(vip)} to ${formatMac(asker.mac)} ${formatAddress(asker.address)}`),
    announce6: (vip: Words) => void sent.push(`${formatAddress(vip)} to all`),
  };
  const vips = new VipKeeper(region, link, {
    isLocal: (words) => onHost.includes(formatAddress(words)),
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
  const heard6 = (message: Partial<NdpMessage>, now: number) =>
    vips.heard6(
      {
        kind: "solicitation",
        source: parseAddress("fe80::1")!,
        target: parseAddress(VIP6)!,
        mac: CLIENT,
        sender: CLIENT,
        solicited: false,
        override: false,
        ...message,
      },
      now,
    );
  return { heard6, region, vips, sent, events, ask };
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

describe("an owned IPv6 address", () => {
  const owned = (onHost: string[] = [], active = true) => {
    const v = keeper(onHost);
    v.vips.configure([{ address: VIP6, own: true, active }], 0);
    return v;
  };

  test("is announced three times, and answered for, to the asker alone", () => {
    const v = owned();
    for (let now = 0; now <= 10_000; now += 100) v.vips.tend(now);
    expect(v.sent).toEqual(["fd00::100 to all", "fd00::100 to all", "fd00::100 to all"]);
    v.heard6({}, 10_000);
    expect(v.sent.at(-1)).toBe("fd00::100 to 02:00:00:00:00:aa fe80::1");
    v.heard6({ target: parseAddress("fd00::101")! }, 10_000);
    expect(v.sent.length).toBe(4);
  });

  test("is defended against one who wants to take it: everybody hears whose it is (RFC 4862 §5.4)", () => {
    const v = owned();
    v.sent.length = 0;
    v.heard6({ source: ANY_ADDRESS, mac: undefined }, 100);
    expect(v.sent).toEqual(["fd00::100 to all"]);
  });

  test("claimed by another is a conflict, and claimed back, at most every ten seconds", () => {
    const v = owned();
    v.sent.length = 0;
    const claim = (now: number) =>
      v.heard6({ kind: "advertisement", mac: RIVAL, sender: RIVAL, override: true }, now);
    claim(5000);
    claim(6000);
    expect(v.sent).toEqual(["fd00::100 to all"]);
    expect(v.events.at(-1)).toEqual({ kind: "conflict", address: "fd00::100", mac: "02:00:00:00:00:bb" });
    expect(v.vips.list()[0]!.conflicts).toBe(2);
    // Our own voice, heard back, is none.
    v.heard6({ kind: "advertisement", mac: OURS, sender: OURS }, 7000);
    expect(v.vips.list()[0]!.conflicts).toBe(2);
  });

  test("is not spoken for while it stands by, nor when the host itself has it", () => {
    for (const v of [owned([], false), owned([VIP6])]) {
      v.sent.length = 0;
      v.heard6({}, 100);
      v.vips.tend(5000);
      expect(v.sent).toEqual([]);
    }
  });
});
