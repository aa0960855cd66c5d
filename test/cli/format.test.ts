import { describe, expect, it } from "vitest";
import {
  connectionLine,
  largeNumber,
  NUMERIC,
  saveLines,
  schedulerFlagNames,
  serviceLines,
} from "../../src/cli/ipvsadm-format.ts";
import { bucketOrder, sortServers, sortServices } from "../../src/cli/ipvsadm-sort.ts";
import {
  type ListFormat,
  NO_RATES,
  NO_STATS,
  type ServerListing,
  type ServiceKey,
  type ServiceListing,
} from "../../src/control/model.ts";

/** What the real ipvsadm was seen to print (test/interop asks it again, where it is installed). */

const server = (address: string, more: Partial<ServerListing> = {}): ServerListing => ({
  address,
  port: 80,
  weight: 1,
  method: "route",
  upper: 0,
  lower: 0,
  activeConns: 0,
  inactiveConns: 0,
  persistentConns: 0,
  stats: NO_STATS,
  rates: NO_RATES,
  ...more,
});
const key = (address: string, more: Partial<ServiceKey> = {}): ServiceKey => ({
  protocol: "tcp",
  family: address.includes(":") ? 6 : 4,
  address,
  port: 80,
  mark: 0,
  ...more,
});
const service = (of: ServiceKey, more: Partial<ServiceListing> = {}): ServiceListing => ({
  key: of,
  scheduler: "rr",
  flags: 0,
  persistence: 0,
  netmask: of.family === 6 ? "128" : "255.255.255.255",
  onePacket: false,
  stats: NO_STATS,
  rates: NO_RATES,
  servers: [],
  ...more,
});
const format = (more: Partial<ListFormat> = {}): ListFormat => ({
  numeric: true,
  columns: "plain",
  exact: false,
  nosort: false,
  ...more,
});

describe("numbers", () => {
  it.each([
    [0, "       0"],
    [99_999_999, "99999999"],
    [100_000_000, " 100000K"],
    [999_999_999, " 999999K"],
    [1_000_000_000, "   1000M"],
    [99_999_999_999, "  99999M"],
    [100_000_000_000, "    100G"],
    [99_999_999_999_999, "  99999G"],
    [100_000_000_000_000, "    100T"],
    [2 ** 53 - 1, "   9007T"],
  ])("%d", (value, text) => {
    expect(largeNumber(value)).toBe(text);
  });

  it("are exact on demand, and a server's packets per second always", () => {
    const rates = { cps: 1e9, inPps: 1e9, outPps: 1e9, inBps: 1e9, outBps: 1e9 };
    const busy = service(key("10.0.0.100"), { rates, servers: [server("10.0.0.11", { rates })] });
    expect(serviceLines(busy, format({ columns: "rate" }), NUMERIC)).toBe(
      "TCP  10.0.0.100:80                   1000M    1000M    1000M    1000M    1000M\n" +
        "  -> 10.0.0.11:80                 1000000000 1000000000 1000000000    1000M    1000M\n",
    );
    expect(serviceLines(busy, format({ columns: "rate", exact: true }), NUMERIC)).toContain(
      "TCP  10.0.0.100:80                1000000000 1000000000",
    );
  });
});

