import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ConfigError, defaultConfig, parseConfig } from "../../src/control/config.ts";

function problems(text: string): string[] {
  try {
    parseConfig(text, "d.yaml");
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split("\n");
    throw error;
  }
  return [];
}

describe("a config file", () => {
  test("may be empty: every key has a default", () => {
    expect(parseConfig("", "d.yaml")).toEqual(defaultConfig());
    expect(parseConfig("# nothing yet\n", "d.yaml").shards).toBe(1);
  });

  test("is read as YAML and as JSON alike", () => {
    const yaml =
      "interface: eth0\nservices:\n  - {address: 10.0.0.100, port: 80, servers: [{address: 10.0.0.11}]}\n";
    const json = JSON.stringify({
      interface: "eth0",
      services: [{ address: "10.0.0.100", port: 80, servers: [{ address: "10.0.0.11" }] }],
    });
    expect(parseConfig(yaml, "d.yaml")).toEqual(parseConfig(json, "d.json"));
    expect(parseConfig(yaml, "d.yaml").services[0]).toMatchObject({
      protocol: "tcp",
      scheduler: "wlc",
      persistence: 0,
    });
  });

  test("the example is a right one", () => {
    const config = parseConfig(
      readFileSync("examples/dr-director.yaml", "utf8"),
      "examples/dr-director.yaml",
    );
    expect(config.services[0]?.servers.map((server) => server.weight)).toEqual([1, 2, 1]);
    expect(config.vips[0]).toEqual({ address: "10.0.0.100", own: true, active: true });
  });

  test("tells file, line, column, key, what was expected and what was found", () => {
    const text = "interface: eth0\nservices:\n  - address: 10.0.0.100\n    port: http\n    scheduler: rr\n";
    expect(problems(text)).toEqual(['d.yaml:4:11: services[0].port: expected a number, found "http"']);
  });

  test("tells every error at once, in JSON too", () => {
    const text = '{\n  "shards": 0,\n  "vips": [{ "address": "10.0.0.300" }],\n  "ttl": "keeep"\n}\n';
    expect(problems(text)).toEqual([
      "d.yaml:2:13: shards: expected 1 or more, found 0",
      'd.yaml:3:25: vips[0].address: expected an IPv4 or IPv6 address, such as 10.0.0.100, found "10.0.0.300"',
      'd.yaml:4:10: ttl: expected one of keep, decrement, found "keeep"',
    ]);
  });

  test("an unknown key is shown where it stands, with the known ones", () => {
    const [problem] = problems("ring:\n  kind: packet\n  frmes: 4096\n");
    expect(problem).toBe("d.yaml:3:3: ring.frmes: unknown key, expected one of kind, frames, wait, bypass");
    expect(problems("services:\n  - adress: 10.0.0.1\n    port: 1\n")[0]).toMatch(
      /^d\.yaml:2:5: services\[0\]\.adress: unknown key, expected one of protocol, address/,
    );
  });

  test("a missing key is told at the thing that lacks it", () => {
    expect(problems("vips:\n  - own: true\n")).toEqual([
      "d.yaml:2:5: vips[0].address: expected text, found nothing",
    ]);
    expect(problems("services:\n  - port: 80\n")).toEqual([
      "d.yaml:2:5: services[0].address: expected the virtual address",
    ]);
  });

  test("bytes that are no UTF-8 are told with their place", () => {
    const latin1 = Buffer.from("# für die\ninterface: eth0\n", "latin1").toString("utf8");
    expect(() => parseConfig(latin1, "d.yaml")).toThrow(
      "d.yaml:1:4: expected UTF-8, found a byte that is none",
    );
    const name = Buffer.from("shards: 1\ninterface: \xff\n", "latin1").toString("utf8");
    expect(() => parseConfig(name, "d.yaml")).toThrow("d.yaml:2:12: expected UTF-8");
  });

  test("a text that is no YAML is told with its place", () => {
    expect(problems("interface: eth0\nservices: [\n")[0]).toMatch(/^d\.yaml:\d+:\d+: /);
    expect(problems("a: 1\na: 2\n")[0]).toMatch(/^d\.yaml:2:1: .*unique/i);
    expect(problems("a: *nowhere\n")[0]).toMatch(/^d\.yaml:\d+:\d+: /);
    expect(problems("- 1\n")[0]).toBe("d.yaml:1:1: expected a mapping of keys, found a list");
  });

  test.each([
    [
      "services: [{address: 10.0.0.1, port: 80}, {address: 10.0.0.1, port: 80}]",
      /services\[1\]: expected another service: number 1/,
    ],
    [
      "services: [{address: 10.0.0.1, port: 0}]",
      /port: expected 1 to 65535, because the service is not persistent/,
    ],
    ["services: [{protocol: fwm, mark: 3, port: 80}]", /port: expected nothing: a mark names the service/],
    ["services: [{protocol: fwm}]", /mark: expected a mark/],
    ["services: [{address: 10.0.0.1, port: 80, ops: true}]", /ops: expected false/],
    [
      "services: [{address: 10.0.0.1, port: 80, scheduler: sh, flags: [mh-port]}]",
      /flags\[0\]: expected a flag of scheduler sh/,
    ],
    [
      "services: [{address: 10.0.0.1, port: 80, servers: [{address: 10.0.0.2, port: 81}]}]",
      /port: expected 80/,
    ],
    [
      "services: [{address: 10.0.0.1, port: 80, servers: [{address: '::1'}]}]",
      /address: expected an IPv4 address/,
    ],
    [
      "services: [{address: 10.0.0.1, port: 80, servers: [{address: 10.0.0.2, lower: 3}]}]",
      /lower: expected no more than upper/,
    ],
    [
      "services: [{address: 10.0.0.1, port: 80, servers: [{address: 10.0.0.2}, {address: 10.0.0.2}]}]",
      /servers\[1\]: expected another real server/,
    ],
    [
      "services: [{address: 10.0.0.1, port: 80, persistence: 9, netmask: 255.0.255.0}]",
      /netmask: expected a netmask/,
    ],
    [
      "services: [{address: 10.0.0.1, port: 80, netmask: 255.0.0.0}]",
      /netmask: expected nothing, unless persistence/,
    ],
    ["marks: [{mark: 1, network: 10.0.0.0/24, ports: 90-80}]", /ports: expected a range/],
    ["settings: {conn_reuse: 1}", /settings\.conn_reuse: unknown key, expected one of conn_reuse_mode/],
    ["vips: [{address: 010.0.0.1}]", /vips\[0\]\.address: expected an IPv4/],
  ])("%s is refused", (text, expected) => {
    expect(problems(text).join("\n")).toMatch(expected);
  });
});
