/** The doctor's judgement, held to what was seen: one cause is one finding, and its consequences are none. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { defaultConfig, parseConfig } from "../../src/control/config.ts";
import { parseRoutes, routeTo } from "../../src/control/doctor/host.ts";
import { judge } from "../../src/control/doctor/judge.ts";
import { wrap } from "../../src/control/doctor/lines.ts";
import type { HostSeen, Observations, ServerSeen } from "../../src/control/doctor/observations.ts";
import { number4, type Patient, patientOf, type Running } from "../../src/control/doctor/patient.ts";
import {
  echoRequest,
  emptyDatagram,
  readAnswer,
  tcpSegment,
  type Way,
} from "../../src/control/doctor/probes.ts";
import { formatIpv4 } from "../../src/wire/address.ts";
import { checksum, pseudoHeaderSum } from "../../src/wire/checksum.ts";
import { checksumIsRight } from "../../src/wire/ipv4.ts";
import { summarizeFrame } from "../../src/wire/value/frame.ts";

const VIP = "10.0.0.100";
const RIP = "10.0.0.11";
const [OURS, RS1, RS2, ROUTER, STRANGER] = ["02", "0b", "0c", "01", "63"].map(
  (last) => `02:00:0a:00:00:${last}`,
);

const patient: Patient = {
  interfaceName: "eth0",
  running: true,
  silence: "auto",
  sourceMac: "interface",
  peers: [],
  vips: [{ address: VIP, active: true }],
  servers: [],
  leftOut: [],
};
const host: HostSeen = {
  lacks: [],
  linkTrouble: "",
  dip: "10.0.0.2",
  mac: OURS!,
  mtu: 1500,
  vipsOnHost: [],
  forwards: false,
  silenced: true,
  joins: false,
  gatewayMac: ROUTER!,
};
const well: ServerSeen = {
  rip: RIP,
  macs: [RS1!],
  mac: RS1!,
  heldMac: RS1!,
  onLink: true,
  echo: true,
  vips: [{ vip: VIP, echo: true, ports: [{ protocol: 6, port: 80, answer: "open" }] }],
  answersFarSender: true,
  mss: 1460,
  largest: 1500,
  lost: 0,
};
const vipSeen = (answer: "open" | "closed" | "silent", echo: boolean, protocol = 6) => [
  { vip: VIP, echo, ports: [{ protocol, port: 80, answer }] },
];

interface Change {
  patient?: Partial<Patient>;
  host?: Partial<HostSeen>;
  server?: Partial<ServerSeen>;
  rest?: Partial<Observations>;
}

function faults(change: Change): string[] {
  const observations: Observations = {
    host: { ...host, ...change.host },
    servers: [{ ...well, ...change.server }],
    vips: [{ vip: VIP, active: true, macs: [] }],
    strays: [],
    ourMacElsewhere: [],
    ...change.rest,
  };
  return judge({ ...patient, ...change.patient }, observations).map(
    ({ fault, subject }) => `${fault} ${subject}`,
  );
}
const vips = (active: boolean, ...macs: string[]) => ({ vips: [{ vip: VIP, active, macs }] });
/** Nobody knows where it is: no questions were sent. */
const lost: Partial<ServerSeen> = {
  macs: [],
  mac: undefined as never,
  echo: false,
  vips: vipSeen("silent", false),
};
const second: ServerSeen = { ...well, rip: "10.0.0.12", macs: [RS2!], mac: RS2!, heldMac: RS2! };

