import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { readIPv6Groups } from "../../src/cli/inet.ts";
import {
  connectionLine,
  connectionsHeader,
  NUMERIC,
  saveLines,
  serviceLines,
  servicesHeader,
} from "../../src/cli/ipvsadm-format.ts";
import { sortServers, sortServices } from "../../src/cli/ipvsadm-sort.ts";
import type {
  ConnectionListing,
  ListFormat,
  Protocol,
  ServerListing,
  ServiceListing,
} from "../../src/control/model.ts";
import { Witness, witnessAvailable, witnessTable } from "./witness.ts";

const count = fc.oneof(
  fc.nat(1000),
  fc.nat(0xffffffff),
  fc.constantFrom(
    0,
    99_999_999,
    100_000_000,
    100_000_001,
    999_999_999,
    1_000_000_000,
    99_999_999_999,
    100_000_000_000,
    100_000_000_000_000 - 1,
    100_000_000_000_000,
    2 ** 53 - 1,
  ),
  fc.maxSafeNat(),
);
const numbers = fc.tuple(count, count, count, count, count, count, count, count, count, count).map((n) => ({
  stats: { conns: n[0], inPkts: n[1], outPkts: n[2], inBytes: n[3], outBytes: n[4] },
  rates: { cps: n[5], inPps: n[6], outPps: n[7], inBps: n[8], outBps: n[9] },
}));
/** ipvsadm 1.31 reads a server's counters but for the bytes as 32 bits; ours do not wrap. */
const small = fc.oneof(
  fc.nat(1000),
  fc.nat(0xffffffff),
  fc.constantFrom(99_999_999, 100_000_000, 999_999_999, 1_000_000_000, 0xffffffff),
);
const serverNumbers = fc
  .tuple(small, small, small, count, count, small, small, small, small, small)
  .map((n) => ({
    stats: { conns: n[0], inPkts: n[1], outPkts: n[2], inBytes: n[3], outBytes: n[4] },
    rates: { cps: n[5], inPps: n[6], outPps: n[7], inBps: n[8], outBps: n[9] },
  }));
const v4 = fc.constantFrom("1.2.3.4", "10.0.0.9", "10.0.0.100", "192.168.100.200", "200.1.1.1", "0.0.0.1");
const v6 = fc.constantFrom(
  "::1",
  "2001:db8::1",
  "2001:db8:1111:2222:3333:4444:5555:6666",
  "::ffff:1.2.3.4",
  "fe80::1",
  "::2:3",
);
const port = fc.constantFrom(0, 1, 53, 80, 443, 8080, 65535);
const u31 = fc.oneof(fc.nat(10), fc.nat(2 ** 31 - 1));
const u32 = fc.oneof(fc.nat(10), fc.nat(2 ** 32 - 1));

const server = (mixed: boolean, family: 4 | 6): fc.Arbitrary<ServerListing> =>
  fc
    .record({
      address: family === 6 ? v6 : v4,
      port,
      weight: u31,
      method: fc.constantFrom("route" as const, "masq" as const, "tunnel" as const),
      upper: u32,
      lower: u32,
      activeConns: u32,
      inactiveConns: u32,
      persistentConns: u32,
      other: fc.boolean(),
      otherAddress: family === 6 ? v4 : v6,
      numbers: serverNumbers,
    })
    .map(({ numbers: n, other, otherAddress, ...rest }) => ({
      ...rest,
      ...n,
      address: mixed && other && rest.method === "tunnel" ? otherAddress : rest.address,
    }));

const service: fc.Arbitrary<ServiceListing> = fc
  .record({
    protocol: fc.constantFrom<Protocol>("tcp", "udp", "sctp", "fwm"),
    family: fc.constantFrom<4 | 6>(4, 6),
    mark: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 2 ** 32 - 1 })),
    v4,
    v6,
    port,
  })
  .chain((at) =>
    fc.record({
      key: fc.constant(
        at.protocol === "fwm"
          ? {
              protocol: at.protocol,
              family: at.family,
              mark: at.mark,
              address: at.family === 6 ? "::" : "0.0.0.0",
              port: 0,
            }
          : {
              protocol: at.protocol,
              family: at.family,
              mark: 0,
              address: at.family === 6 ? at.v6 : at.v4,
              port: at.port,
            },
      ),
      scheduler: fc.constantFrom("rr", "wlc", "sh", "mh", "lblcr"),
      flags: fc.constantFrom(0, 0x08, 0x10, 0x20, 0x18, 0x38, 0x30),
      persistence: fc.constantFrom(0, 1, 300, 2_678_400),
      netmask:
        at.family === 6
          ? fc.constantFrom("128", "64", "1")
          : fc.constantFrom("255.255.255.255", "255.255.255.0", "0.0.0.0"),
      onePacket: fc.boolean(),
      pe: fc.option(fc.constant("sip"), { nil: undefined }),
      numbers,
      servers: fc.uniqueArray(server(true, at.family), {
        maxLength: 4,
        selector: (s) => `${s.address} ${s.port}`,
      }),
    }),
  )
  .map(({ numbers: n, pe, ...rest }) => ({ ...rest, ...n, ...(pe === undefined ? {} : { pe }) }));

