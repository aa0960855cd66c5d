import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseConfig } from "../../src/control/config.ts";
import {
  type Desired,
  type DesiredService,
  desiredOf,
  difference,
  toCommands,
} from "../../src/control/difference.ts";
import { type DirectorCommand, serverKeyText, serviceKeyText } from "../../src/control/model.ts";

const config = (text: string) => parseConfig(text, "d.yaml");
const WEB =
  "services: [{address: 10.0.0.100, port: 80, scheduler: rr, servers: [{address: 10.0.0.11}, {address: 10.0.0.12}]}]";

/** What commands make of a state: a plain model of a director, which refuses what a director refuses. */
function carryOut(
  before: Desired,
  commands: readonly DirectorCommand[],
): { state: Map<string, DesiredService>; emptied: string[] } {
  const state = new Map([...before.services].map((service) => [serviceKeyText(service.key), service]));
  const emptied: string[] = [];
  const need = (key: string): DesiredService => {
    const service = state.get(key);
    if (service === undefined) throw new Error(`no service ${key}`);
    return service;
  };
  for (const command of commands) {
    if (command.kind === "addService") {
      if (state.has(serviceKeyText(command.service.key))) throw new Error("EEXIST");
      state.set(serviceKeyText(command.service.key), { ...command.service, servers: [] });
    } else if (command.kind === "editService") {
      const key = serviceKeyText(command.service.key);
      state.set(key, { ...command.service, servers: need(key).servers });
    } else if (command.kind === "deleteService") {
      need(serviceKeyText(command.service));
      state.delete(serviceKeyText(command.service));
    } else if (
      command.kind === "addServer" ||
      command.kind === "editServer" ||
      command.kind === "deleteServer"
    ) {
      const key = serviceKeyText(command.service);
      const service = need(key);
      const others = service.servers.filter(
        (server) => serverKeyText(server) !== serverKeyText(command.server),
      );
      if ((others.length === service.servers.length) !== (command.kind === "addServer"))
        throw new Error(command.kind);
      const servers = command.kind === "deleteServer" ? others : [...others, command.server];
      if (servers.length === 0) emptied.push(key);
      state.set(key, { ...service, servers });
    }
  }
  return { state, emptied };
}

function normal(services: Iterable<DesiredService>): object[] {
  return [...services]
    .map((service) => ({
      ...service,
      servers: [...service.servers].sort((a, b) => (serverKeyText(a) < serverKeyText(b) ? -1 : 1)),
    }))
    .sort((a, b) => (serviceKeyText(a.key) < serviceKeyText(b.key) ? -1 : 1));
}

describe("toCommands", () => {
  test("asks for services and their servers in the file's order, with the service's port", () => {
    expect(toCommands(config(WEB)).map((command) => command.kind)).toEqual([
      "addService",
      "addServer",
      "addServer",
    ]);
    expect(toCommands(config(WEB))[1]).toMatchObject({
      server: { address: "10.0.0.11", port: 80, weight: 1, method: "route" },
    });
  });

  test("carries persistence, flags, marks, IPv6 and timeouts over", () => {
    const text = `
timeouts: {udp: 60}
services:
  - {address: "2001:DB8:0::1", port: 443, scheduler: sh, flags: [sh-port, sh-fallback], persistence: 90, netmask: "64"}
  - {protocol: fwm, mark: 7, scheduler: mh, flags: [mh-port], ops: true}
`;
    expect(toCommands(config(text))).toEqual([
      { kind: "setTimeouts", timeouts: { tcp: 0, tcpfin: 0, udp: 60 } },
      {
        kind: "addService",
        service: {
          key: { protocol: "tcp", family: 6, address: "2001:db8::1", port: 443, mark: 0 },
          scheduler: "sh",
          flags: 0x18,
          persistence: 90,
          netmask: "64",
          onePacket: false,
        },
      },
      {
        kind: "addService",
        service: {
          key: { protocol: "fwm", family: 4, address: "0.0.0.0", port: 0, mark: 7 },
          scheduler: "mh",
          flags: 0x10,
          persistence: 0,
          netmask: "255.255.255.255",
          onePacket: true,
        },
      },
    ]);
  });
});