const CASES: [string, Change, string[]][] = [
  ["nothing wrong", {}, []],
  // the host
  [
    "no CAP_NET_RAW: that alone",
    { host: { lacks: ["CAP_NET_RAW"], linkTrouble: "down" } },
    ["no-capability the director"],
  ],
  ["the interface is down", { host: { linkTrouble: "interface eth0 is down" } }, ["no-link eth0"]],
  ["no address but VIPs", { host: { dip: "" } }, ["no-link eth0"]],
  ["the VIP on the host, silenced", { host: { vipsOnHost: [VIP] } }, []],
  [
    "the VIP on the host, not silenced",
    { host: { vipsOnHost: [VIP], silenced: false } },
    ["host-answers the director"],
  ],
  ["forwarding, silenced", { host: { forwards: true } }, []],
  ["forwarding, not silenced", { host: { forwards: true, silenced: false } }, ["host-answers the director"]],
  ["no rule, and nothing that could answer", { host: { silenced: false } }, []],
  [
    "no rule yet, for no director runs",
    { host: { silenced: false, vipsOnHost: [VIP] }, patient: { running: false } },
    [],
  ],
  [
    "none will come",
    { host: { silenced: false, vipsOnHost: [VIP] }, patient: { running: false, silence: "off" } },
    ["host-answers the director"],
  ],
  ["the rule could not be asked for", { host: { silenced: undefined, vipsOnHost: [VIP] } }, []],
  ["the card joins segments (LRO)", { host: { joins: true } }, ["offload eth0"]],
  ["offloads could not be asked for", { host: { joins: undefined } }, []],
  // who is where
  ["no ARP answer", { server: lost }, [`neighbour-unresolved ${RIP}`]],
  ["no ARP answer, and no route on the link", { server: { ...lost, onLink: false } }, [`off-link ${RIP}`]],
  ["routed elsewhere, but it answers ARP", { server: { onLink: false } }, []],
  [
    "proxy ARP by the router",
    { server: { macs: [ROUTER!], mac: ROUTER!, heldMac: ROUTER! } },
    [`off-link ${RIP}`],
  ],
  ["the director holds another MAC", { server: { heldMac: RS2! } }, [`mac-change ${RIP}`]],
  ["the config fixes another MAC", { server: { fixedMac: RS2! } }, [`mac-change ${RIP}`]],
  ["the fixed MAC counts, not what is held", { server: { fixedMac: RS1!, heldMac: RS2! } }, []],
  [
    "silent to ARP, but its MAC is fixed",
    { server: { macs: [], fixedMac: RS1!, answersFarSender: false } },
    [],
  ],
  [
    "two answer for one RIP, and the one that was looked at is the wrong one",
    { server: { macs: [STRANGER!, RS1!], mac: STRANGER!, heldMac: RS2!, vips: vipSeen("silent", false) } },
    [`rip-twice ${RIP}`],
  ],
  ["two answer for one RIP", { server: { macs: [RS1!, STRANGER!] } }, [`rip-twice ${RIP}`]],
  // the services
  ["nothing in the VIP's name", { server: { vips: vipSeen("silent", false) } }, [`vip-missing ${RIP}`]],
  ["no ping, but the port answers", { server: { vips: vipSeen("open", false) } }, []],
  ["the port refuses", { server: { vips: vipSeen("closed", true) } }, [`dead-server ${RIP}`]],
  [
    "a reset shows that the VIP is there",
    { server: { vips: vipSeen("closed", false) } },
    [`dead-server ${RIP}`],
  ],
  [
    "the host answers, its port does not",
    { server: { vips: vipSeen("silent", true) } },
    [`dead-server ${RIP}`],
  ],
  ["a silent UDP port may be well", { server: { vips: vipSeen("silent", true, 17) } }, []],
  ["a UDP port that is closed", { server: { vips: vipSeen("closed", true, 17) } }, [`dead-server ${RIP}`]],
  // who has the VIP
  ["a real server answers for it", { rest: vips(true, RS1!) }, [`arp-leak ${RIP}`]],
  ["a stranger answers for it", { rest: vips(true, STRANGER!) }, [`vip-twice ${VIP}`]],
  [
    "a peer answers while we are active",
    { rest: vips(true, STRANGER!), patient: { peers: [STRANGER!] } },
    [`vip-twice ${VIP}`],
  ],
  ["a peer answers while we stand by", { rest: vips(false, STRANGER!), patient: { peers: [STRANGER!] } }, []],
  // the ways
  ["no answer to a sender far away", { server: { answersFarSender: false } }, [`rp-filter ${RIP}`]],
  ["an answer came through us", { server: { answersThroughUs: "10.7.0.10" } }, [`wrong-gateway ${RIP}`]],
  [
    "preserve, to one station alone",
    { patient: { sourceMac: "preserve" }, host: { gatewayMac: undefined as never } },
    [],
  ],
  ["preserve, behind a switch", { patient: { sourceMac: "preserve" } }, ["mac-moves the director"]],
  [
    "others' frames at our port",
    { rest: { strays: [{ mac: ROUTER!, frames: 3 }] } },
    [`mac-moves ${ROUTER}`],
  ],
  ["our MAC speaks elsewhere", { rest: { ourMacElsewhere: ["10.0.0.9"] } }, [`mac-moves ${OURS}`]],
  // sizes
  ["lost on the way", { server: { largest: 1400, lost: 1401 } }, [`narrow-mtu ${RIP}`]],
  ["lost on the way, MSS unknown", { server: { mss: 0, largest: 1400, lost: 1401 } }, [`narrow-mtu ${RIP}`]],
  ["it knows its MTU of 1400", { server: { mss: 1360, largest: 1404, lost: 1405 } }, [`mtu-mismatch ${RIP}`]],
  ["an MSS clamped on purpose, all sizes pass", { server: { mss: 1360 } }, []],
  ["it believes in 9000", { server: { mss: 8960 } }, [`mtu-mismatch ${RIP}`]],
  ["ping is filtered: nothing known of sizes", { server: { echo: false, largest: 0, lost: 0 } }, []],
  // two at once
  [
    "two faults of two real servers",
    {
      server: { vips: vipSeen("silent", false) },
      rest: {
        servers: [
          { ...well, vips: vipSeen("silent", false) },
          { ...second, mss: 8960 },
        ],
      },
    },
    [`vip-missing ${RIP}`, "mtu-mismatch 10.0.0.12"],
  ],
];

