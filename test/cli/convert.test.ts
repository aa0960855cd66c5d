/** From rules and keepalived.conf to a config, and back: what is carried over, and what is said of the rest. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { addressesOf } from "../../src/cli/convert/address-range.ts";
import { convert, guessFormat } from "../../src/cli/convert/convert.ts";
import { readStatements } from "../../src/cli/convert/keepalived-words.ts";
import { parseConfig } from "../../src/control/config.ts";
import { desiredOf } from "../../src/control/difference.ts";

const LOOKUP = { host: () => null, port: () => null };
const KEEPALIVED = readFileSync(new URL("keepalived.conf", import.meta.url), "utf8");

const toYaml = (text: string, from: "rules" | "keepalived") =>
  convert(text, "f", { from, to: "yaml" }, LOOKUP);
const toRules = (text: string) => convert(text, "f", { from: "yaml", to: "rules" }, LOOKUP);
const told = (notes: readonly { line: number; message: string }[]) =>
  notes.map(({ line, message }) => `${line}: ${message}`);

describe("keepalived.conf", () => {
  const { text, notes } = toYaml(KEEPALIVED, "keepalived");

  test("its virtual servers with direct routing become services", () => {
    const { services, timeouts } = parseConfig(text, "converted.yaml");
    expect(timeouts).toEqual({ tcp: 600, tcpfin: 0, udp: 60 });
    expect(services.map(({ protocol, address, port, mark }) => [protocol, address ?? mark, port])).toEqual([
      ["tcp", "10.0.0.100", 443],
      ["tcp", "10.0.0.101", 80],
      ["tcp", "10.0.0.102", 80],
      ["tcp", "10.0.0.103", 80],
      ["tcp", "10.0.0.104", 80],
      ["fwm", 7, undefined],
      ["udp", "10.0.0.100", 53],
      ["tcp", "2001:db8::100", 0],
    ]);
    expect(services[0]).toMatchObject({
      ...{ scheduler: "wrr", persistence: 50, netmask: "255.255.255.0" },
      servers: [
        { address: "10.0.0.11", weight: 3, upper: 100, lower: 50 },
        { address: "10.0.0.12", weight: 1 },
      ],
    });
    expect(services[4]).toMatchObject({
      scheduler: "mh",
      flags: ["mh-port"],
      servers: [{ address: "10.0.0.11" }],
    });
    expect(services[6]).toMatchObject({ scheduler: "rr", ops: true });
    expect(services[7]).toMatchObject({ scheduler: "sh", flags: ["sh-port"], persistence: 360 });
  });

  test("all else is told of, by line", () => {
    expect(told(notes)).toEqual([
      "2: global_defs: left out: router_id",
      "9: vrrp_instance VI_1 is left out: who has the virtual addresses is not in a config of services (see `vips`)",
      "26: delay_loop 6 is left out",
      "32: sorry_server 10.0.0.200 443 is left out",
      "38: TCP_CHECK is left out",
      "44: notify_down /usr/local/bin/gone {now} # at once is left out",
      "46: real_server 10.0.0.13 443 is left out: it is forwarded to by NAT, and this director does direct routing only",
      "57: port 8080 of 10.0.0.11: direct routing keeps the service's port, 80",
      "59: TCP_CHECK is left out",
      "71: TCP_CHECK is left out",
      "84: TCP_CHECK is left out",
      "92: real_server 10.0.0.31 25 is left out: it is forwarded to by NAT (the default), and this director does direct routing only",
      "99: include conf.d/*.conf: convert that file too; what it says is left out",
    ]);
  });

  test("what it takes for a good file, keepalived does too", (context) => {
    const run = spawnSync("keepalived", ["-t", "-f", new URL("keepalived.conf", import.meta.url).pathname], {
      encoding: "utf8",
      env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
    });
    context.skip(run.error !== undefined, "keepalived is not installed; .ci/setup installs it");
    const complaints = run.stderr.split("\n").filter((line) => /unknown|syntax|missing/i.test(line));
    // No such folder here, and an interface that may be down.
    expect(complaints.filter((line) => !/conf\.d|Unknown interface/.test(line))).toEqual([]);
  });

  test("braces that do not match are an error with a line", () => {
    expect(() => readStatements("a {\n b\n")).toThrow("line 1: `a {' is never closed");
    expect(() => readStatements("a\n}\n")).toThrow("line 2: `}' without its `{'");
    expect(() => readStatements("{\n")).toThrow("line 1: `{' after nothing");
  });

  test("lines for one keepalived of several, and parameters of several lines, are told of", () => {
    const file =
      "@main virtual_server 1.2.3.4 80 {\n@main }\n$RS= \\\n real_server 1.1.1.1 80 { \\\n }\n$RS\n";
    expect(told(readStatements(file).notes)).toEqual([
      "1: a line for one keepalived of several (@main) is left out",
      "2: a line for one keepalived of several (@main) is left out",
      "3: a parameter of several lines ($RS) is left out",
    ]);
  });
});

test.each([
  ["10.0.0.8/30", ["10.0.0.8", "10.0.0.9", "10.0.0.10", "10.0.0.11"]],
  ["10.0.0.254-10.0.1.1", ["10.0.0.254", "10.0.0.255", "10.0.1.0", "10.0.1.1"]],
  ["2001:db8::9-b", ["2001:db8::9", "2001:db8::a", "2001:db8::b"]],
  ["10.0.0.9-8", "10.0.0.9-8 ends before it begins"],
  ["10.0.0.0/8", "10.0.0.0/8 is more than 65536 addresses"],
  ["10.0.0.1-::1", "10.0.0.1-::1 is no address and no range of addresses"],
  ["web", "web is no address and no range of addresses"],
])("%s are so many addresses", (text, addresses) => expect(addressesOf(text)).toEqual(addresses));

describe("rules", () => {
  test("become services in their order, changes carried out", () => {
    const rules = [
      "-A -t 10.0.0.100:80 -s wlc -p 300 -M 255.255.255.0",
      "-a -t 10.0.0.100:80 -r 10.0.0.11:80 -g -w 1 -x 10 -y 5",
      "-a -t 10.0.0.100:80 -r 10.0.0.12:80 -g -w 1",
      "-e -t 10.0.0.100:80 -r 10.0.0.12:80 -g -w 70000",
      "-a -t 10.0.0.100:80 -r 10.0.0.13:80 -m",
      "-A -f 7 -6 -s sh -b sh-port",
      "-A -u 10.0.0.100:53",
      "-D -u 10.0.0.100:53",
      "-A -t 10.0.0.100:80 -s rr",
      "--set 10 0 0",
    ].join("\n");
    const { text, notes } = toYaml(rules, "rules");
    expect(parseConfig(text, "f").services).toMatchObject([
      {
        ...{ address: "10.0.0.100", port: 80, scheduler: "wlc", persistence: 300, netmask: "255.255.255.0" },
        servers: [
          { address: "10.0.0.11", weight: 1, upper: 10, lower: 5 },
          { address: "10.0.0.12", weight: 65_535 },
        ],
      },
      { protocol: "fwm", mark: 7, family: 6, scheduler: "sh", flags: ["sh-port"], servers: [] },
    ]);
    expect(text).toContain("timeouts:\n  tcp: 10\n");
    expect(text).toContain(
      "# vips: # those that the director itself is to answer ARP for\n#   - address: 10.0.0.100\n",
    );
    expect(told(notes)).toEqual([
      "4: weight 70000 became 65535",
      "5: dr-director forwards by direct routing only: masquerading (-m) is not supported, use -g",
      "9: the service is there already",
    ]);
  });

  const octet = fc.integer({ min: 1, max: 200 });
  const server = fc.record({
    address: octet.map((n) => `10.0.1.${n}`),
    weight: fc.integer({ min: 0, max: 65_535 }),
    upper: fc.integer({ min: 0, max: 100 }),
  });
  const service = fc
    .record({
      protocol: fc.constantFrom("tcp", "udp", "sctp"),
      address: octet.map((n) => `10.0.0.${n}`),
      port: fc.integer({ min: 1, max: 65_535 }),
      scheduler: fc.constantFrom("rr", "wlc", "sh", "mh"),
      persistence: fc.constantFrom(0, 1, 300),
      ops: fc.boolean(),
      servers: fc.uniqueArray(server, { selector: ({ address }) => address, maxLength: 4 }),
    })
    .chain((plain) =>
      fc.record({
        plain: fc.constant(plain),
        flags: ["sh", "mh"].includes(plain.scheduler)
          ? fc.subarray([`${plain.scheduler}-port`, `${plain.scheduler}-fallback`])
          : fc.subarray(["flag-1", "flag-3"]),
        netmask: fc.constantFrom("255.255.255.255", "255.255.0.0"),
      }),
    )
    .map(({ plain, flags, netmask }) => ({
      ...plain,
      ops: plain.ops && plain.protocol === "udp",
      flags,
      ...(plain.persistence > 0 ? { netmask } : {}),
    }));
  const services = fc.uniqueArray(service, {
    selector: ({ protocol, address, port }) => `${protocol} ${address} ${port}`,
    maxLength: 5,
  });

  test("a config that goes to rules and comes back asks for the same", () => {
    fc.assert(
      fc.property(services, (list) => {
        const config = JSON.stringify({ services: list });
        const { text, notes } = toRules(config);
        const back = toYaml(text, "rules");
        expect([notes, back.notes]).toEqual([[], []]);
        expect(desiredOf(parseConfig(back.text, "b"))).toEqual(desiredOf(parseConfig(config, "a")));
      }),
      { numRuns: 300 },
    );
  });
});

test("a config's keys that have no rule are told of, by line", () => {
  const { text, notes } = toRules(
    "interface: eth0\ntimeouts: {udp: 5}\nservices:\n  - {address: 10.0.0.1, port: 80,\n     servers: [{address: 10.0.0.2, mac: 02:00:00:00:00:01}]}\n",
  );
  expect(text).toBe("--set 0 0 5\n-A -t 10.0.0.1:80 -s wlc\n-a -t 10.0.0.1:80 -r 10.0.0.2:80 -g -w 1\n");
  expect(told(notes)).toEqual([
    "1: interface has no rule and is left out",
    "5: a real server's mac has no rule and is left out",
  ]);
});

test("a result that is no config says which service is wrong", () => {
  const file = "virtual_server 10.0.0.1 80 {\n lvs_method DR\n protocol DCCP\n}\n";
  expect(() => toYaml(file, "keepalived")).toThrow(
    /services\[0\]\.protocol \(10\.0\.0\.1 80\): expected one of/,
  );
});

test("what a file is can be seen", () => {
  expect(guessFormat(KEEPALIVED)).toBe("keepalived");
  expect(guessFormat("# saved\n-A -t 1.2.3.4:80\n")).toBe("rules");
  expect(guessFormat("ipvsadm -A -t 1.2.3.4:80\n")).toBe("rules");
  expect(guessFormat("services:\n  - address: 1.2.3.4\n")).toBe("yaml");
  expect(guessFormat("")).toBe("yaml");
});
