import { beforeEach, describe, expect, it } from "vitest";
import { listMarks, type MarkRule, setMarks } from "../../src/control/marks.ts";
import { generation } from "../../src/table/generation.ts";
import { MAX_MARK_RULES } from "../../src/table/marks.ts";
import { Header } from "../../src/table/region.ts";
import { parseIpv4, parseIpv6 } from "../../src/wire/address.ts";
import { tcpFrame } from "../../src/wire/frame.ts";
import { DIRECTOR_MAC, ROUTER_MAC, VIP, World } from "../dataplane/world.ts";

let world: World;
const rules: MarkRule[] = [
  { mark: 1, protocol: "tcp", destination: "198.51.100.0/24", ports: [0, 65535] },
  { mark: 4294967295, protocol: "udp", destination: "10.0.0.100/32", ports: [53, 53] },
  { mark: 7, protocol: "any", destination: "2001:db8::/32", ports: [8000, 8999] },
];

beforeEach(() => {
  world = new World();
});

/** How many frames a SYN to this address and port brings out. */
function forwarded(destination: string, port: number, flags = 0x02): number {
  const six = destination.includes(":");
  return world.send(
    tcpFrame({
      source: six ? parseIpv6("2001:db8:9::1")! : parseIpv4("10.9.0.1")!,
      destination: six ? parseIpv6(destination)! : parseIpv4(destination)!,
      sourceMac: ROUTER_MAC,
      destinationMac: DIRECTOR_MAC,
      sourcePort: 1000 + port,
      destinationPort: port,
      flags,
    }),
  ).length;
}

describe("mark rules", () => {
  it("are listed as they were set", () => {
    setMarks(world.region, rules);
    expect(listMarks(world.region)).toEqual(rules);
    setMarks(world.region, rules.slice(1));
    expect(listMarks(world.region)).toEqual(rules.slice(1));
  });

  it("lead to the service of their mark, whatever address and port in them", () => {
    world.commands.execute({
      kind: "addService",
      service: {
        key: { protocol: "fwm", family: 4, address: "0.0.0.0", port: 0, mark: 1 },
        scheduler: "rr",
        flags: 0,
        persistence: 0,
        netmask: "255.255.255.255",
        onePacket: false,
      },
    });
    world.commands.execute({
      kind: "addServer",
      service: { protocol: "fwm", family: 4, address: "0.0.0.0", port: 0, mark: 1 },
      server: { address: "10.0.0.11", port: 0, weight: 1, method: "route", upper: 0, lower: 0 },
    });
    expect(forwarded("198.51.100.7", 80)).toBe(0);
    setMarks(world.region, [{ mark: 1, protocol: "tcp", destination: "198.51.100.0/24", ports: [80, 443] }]);
    expect(forwarded("198.51.100.7", 80)).toBe(1);
    expect(forwarded("198.51.100.255", 443)).toBe(1);
    expect(forwarded("198.51.100.7", 79)).toBe(0);
    expect(forwarded("198.51.100.7", 444)).toBe(0);
    expect(forwarded("198.51.101.7", 80)).toBe(0);
    setMarks(world.region, []);
    expect(forwarded("198.51.100.8", 81)).toBe(0);
  });

  it("of several that match, the last one counts; a mark without a service changes nothing", () => {
    const both: MarkRule[] = [
      { mark: 1, protocol: "any", destination: VIP, ports: [0, 65535] },
      { mark: 2, protocol: "tcp", destination: VIP, ports: [80, 80] },
    ];
    setMarks(world.region, both);
    expect(forwarded(VIP, 80)).toBe(1);
  });

  it("that make no sense are refused and change nothing", () => {
    setMarks(world.region, rules);
    const before = generation(world.region.header, Header.Generation);
    const rule = rules[0]!;
    for (const bad of [
      { ...rule, mark: 0 },
      { ...rule, mark: 2 ** 32 },
      { ...rule, mark: 1.5 },
      { ...rule, destination: "198.51.100.0/33" },
      { ...rule, destination: "nowhere" },
      { ...rule, ports: [5, 4] as const },
      { ...rule, ports: [0, 65536] as const },
      { ...rule, protocol: "icmp" as "tcp" },
    ]) {
      expect(() => setMarks(world.region, [rule, bad]), JSON.stringify(bad)).toThrow(
        expect.objectContaining({ code: "EINVAL" }),
      );
    }
    const many = Array.from({ length: MAX_MARK_RULES + 1 }, () => rule);
    expect(() => setMarks(world.region, many)).toThrow(expect.objectContaining({ code: "ENOMEM" }));
    expect(listMarks(world.region)).toEqual(rules);
    expect(generation(world.region.header, Header.Generation)).toBe(before);
  });
});