describe("judgement", () => {
  test.each(CASES)("%s", (_what, change, expected) => {
    expect(faults(change)).toEqual(expected);
  });

  test("every finding has something to type", () => {
    for (const [, change] of CASES) {
      const observations = {
        host: { ...host, ...change.host },
        servers: [{ ...well, ...change.server }],
        vips: [],
        strays: [],
        ourMacElsewhere: [],
        ...change.rest,
      };
      for (const { says, seen, cure } of judge({ ...patient, ...change.patient }, observations)) {
        expect(says).toMatch(/^[A-Z0-9`].*\.$/);
        expect(seen).not.toMatch(/undefined|NaN/);
        expect(cure.flatMap(({ commands }) => commands).length).toBeGreaterThan(0);
      }
    }
  });
});

const way: Way = {
  from: { hi: 0x0200, lo: 0x0a000002 },
  to: { hi: 0x0200, lo: 0x0a00000b },
  source: number4("10.0.0.2"),
  destination: number4(VIP),
};
const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

describe("the frames that ask", () => {
  test("are what an independent reader says they are", () => {
    expect(summarizeFrame(echoRequest(way, 7, 9))).toMatch(
      /^IPv4 10.0.0.2 → 10.0.0.100, ICMP, ttl 64 \| ICMP echo request/,
    );
    expect(summarizeFrame(tcpSegment(way, 40_000, 80, 2, 5))).toContain("TCP 40000 → 80, SYN, sequence 5");
    expect(summarizeFrame(emptyDatagram(way, 40_000, 53))).toContain("UDP 40000 → 53");
  });

  test("have the size that was asked for and right checksums, whatever the size", () => {
    fc.assert(
      fc.property(fc.integer({ min: 28, max: 9000 }), fc.nat(0xffff), (size, sequence) => {
        const frame = viewOf(echoRequest(way, 1, sequence, size));
        expect(frame.byteLength).toBe(14 + size);
        expect(checksumIsRight(frame, 14)).toBe(true);
        expect(checksum(frame, 34, size - 20)).toBe(0);
      }),
    );
    const syn = viewOf(tcpSegment(way, 40_000, 80, 2, 5));
    expect(checksum(syn, 34, 20, pseudoHeaderSum(way.source, way.destination, 6, 20))).toBe(0);
  });

  test("the answers are read by what they say: echo, SYN+ACK with its MSS, RST, port unreachable", () => {
    const reply = viewOf(echoRequest(way, 7, 9));
    reply.setUint8(34, 0);
    expect(readAnswer(reply, reply.byteLength)).toEqual({
      kind: "echo",
      identifier: 7,
      sequence: 9,
      cut: false,
    });
    expect(readAnswer(viewOf(echoRequest(way, 7, 9)), 70)).toBeUndefined(); // a request is no answer

    const accepted = new Uint8Array(58);
    accepted.set(tcpSegment(way, 80, 40_000, 0x12, 5));
    accepted.set([0x02, 0x04, 0x05, 0xb4], 54);
    accepted[46] = 6 << 4;
    expect(readAnswer(viewOf(accepted), 58)).toEqual({ kind: "open", port: 40_000, mss: 1460 });
    expect(readAnswer(viewOf(tcpSegment(way, 80, 40_000, 0x14, 0)), 54)).toEqual({
      kind: "closed",
      port: 40_000,
    });
    expect(readAnswer(viewOf(tcpSegment(way, 80, 40_000, 0x10, 0)), 54)).toBeUndefined();

    const asked = emptyDatagram(way, 40_001, 53).subarray(14);
    const unreachable = new Uint8Array(42 + asked.length);
    unreachable.set(echoRequest(way, 0, 0, 28));
    unreachable.set([3, 3], 34);
    unreachable.set(asked, 42);
    expect(readAnswer(viewOf(unreachable), unreachable.length)).toEqual({ kind: "closed", port: 40_001 });
  });

  test("any bytes at all are read without an error", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (noise) => {
        const frame = new Uint8Array(14 + noise.length);
        frame.set(noise, 14);
        readAnswer(viewOf(frame), frame.length);
      }),
    );
  });
});

// As the kernel prints it: default via 10.0.0.1, 10.0.0.0/24 on the link, one host beyond another interface.
const ROUTES = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
eth1\t0900000A\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0
`;

test("the host's routes: the longest mask wins", () => {
  const routes = parseRoutes(ROUTES);
  const gateway = (address: string): string => formatIpv4(routeTo(routes, number4(address))!.gateway);
  expect(gateway("10.7.0.50")).toBe("10.0.0.1");
  expect(gateway("10.0.0.11")).toBe("0.0.0.0");
  expect(routeTo(routes, number4("10.0.0.9"))!.device).toBe("eth1");
  expect(routeTo([], 1)).toBeUndefined();
});

describe("whom it examines", () => {
  const config = parseConfig(
    JSON.stringify({
      interface: "eth0",
      vips: [{ address: VIP }, { address: "10.0.0.101", active: false }],
      marks: [
        { mark: 5, network: "10.0.0.102/32" },
        { mark: 5, network: "10.1.0.0/16" },
      ],
      services: [
        {
          protocol: "tcp",
          address: VIP,
          port: 80,
          servers: [
            { address: RIP, mac: "02-00-0A-00-00-0B" },
            { address: "10.0.0.12", weight: 0 },
          ],
        },
        { protocol: "udp", address: VIP, port: 53, servers: [{ address: RIP }] },
        { protocol: "fwm", mark: 5, servers: [{ address: RIP }] },
        { protocol: "tcp", address: "fd00::1", port: 80, servers: [{ address: "fd00::2" }] },
      ],
    }),
    "test.yaml",
  );

  test("each real server once, with every VIP and port it serves; quiesced ones are asked for no port", () => {
    const { servers, vips, leftOut } = patientOf(config, undefined);
    expect(servers.map(({ rip }) => rip)).toEqual([RIP, "10.0.0.12"]);
    expect(servers[0]).toMatchObject({ fixedMac: RS1 });
    expect([...servers[0]!.vips]).toEqual([
      [
        VIP,
        [
          { protocol: 6, port: 80 },
          { protocol: 17, port: 53 },
        ],
      ],
      ["10.0.0.102", []],
    ]);
    expect([...servers[1]!.vips]).toEqual([[VIP, []]]);
    expect(vips).toEqual([
      { address: VIP, active: true },
      { address: "10.0.0.102", active: false },
      { address: "10.0.0.101", active: false },
    ]);
    expect(leftOut.join()).toContain("IPv6");
  });

  test("what a running director says counts before the config", () => {
    const stats = { conns: 0, inPkts: 0, outPkts: 0, inBytes: 0, outBytes: 0 };
    const running = {
      services: [
        {
          key: { protocol: "tcp", family: 4, address: VIP, port: 8080, mark: 0 },
          servers: [{ address: "10.0.0.13", weight: 1, stats }],
        },
      ],
      neighbours: [{ address: "10.0.0.13", state: "reachable", mac: RS2, age: 1, users: 1 }],
      vips: [{ address: VIP, own: true, active: false, onHost: false, conflicts: 0 }],
    } as unknown as Running;
    const { servers, vips } = patientOf(config, running);
    expect(servers).toEqual([
      { rip: "10.0.0.13", vips: new Map([[VIP, [{ protocol: 6, port: 8080 }]]]), heldMac: RS2 },
    ]);
    expect(vips).toEqual([{ address: VIP, active: false }]);
  });

  test("without an interface it asks for one", () => {
    expect(() => patientOf(defaultConfig(), undefined)).toThrow(/--interface/);
    expect(patientOf(defaultConfig(), undefined, "eth7").interfaceName).toBe("eth7");
  });
});

test("text is broken between words and keeps every one of them", () => {
  fc.assert(
    fc.property(fc.array(fc.stringMatching(/^[!-~]{1,90}$/), { minLength: 1, maxLength: 40 }), (words) => {
      const lines = wrap(words.join(" "), "  ");
      expect(lines.flatMap((line) => line.trim().split(" "))).toEqual(words);
      for (const line of lines) expect(line.length <= 78 || !line.trim().includes(" ")).toBe(true);
    }),
  );
});
