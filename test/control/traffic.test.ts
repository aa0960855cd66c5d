import { beforeEach, describe, expect, test } from "vitest";
import { attachCommands, type Commands } from "../../src/control/commands.ts";
import { parseConfig } from "../../src/control/config.ts";
import { toCommands } from "../../src/control/difference.ts";
import { servicesDigest, writeConfig, writeLink } from "../../src/control/region-config.ts";
import { ringFilter, silencedTraffic, takenTraffic } from "../../src/control/traffic.ts";
import { registerBuiltIn } from "../../src/schedulers/built-in.ts";
import { generation } from "../../src/table/generation.ts";
import { PLACE_PEERS, PLACE_VIPS } from "../../src/table/place.ts";
import { createRegion, Header, type Region, regionBytes } from "../../src/table/region.ts";
import { Setting } from "../../src/table/settings.ts";
import { mapped, parseAddress, parseIpv4, parseMac, type Words } from "../../src/wire/address.ts";
import { udpFrame } from "../../src/wire/frame.ts";
import { Protocol } from "../../src/wire/ipv4.ts";
import { runCbpf } from "../wire/cbpf-machine.ts";

const SIZES = { shards: 1, services: 32, destinations: 64, connections: 16, templates: 16, neighbours: 16 };
const VIP = mapped(parseIpv4("10.0.0.100")!);

let region: Region;
let commands: Commands;

beforeEach(() => {
  registerBuiltIn();
  region = createRegion(new ArrayBuffer(regionBytes(SIZES)), SIZES, 1, 0);
  commands = attachCommands(region, { now: () => 0 });
});

function load(text: string): void {
  const config = parseConfig(text, "d.yaml");
  writeConfig(region, config);
  for (const command of toCommands(config)) expect(commands.execute(command)).toEqual({ ok: true });
}

const services = () =>
  silencedTraffic(region).services.map(({ protocol, address, port }) => [
    protocol,
    (address as Words)[3],
    port,
  ]);

describe("the traffic that the host must not answer", () => {
  test("is exactly the services'", () => {
    load(`services:
  - {address: 10.0.0.100, port: 80}
  - {protocol: udp, address: 10.0.0.101, port: 53}
  - {address: 10.0.0.102, port: 0, persistence: 60}`);
    expect(services()).toEqual([
      [Protocol.Tcp, parseIpv4("10.0.0.100"), 80],
      [Protocol.Udp, parseIpv4("10.0.0.101"), 53],
      [Protocol.Tcp, parseIpv4("10.0.0.102"), 0],
    ]);
    expect(silencedTraffic(region).networks).toEqual([]);
  });

  test("follows when a service goes", () => {
    load("services: [{address: 10.0.0.100, port: 80}]");
    const key = { protocol: "tcp" as const, family: 4 as const, address: "10.0.0.100", port: 80, mark: 0 };
    commands.execute({ kind: "deleteService", service: key });
    expect(services()).toEqual([]);
  });

  test("of a mark is what the mark's rules say: hosts with their ports, networks as a whole", () => {
    load(`services: [{protocol: fwm, mark: 1}, {protocol: fwm, mark: 2}]
marks:
  - {mark: 1, protocol: tcp, network: 10.0.0.100, ports: 80-82}
  - {mark: 2, protocol: udp, network: 10.1.0.0/16}
  - {mark: 9, protocol: tcp, network: 10.9.9.9}`);
    expect(services()).toEqual([80, 81, 82].map((port) => [Protocol.Tcp, parseIpv4("10.0.0.100"), port]));
    expect(silencedTraffic(region).networks).toEqual([
      { protocol: Protocol.Udp, network: { address: mapped(parseIpv4("10.1.0.0")!), prefix: 16 } },
    ]);
  });
});

describe("the rings' filter", () => {
  const takes = (to: string, vips: readonly Words[] = []): boolean => {
    const frame = udpFrame({
      sourceMac: parseMac("02:00:00:00:00:01")!,
      destinationMac: parseMac("02:00:00:00:00:02")!,
      source: parseIpv4("192.0.2.1")!,
      destination: parseIpv4(to)!,
      sourcePort: 1,
      destinationPort: 53,
    });
    return runCbpf(ringFilter(region, vips, []), frame) !== 0;
  };

  test("takes the services' addresses, marked networks and our VIPs, nothing else", () => {
    load(`services: [{address: 10.0.0.100, port: 80}, {protocol: fwm, mark: 2}]
marks: [{mark: 2, network: 10.1.0.0/16}, {mark: 3, network: 10.3.0.0/16}]`);
    expect(["10.0.0.100", "10.1.77.1"].map((to) => takes(to))).toEqual([true, true]);
    expect(["10.0.0.101", "10.3.0.1"].map((to) => takes(to))).toEqual([false, false]);
    expect(takes("10.0.0.200", [mapped(parseIpv4("10.0.0.200")!)])).toBe(true);
  });

  /** The first bytes of a TCP SYN over IPv6, written out (RFC 8200 §3). */
  function takes6(to: string, vips: readonly Words[] = []): boolean {
    const frame = new Uint8Array(74);
    const view = new DataView(frame.buffer);
    view.setUint16(12, 0x86dd);
    view.setUint32(14, 0x6000_0000);
    view.setUint16(18, 20);
    frame.set([6, 64], 20);
    parseAddress(to)!.forEach((word, w) => {
      view.setUint32(38 + 4 * w, word);
    });
    return runCbpf(ringFilter(region, vips, []), frame) !== 0;
  }

  test("takes IPv6 services, marked networks and VIPs of ours likewise", () => {
    load(`services: [{address: "2001:db8::100", port: 80}, {protocol: fwm, mark: 2, family: 6}]
marks: [{mark: 2, network: "2001:db8:1::/48"}, {mark: 3, network: "2001:db8:3::/48"}]`);
    expect(["2001:db8::100", "2001:db8:1:2::3"].map((to) => takes6(to))).toEqual([true, true]);
    expect(["2001:db8::101", "2001:db8:3::3"].map((to) => takes6(to))).toEqual([false, false]);
    expect(takes6("2001:db8::200", [parseAddress("2001:db8::200")!])).toBe(true);
    expect(takes("10.0.0.100")).toBe(false);
  });
});

