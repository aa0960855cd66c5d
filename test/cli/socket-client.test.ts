import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DirectorUnreachable } from "../../src/cli/director-client.ts";
import { PLAIN_FORMAT } from "../../src/cli/ipvsadm-grammar.ts";
import { SocketClient } from "../../src/cli/socket-client.ts";
import type { DirectorCommand } from "../../src/control/model.ts";
import { apiOver } from "./server.ts";
import { newCommands } from "./world.ts";

const KEY = { protocol: "tcp", family: 4, address: "10.0.0.100", port: 80, mark: 0 } as const;
const ADD: DirectorCommand = {
  kind: "addService",
  service: {
    key: KEY,
    scheduler: "rr",
    flags: 0,
    persistence: 0,
    netmask: "255.255.255.255",
    onePacket: false,
  },
};
const LIST = { kind: "list", what: "services", format: PLAIN_FORMAT } as const;

let folder: string;
let socket: string;
let stop: (() => Promise<unknown>) | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "socket-client-"));
  socket = join(folder, "control.sock");
});
afterEach(async () => {
  await stop?.();
  stop = undefined;
  rmSync(folder, { recursive: true, force: true });
});

function listen(server: Server): Promise<void> {
  stop = () =>
    new Promise((resolve) => {
      server.closeAllConnections();
      server.close(resolve);
    });
  return new Promise((resolve) => server.listen(socket, resolve));
}

describe("the director over its socket", () => {
  beforeEach(async () => {
    const api = apiOver(newCommands());
    await api.listen({ path: socket });
    stop = () => api.close();
  });

  it("carries out a batch in order and tells each failure", async () => {
    const client = new SocketClient(socket);
    const drop: DirectorCommand = { kind: "deleteService", service: KEY };
    const codes = (await client.change([ADD, ADD, drop, drop, ADD])).map((error) => error?.code ?? "ok");
    expect(codes).toEqual(["ok", "EEXIST", "ok", "ESRCH", "ok"]);
    expect((await client.change([ADD])).map((error) => error?.code)).toEqual(["EEXIST"]);
  });

  it("lists row by row, and says when there is nothing such", async () => {
    const client = new SocketClient(socket);
    await client.change([ADD]);
    const answer = await client.list(LIST);
    if (answer.kind !== "services") throw new Error(answer.kind);
    const rows = [];
    for await (const row of answer.services) rows.push(row.key);
    expect(rows).toEqual([KEY]);
    const none = await client.list({ ...LIST, service: { ...KEY, port: 81 } });
    expect(none).toMatchObject({ kind: "error", error: { code: "ESRCH" } });
    expect(await client.list({ ...LIST, what: "daemons" })).toEqual({ kind: "daemons" });
    expect(await client.list({ ...LIST, what: "timeouts" })).toEqual({
      kind: "timeouts",
      timeouts: { tcp: 900, tcpfin: 120, udp: 300 },
    });
  });
});

describe("no director over its socket", () => {
  const reason = async (client = new SocketClient(socket, 100)): Promise<string> => {
    try {
      await client.change([ADD, ADD]);
    } catch (error) {
      expect(error).toBeInstanceOf(DirectorUnreachable);
      return (error as Error).message;
    }
    return "";
  };

  it("because there is none", async () => {
    expect(await reason()).toContain("(there is no such socket)");
  });

  it("because it is a file", async () => {
    writeFileSync(socket, "");
    expect(await reason()).toMatch(/\((it is not a socket|nobody listens there)\)/);
  });

  it("because it never answers", async () => {
    await listen(createServer(() => {}));
    expect(await reason()).toContain("(no answer within 0.1 s)");
  });

  it("because it stops in the middle of a listing", async () => {
    await listen(createServer((_, response) => void response.write('{"kind":"connections"}\n')));
    const answer = await new SocketClient(socket, 100).list({ ...LIST, what: "connections" });
    if (answer.kind !== "connections") throw new Error(answer.kind);
    await expect(answer.connections[Symbol.asyncIterator]().next()).rejects.toThrow(/Can't initialize ipvs/);
  });

  it("because it answers something else", async () => {
    await listen(createServer((_, response) => response.writeHead(404).end("not found")));
    expect(await reason()).toContain("(it answered 404: not found)");
  });
});
