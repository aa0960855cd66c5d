import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { apiOver } from "./server.ts";
import { newCommands } from "./world.ts";

describe("bad requests", () => {
  const api = apiOver(newCommands());
  const post = async (body: unknown): Promise<{ status: number; code: string; message: string }> => {
    const payload = JSON.stringify(body) ?? "";
    const headers = { "content-type": "application/json" };
    const answer = await api.inject({ method: "POST", url: "/v1/ipvsadm", headers, payload });
    return { status: answer.statusCode, ...(answer.statusCode === 200 ? {} : answer.json().error) };
  };

  it("are told where they are wrong", async () => {
    const service = { protocol: "tcp", family: 4, address: "10.0.0.100", port: 80, mark: 0 };
    const server = { address: "10.0.0.11", port: 80, weight: -1, method: "route", upper: 0, lower: 0 };
    expect(
      await post({ command: { kind: "addServer", service, server: { ...server, weight: 0.5 } } }),
    ).toMatchObject({
      status: 400,
      code: "EINVAL",
      message: expect.stringContaining("command.server.weight"),
    });
    const second = { kind: "deleteService", service: { ...service, port: 70_000 } };
    expect((await post({ commands: [{ kind: "clear" }, second] })).message).toContain(
      "commands.1.service.port",
    );
    for (const body of [
      null,
      1,
      "x",
      [],
      {},
      { command: 1 },
      { commands: {} },
      { command: { kind: "restore" } },
    ]) {
      expect(await post(body)).toMatchObject({ status: 400, code: "EINVAL" });
    }
  });

  it("never crash it, whatever the body", async () => {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), async (body) => {
        const { status, code, message } = await post(body);
        expect({ status, code }).toEqual({ status: 400, code: "EINVAL" });
        expect(message).not.toBe("");
      }),
    );
    for (const payload of ["", "{", "\u0000", "[".repeat(100_000), '{"command":']) {
      const headers = { "content-type": "application/json" };
      expect((await api.inject({ method: "POST", url: "/v1/ipvsadm", headers, payload })).statusCode).toBe(
        400,
      );
    }
  });

  it("that contradict themselves are answered too", async () => {
    const key = fc.record({
      protocol: fc.constantFrom("tcp", "udp", "sctp", "fwm"),
      family: fc.constantFrom(4, 6),
      address: fc.constantFrom(
        "10.0.0.100",
        "2001:db8::1",
        "::",
        "0.0.0.0",
        "::ffff:1.2.3.4",
        "",
        "web",
        "10.0.0.1/24",
      ),
      port: fc.nat(65_535),
      mark: fc.constantFrom(0, 1, 2 ** 32 - 1),
    });
    const server = fc.record({
      address: fc.constantFrom(
        "10.0.0.11",
        "2001:db8::11",
        "::",
        "::1",
        "fe80::1",
        "255.255.255.255",
        "",
        "web",
        "1.2.3",
      ),
      port: fc.nat(65_535),
      weight: fc.constantFrom(0, 1, 2 ** 31 - 1),
      method: fc.constantFrom("route", "masq", "tunnel"),
      upper: fc.nat(10),
      lower: fc.nat(10),
    });
    const service = fc.record({
      key,
      scheduler: fc.constantFrom("rr", "wlc", "mh", "none", "constructor"),
      flags: fc.constantFrom(0, 8, 0x38),
      persistence: fc.constantFrom(0, 300),
      netmask: fc.constantFrom("255.255.255.0", "64", "0", "999", "", "x", "255.255.255.256"),
      onePacket: fc.boolean(),
    });
    const command = fc.oneof(
      fc.record({ kind: fc.constantFrom("addService", "editService"), service }),
      fc.record({ kind: fc.constantFrom("deleteService", "zero"), service: key }),
      fc.record({ kind: fc.constantFrom("addServer", "editServer"), service: key, server }),
      fc.record({
        kind: fc.constant("deleteServer"),
        service: key,
        server: server.map(({ address, port }) => ({ address, port })),
      }),
    );
    await fc.assert(
      fc.asyncProperty(command, async (one) => {
        expect([200, 400, 403, 404, 409, 501, 507]).toContain((await post({ command: one })).status);
      }),
      { numRuns: 1000 },
    );
  });
});
