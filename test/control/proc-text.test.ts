/** /proc/net/ip_vs and ip_vs_stats, held to lines of real kernels' files. */
import { describe, expect, test } from "vitest";
import type { ServerListing, ServiceKey, ServiceListing } from "../../src/control/model.ts";
import { NO_RATES, NO_STATS } from "../../src/control/model.ts";
import { procIpVs, procIpVsStats } from "../../src/control/proc-text.ts";

const server = (address: string, port: number, weight: number, active = 0, inactive = 0): ServerListing => ({
  ...{ address, port, weight, method: "route", upper: 0, lower: 0, stats: NO_STATS, rates: NO_RATES },
  ...{ activeConns: active, inactiveConns: inactive, persistentConns: 0 },
});

function service(key: Partial<ServiceKey>, more: Partial<ServiceListing> = {}): ServiceListing {
  return {
    key: { protocol: "tcp", family: 4, address: "192.168.0.22", port: 3306, mark: 0, ...key },
    ...{ scheduler: "wlc", flags: 0, persistence: 0, netmask: "255.255.255.255", onePacket: false },
    ...{ stats: NO_STATS, rates: NO_RATES, servers: [] },
    ...more,
  };
}

const text = (...services: ServiceListing[]) =>
  [...procIpVs(services, { version: "1.2.1", size: 4096 })].join("");
const HEAD =
  "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n" +
  "  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n";

describe("ip_vs", () => {
  test("services and real servers in the kernel's columns, blanks at the end included", () => {
    const servers = [server("192.168.82.22", 3306, 100, 248, 2), server("192.168.83.24", 3306, 0, 0, 12345)];
    expect(text(service({}, { servers }))).toBe(
      `${HEAD}TCP  C0A80016:0CEA wlc  \n` +
        "  -> C0A85216:0CEA      Route   100    248        2         \n" +
        "  -> C0A85318:0CEA      Route   0      0          12345     \n",
    );
  });

  test("marks come last, in hexadecimal; ops and persistence as the kernel writes them", () => {
    const fwm = service({ protocol: "fwm", address: "0.0.0.0", port: 0, mark: 0x10001000 });
    const udp = service({ protocol: "udp", port: 53 }, { onePacket: true, scheduler: "rr" });
    const long = service({}, { persistence: 300, netmask: "255.255.255.0" });
    const both = service({ protocol: "fwm", mark: 1 }, { onePacket: true, persistence: 1 });
    expect(text(fwm, udp, long, both)).toBe(
      `${HEAD}UDP  C0A80016:0035 rr ops  \nTCP  C0A80016:0CEA wlc  persistent 75000 FFFFFF00\n` +
        "FWM  10001000 wlc \nFWM  00000001 wlc ops persistent 250 FFFFFFFF\n",
    );
  });

  test("IPv6 in brackets with every zero, its prefix length with its bytes turned round", () => {
    const six = { family: 6, address: "2620::1", port: 80 } as const;
    const servers = [server("2620::2", 80, 1)];
    expect(text(service(six, { servers, scheduler: "sh", persistence: 2, netmask: "128" }))).toBe(
      `${HEAD}TCP  [2620:0000:0000:0000:0000:0000:0000:0001]:0050 sh persistent 500 80000000\n` +
        "  -> [2620:0000:0000:0000:0000:0000:0000:0002]:0050      Route   1      0          0         \n",
    );
  });
});

test("ip_vs_stats: totals and rates under the kernel's headings", () => {
  const stats = { conns: 0x16aa370, inPkts: 0xe33656e5, outPkts: 0, inBytes: 0x51d8c8883aba0, outBytes: 0 };
  expect(procIpVsStats(stats, { cps: 4, inPps: 0x1fb3c, outPps: 0, inBps: 0x1282a8f, outBps: 0 })).toBe(
    [
      "   Total Incoming Outgoing         Incoming         Outgoing",
      "   Conns  Packets  Packets            Bytes            Bytes",
      " 16AA370 E33656E5        0    51D8C8883ABA0                0",
      "",
      " Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s",
      "       4    1FB3C        0          1282A8F                0",
      "",
    ].join("\n"),
  );
});