describe("what the XDP program takes", () => {
  const hex = (keys: readonly Uint8Array[]) => keys.map((key) => Buffer.from(key).toString("hex")).sort();

  test("is the services by address, protocol and port, marked networks whole, and echo to what we answer for", () => {
    load(`services: [{address: 10.0.0.100, port: 80}, {address: "2001:db8::100", port: 443}, {protocol: fwm, mark: 2}]
marks:
  - {mark: 2, protocol: tcp, network: 10.2.2.2, ports: 80-81}
  - {mark: 2, protocol: udp, network: 10.1.0.0/16, ports: "53"}`);
    region.place.vips.set(VIP);
    region.place.counts[PLACE_VIPS] = 1;
    const { services, networks, echo } = takenTraffic(region);
    const v4 = "00000000000000000000ffff";
    expect(hex(services)).toEqual([
      `${v4}0a00006400500600`,
      `${v4}0a02020200500600`,
      `${v4}0a02020200510600`,
      "20010db800000000000000000000010001bb0600",
    ]);
    // 96 + 16 bits, in the machine's order; the program knows no ports of a network.
    expect(hex(networks)).toEqual([`70000000${v4}0a010000`]);
    expect(hex(echo)).toEqual([`${v4}0a00006400000000`]);
  });
});

describe("what a config writes into the region", () => {
  test("settings go back to the kernel's defaults when they are no longer named", () => {
    load("settings: {conn_reuse_mode: 2, expire_nodest_conn: 1}\nttl: decrement\nsourceMac: preserve");
    const read = (...names: (keyof typeof Setting)[]) => names.map((name) => region.settings[Setting[name]]);
    expect(read("conn_reuse_mode", "expire_nodest_conn", "ttl", "source_mac")).toEqual([2, 1, 1, 1]);
    load("");
    expect(read("conn_reuse_mode", "expire_nodest_conn", "ttl", "source_mac")).toEqual([1, 0, 0, 0]);
  });

  test("peers and marks stand there as the shards read them", () => {
    load(
      "peers: ['02:00:00:00:00:aa']\nmarks: [{mark: 5, network: 10.1.2.3/24, ports: 80-90, protocol: tcp}, {mark: 6, network: '2001:db8::/32'}]",
    );
    expect(region.place.counts[PLACE_PEERS]).toBe(1);
    expect([...region.place.peers.slice(0, 2)]).toEqual([0x0200, 0xaa]);
    const { marks } = region;
    expect([
      marks.count[0],
      marks.family[0],
      marks.family[1],
      marks.protocol[0],
      marks.firstPort[0],
      marks.lastPort[0],
    ]).toEqual([2, 4, 6, 6, 80, 90]);
    expect([...marks.network.slice(0, 4)]).toEqual([0, 0, 0xffff, parseIpv4("10.1.2.3")]);
    expect([...marks.mask.slice(0, 4)]).toEqual([0xffffffff, 0xffffffff, 0xffffffff, 0xffffff00]);
    expect([...marks.network.slice(4, 8)]).toEqual([...parseAddress("2001:db8::")!]);
    expect([...marks.mask.slice(4, 8)]).toEqual([0xffffffff, 0, 0, 0]);
  });

  test("the link is told once, and again only when it changed", () => {
    const mac = parseMac("02:00:00:00:00:01")!;
    writeLink(region, mac, 1500, VIP[3]);
    const before = generation(region.header, Header.Generation);
    writeLink(region, mac, 1500, VIP[3]);
    expect(generation(region.header, Header.Generation)).toBe(before);
    writeLink(region, mac, 9000, VIP[3]);
    expect(generation(region.header, Header.Generation)).toBe(before + 2);
    expect(region.settings[Setting.mtu]).toBe(9000);
    expect(region.settings[Setting.dip]! >>> 0).toBe(VIP[3]);
  });

  test("the digest tells lists of services apart, and does not care about the rest", () => {
    const digest = (text: string) => servicesDigest(parseConfig(text, "d.yaml"));
    const web = "services: [{address: 10.0.0.100, port: 80}]";
    expect(digest(web)).toBe(digest(`${web}\nlog: warn`));
    expect(digest(web)).not.toBe(digest("services: [{address: 10.0.0.100, port: 81}]"));
    expect(digest("")).not.toBe(0);
  });
});