const table = fc.uniqueArray(service, {
  maxLength: 6,
  selector: ({ key }) => `${key.protocol} ${key.family} ${key.mark} ${key.address} ${key.port}`,
});

const COLUMNS: [ListFormat["columns"], string[]][] = [
  ["plain", []],
  ["stats", ["--stats"]],
  ["rate", ["--rate"]],
  ["thresholds", ["--thresholds"]],
  ["persistent", ["--persistent-conn"]],
  ["tunnel", ["--tun-info"]],
];
const columns = fc.constantFrom(...COLUMNS);

const sorted = (services: readonly ServiceListing[]): ServiceListing[] =>
  sortServices(services).map((each) => ({ ...each, servers: sortServers(each.servers) }));

describe.skipIf(!witnessAvailable)("the listings against the real ipvsadm", () => {
  const witness = new Witness();
  afterAll(() => witness.close());

  it("lists any table in the same bytes", () => {
    fc.assert(
      fc.property(table, columns, fc.boolean(), fc.boolean(), (services, [name, options], exact, nosort) => {
        const format: ListFormat = { numeric: true, columns: name, exact, nosort };
        const rows = nosort ? services : sorted(services);
        const mine =
          servicesHeader(name, { version: "1.2.1", size: 4096 }) +
          rows.map((each) => serviceLines(each, format, NUMERIC)).join("");
        const argv = ["-L", "-n", ...options, ...(exact ? ["--exact"] : []), ...(nosort ? ["--nosort"] : [])];
        expect(mine).toBe(witness.run(argv, { table: witnessTable(services) }).stdout);
      }),
      { numRuns: Number(process.env.RUNS ?? 400) },
    );
  });

  it("saves any table in the same bytes", () => {
    fc.assert(
      fc.property(table, (services) => {
        const mine = sorted(services)
          .map((each) => saveLines(each, NUMERIC))
          .join("");
        expect(mine).toBe(witness.run(["-S", "-n"], { table: witnessTable(services) }).stdout);
      }),
      { numRuns: Number(process.env.RUNS ?? 200) },
    );
  });

  it("lists any connection in the same bytes", () => {
    const entry: fc.Arbitrary<ConnectionListing> = fc
      .record({
        protocol: fc.constantFrom("TCP", "UDP", "SCTP", "IP"),
        expiresSeconds: fc.oneof(fc.nat(59), fc.nat(10_000_000)),
        state: fc.constantFrom("NONE", "ESTABLISHED", "SYN_RECV", "FIN_WAIT", "UDP", "ASSURED"),
        six: fc.boolean(),
        ports: fc.tuple(port, port, port),
        four: fc.tuple(v4, v4, v4),
        sixes: fc.tuple(v6, v6, v6),
        pe: fc.option(fc.constantFrom("sip"), { nil: undefined }),
      })
      .map(({ six, ports, four, sixes, pe, ...rest }) => {
        const [client, virtual, server] = six ? sixes : four;
        const row = { ...rest, client, virtual, server, cport: ports[0], vport: ports[1], rport: ports[2] };
        return pe === undefined ? row : { ...row, pe: { name: pe, data: "callid@1" } };
      });
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 5 }), fc.boolean(), (entries, engines) => {
        const name = engines ? "persistent" : "plain";
        const mine =
          connectionsHeader(name) + entries.map((each) => connectionLine(each, name, NUMERIC)).join("");
        const argv = ["-L", "-n", "-c", ...(engines ? ["--persistent-conn"] : [])];
        expect(mine).toBe(
          witness.run(argv, { connections: entries.map(procLine).join("").replace(/^/, PROC_HEADER) }).stdout,
        );
      }),
      { numRuns: Number(process.env.RUNS ?? 200) },
    );
  });
});

const PROC_HEADER = "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n";

/** A line of /proc/net/ip_vs_conn. */
function procLine(entry: ConnectionListing): string {
  const hex = (value: number, digits: number): string =>
    value.toString(16).toUpperCase().padStart(digits, "0");
  const address = (text: string): string =>
    text.includes(":")
      ? readIPv6Groups(text)!
          .map((group) => group.toString(16).padStart(4, "0"))
          .join(":")
      : text
          .split(".")
          .map((byte) => hex(Number(byte), 2))
          .join("");
  const ends = [entry.client, entry.cport, entry.virtual, entry.vport, entry.server, entry.rport].map(
    (value) => (typeof value === "number" ? hex(value, 4) : address(value)),
  );
  const engine = entry.pe === undefined ? "" : ` ${entry.pe.name} ${entry.pe.data}`;
  return `${entry.protocol.padEnd(3)} ${ends.join(" ")} ${entry.state.padEnd(11)} ${String(entry.expiresSeconds).padStart(7)}${engine}\n`;
}