describe("difference", () => {
  test("of a config with itself is nothing", () => {
    const desired = desiredOf(config(WEB));
    expect(difference(desired, desired)).toEqual([]);
  });

  test("edits a weight in place and adds before it removes", () => {
    const before = desiredOf(config(WEB));
    const after = desiredOf(
      config(
        "services: [{address: 10.0.0.100, port: 80, scheduler: rr, servers: [{address: 10.0.0.12, weight: 5}, {address: 10.0.0.13}]}]",
      ),
    );
    expect(
      difference(before, after).map(({ kind, ...rest }) => [
        kind,
        (rest as { server: { address: string } }).server.address,
      ]),
    ).toEqual([
      ["editServer", "10.0.0.12"],
      ["addServer", "10.0.0.13"],
      ["deleteServer", "10.0.0.11"],
    ]);
  });

  test("deletes services only after the new ones stand", () => {
    const after = desiredOf(
      config("services: [{address: 10.0.0.101, port: 80, servers: [{address: 10.0.0.11}]}]"),
    );
    expect(difference(desiredOf(config(WEB)), after).map((command) => command.kind)).toEqual([
      "addService",
      "addServer",
      "deleteService",
    ]);
  });

  test("leaves a timeout alone that the config does not name", () => {
    const now = { services: [], timeouts: { tcp: 900, tcpfin: 120, udp: 300 } };
    const want = { services: [], timeouts: { tcp: 900, tcpfin: 0, udp: 30 } };
    expect(difference(now, want)).toEqual([
      { kind: "setTimeouts", timeouts: { tcp: 0, tcpfin: 0, udp: 30 } },
    ]);
  });

  const server = fc.record({
    address: fc.integer({ min: 1, max: 5 }).map((n) => `10.0.0.${n}`),
    port: fc.constant(80),
    weight: fc.integer({ min: 0, max: 2 }),
    method: fc.constant("route" as const),
    upper: fc.constant(0),
    lower: fc.constant(0),
  });
  const service = fc.record({
    key: fc.integer({ min: 1, max: 4 }).map((n) => ({
      protocol: "tcp" as const,
      family: 4 as const,
      address: `10.1.0.${n}`,
      port: 80,
      mark: 0,
    })),
    scheduler: fc.constantFrom("rr", "wlc"),
    flags: fc.constant(0),
    persistence: fc.constantFrom(0, 60),
    netmask: fc.constant("255.255.255.255"),
    onePacket: fc.constant(false),
    servers: fc.uniqueArray(server, { selector: serverKeyText, maxLength: 5 }),
  });
  const state = fc
    .uniqueArray(service, { selector: (s) => serviceKeyText(s.key), maxLength: 4 })
    .map((services) => ({ services, timeouts: { tcp: 0, tcpfin: 0, udp: 0 } }));

  test("leads from any state to any other, and never deletes what stays", () => {
    fc.assert(
      fc.property(state, state, (before, after) => {
        const commands = difference(before, after);
        const { state: reached, emptied } = carryOut(before, commands);
        expect(normal(reached.values())).toEqual(normal(after.services));
        const wanted = new Map(after.services.map((s) => [serviceKeyText(s.key), s]));
        for (const command of commands) {
          if (command.kind === "deleteService")
            expect(wanted.has(serviceKeyText(command.service))).toBe(false);
          if (command.kind === "deleteServer") {
            const stays = wanted.get(serviceKeyText(command.service))?.servers.map(serverKeyText);
            expect(stays).not.toContain(serverKeyText(command.server));
          }
        }
        // A service that is to have servers never stands without one on the way.
        for (const key of emptied) expect(wanted.get(key)?.servers).toEqual([]);
      }),
    );
  });
});