describe("services", () => {
  it("tell their flags, persistence and engine", () => {
    const line = (more: Partial<ServiceListing>, at = key("10.0.0.100")) =>
      serviceLines(service(at, more), format(), NUMERIC);
    expect(line({ scheduler: "sh", flags: 0x18 })).toBe("TCP  10.0.0.100:80 sh (sh-fallback,sh-port)\n");
    expect(line({ scheduler: "wlc", flags: 0x30 })).toBe("TCP  10.0.0.100:80 wlc (flag-2,flag-3)\n");
    // a flag without a name is a pair of empty brackets
    expect(line({ scheduler: "mh", flags: 0x20 })).toBe("TCP  10.0.0.100:80 mh ()\n");
    expect(line({ persistence: 300, netmask: "255.255.255.0", pe: "sip" })).toBe(
      "TCP  10.0.0.100:80 rr persistent 300 mask 255.255.255.0 pe sip\n",
    );
    expect(line({ onePacket: true, persistence: 5 }, key("::1", { protocol: "udp" }))).toBe(
      "UDP  [::1]:80 rr persistent 5 ops\n",
    );
    const mark = { protocol: "fwm", mark: 2 ** 32 - 1, port: 0 } as const;
    expect(line({}, key("::", mark))).toBe("FWM  -1 IPv6 rr\n");
  });

  it("are saved as the commands that make them", () => {
    const saved = service(key("10.0.0.100", { protocol: "sctp" }), {
      persistence: 300,
      netmask: "255.255.0.0",
      flags: 0x08,
      onePacket: true,
      servers: [server("10.0.0.11", { upper: 5, weight: 0 })],
    });
    expect(saveLines(saved, NUMERIC)).toBe(
      "-A --sctp-service 10.0.0.100:80 -s rr -p 300 -M 255.255.0.0 -o -b flag-1\n" +
        "-a --sctp-service 10.0.0.100:80 -r 10.0.0.11:80 -g -w 0\n",
    );
  });

  it("have names if names are known", () => {
    const names = {
      host: (address: string) => (address === "10.0.0.100" ? "vip" : null),
      port: (port: number) => (port === 80 ? "http" : null),
    };
    const known = service(key("10.0.0.100"), { servers: [server("10.0.0.11", { port: 0 })] });
    expect(serviceLines(known, format({ columns: "thresholds" }), names)).toBe(
      "TCP  vip:http rr\n  -> 10.0.0.11:0                  0          0          0          0         \n",
    );
  });

  it("have their long names cut in listings, not in rules, and a mark's ports are numbers", () => {
    const names = { host: () => "a-very-long-name-indeed-for-a-real-server.example.com", port: () => "http" };
    const six = { host: () => "six-very-long-name-indeed-for-a-real-server.example.com", port: () => "http" };
    const long = service(key("10.0.0.2"), { servers: [server("10.0.0.2")] });
    expect(serviceLines(long, format(), names)).toBe(
      "TCP  a-very-long-name-indeed-for- rr\n" +
        "  -> a-very-long-name-indeed-for- Route   1      0          0         \n",
    );
    expect(serviceLines(service(key("::1")), format(), six)).toBe(
      "TCP  [six-very-long-name-indeed-for-a-real-server.example.com]:h rr\n",
    );
    const mark = service(key("0.0.0.0", { protocol: "fwm", mark: 5, port: 0 }), {
      servers: [server("10.0.0.2")],
    });
    expect(saveLines(mark, names)).toContain(
      "-r a-very-long-name-indeed-for-a-real-server.example.com:80 -g",
    );
  });

  it("name the flags of their scheduler only", () => {
    expect(schedulerFlagNames("sh", 0x38)).toBe("sh-fallback,sh-port");
    expect(schedulerFlagNames("mh", 0x10)).toBe("mh-port");
    expect(schedulerFlagNames("rr", 0x38)).toBe("flag-1,flag-2,flag-3");
  });
});

describe("connections", () => {
  const entry = {
    protocol: "TCP",
    expiresSeconds: 6059,
    state: "NONE",
    client: "10.1.0.1",
    cport: 0,
    virtual: "10.0.0.100",
    vport: 443,
    server: "10.0.0.11",
    rport: 443,
  };
  it("show minutes beyond 99 and the engine's data", () => {
    expect(connectionLine(entry, "plain", NUMERIC)).toBe(
      "TCP 100:59 NONE        10.1.0.1:0         10.0.0.100:443     10.0.0.11:443\n",
    );
    expect(connectionLine({ ...entry, pe: { name: "sip", data: "a@b" } }, "persistent", NUMERIC)).toBe(
      "TCP 100:59 NONE        10.1.0.1:0         10.0.0.100:443     10.0.0.11:443    sip                a@b\n",
    );
  });
});

describe("orders", () => {
  const fwm = (mark: number, family: 4 | 6 = 4): ServiceKey =>
    key(family === 6 ? "::" : "0.0.0.0", { protocol: "fwm", mark, port: 0 });

  it("services: mark (signed), family, protocol, address, port", () => {
    const wanted = [
      fwm(2 ** 32 - 1),
      key("10.0.0.9"),
      key("10.0.0.100"),
      key("10.0.0.100", { port: 443 }),
      key("10.0.0.1", { protocol: "udp" }),
      key("10.0.0.1", { protocol: "sctp" }),
      key("2001:db8::1"),
      fwm(1),
      fwm(2),
      fwm(2, 6),
    ];
    const shuffled = [...wanted].sort((a, b) => ((a.port * 7 + a.mark) % 11) - ((b.port * 7 + b.mark) % 11));
    expect(sortServices(shuffled.map((each) => service(each))).map((each) => each.key)).toEqual(wanted);
  });

  it("servers: address, port; 2^31 or more apart the other way round", () => {
    const sorted = sortServers([
      server("192.168.1.1"),
      server("10.0.0.100"),
      server("10.0.0.9", { port: 81 }),
      server("10.0.0.9"),
    ]);
    expect(sorted.map(({ address, port }) => `${address}:${port}`)).toEqual([
      "192.168.1.1:80",
      "10.0.0.9:80",
      "10.0.0.9:81",
      "10.0.0.100:80",
    ]);
  });

  it("--nosort: the kernel's buckets, newest first, marks last", () => {
    const services = [
      fwm(3),
      key("10.0.0.100", { port: 443 }),
      key("10.0.0.9"),
      key("10.0.0.100", { protocol: "udp" }),
      fwm(1),
      key("10.0.0.100"),
    ];
    expect(bucketOrder(services.map((each) => service(each))).map((each) => each.key)).toEqual([
      services[3],
      services[5],
      services[2],
      services[1],
      services[4],
      services[0],
    ]);
  });
});
