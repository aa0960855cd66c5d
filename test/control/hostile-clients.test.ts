/** Clients that do not behave: the director goes on serving those that do, with bounded memory. */
import { connect, type Socket } from "node:net";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { ApiClient } from "../../src/cli/api-client.ts";
import type { Director } from "../../src/control/director.ts";
import type { ConnectionListing } from "../../src/control/model.ts";
import { World } from "../dataplane/world.ts";
import { directorOf, serveDirector, serveWorld } from "../helpers/api.ts";

let world: World;
let socket: string;
beforeEach(async () => {
  world = new World();
  socket = await serveWorld(world);
});

function open(): Promise<Socket> {
  return new Promise((resolve) => {
    const caller = connect(socket, () => resolve(caller));
    caller.on("error", () => {});
    onTestFinished(() => void caller.destroy());
  });
}

/** All that comes until the other side hangs up. */
function answerOf(caller: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    caller.setEncoding("utf8").on("data", (piece: string) => {
      text += piece;
    });
    caller.on("close", () => resolve(text));
  });
}

const services = () => new ApiClient(socket).json<{ servers: unknown[] }[]>("/v1/services");
const isWell = async () => expect((await services())[0]!.servers).toHaveLength(3);

describe("a request that is only half there", () => {
  test.each([
    ["not even a line", "POST /v1/ipv"],
    ["headers without an end", "POST /v1/ipvsadm HTTP/1.1\r\nHost: d\r\nContent-"],
    [
      "a body that breaks off",
      'POST /v1/ipvsadm HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"command":{"kind":"cl',
    ],
  ])("%s changes nothing and holds nobody up", async (_, text) => {
    const caller = await open();
    caller.write(text);
    await isWell();
    caller.destroy();
    await isWell();
  });

  test("a hundred of them are no trouble", async () => {
    const clients = await Promise.all(Array.from({ length: 100 }, open));
    for (const each of clients) each.write("GET /v1/services HTTP/1.1\r\nHost:");
    await isWell();
  });
});

describe("what is no request", () => {
  test.each([
    ["noise", "\x00\x01\x02\xff\r\n\r\n", /^HTTP\/1\.1 400 /],
    ["TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", /^HTTP\/1\.1 400 /],
    [
      "headers without an end in sight",
      `GET / HTTP/1.1\r\nX: ${"x".repeat(100_000)}\r\n\r\n`,
      /^HTTP\/1\.1 431 /,
    ],
  ])("%s is refused", async (_, text, expected) => {
    const caller = await open();
    const answer = answerOf(caller);
    caller.write(text, "latin1");
    expect(await answer).toMatch(expected);
    await isWell();
  });

  test("a body larger than any rules file is refused before it is read", async () => {
    const caller = await open();
    const answer = answerOf(caller);
    const length = 10 * 1024 ** 3;
    caller.write(
      `POST /v1/plan HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n{`,
    );
    const text = await Promise.race([
      answer,
      new Promise<string>((resolve) => caller.once("data", (data) => resolve(String(data)))),
    ]);
    expect(text).toMatch(/^HTTP\/1\.1 413 /);
    expect(text).toContain('"code":"EINVAL"');
    await isWell();
  });

  test("a body that says nothing of its length is cut off where it is too long", async () => {
    const caller = await open();
    const answer = answerOf(caller);
    caller.write(
      "POST /v1/plan HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    const chunk = `100000\r\n${" ".repeat(0x100000)}\r\n`;
    let ended = false;
    caller.on("close", () => {
      ended = true;
    });
    for (let i = 0; i < 200 && !ended; i++) {
      if (!caller.write(chunk))
        await Promise.race([new Promise((resolve) => caller.once("drain", resolve)), answer]);
    }
    expect(await answer).toMatch(/^HTTP\/1\.1 413 /);
    await isWell();
  });
});

test("a client that never reads holds neither the others nor the memory", async () => {
  const ROWS = 1_000_000;
  let made = 0;
  function* rows(): Generator<ConnectionListing> {
    for (; made < ROWS; made++) yield { client: "10.0.0.1", state: "ESTABLISHED" } as ConnectionListing;
  }
  const director = directorOf(world);
  const execute: Director["execute"] = (command) =>
    command.kind === "list"
      ? { ok: true, listing: { kind: "connections", connections: rows() } }
      : director.execute(command);
  socket = await serveDirector({ ...director, region: world.region, execute } as Director);
  const caller = await open();
  caller.pause();
  caller.write("GET /v1/connections HTTP/1.1\r\nHost: d\r\n\r\n");
  for (let i = 0; i < 20; i++) await isWell();
  // No more of the listing is made than fits into the socket and a buffer or two.
  expect(made).toBeGreaterThan(100);
  expect(made).toBeLessThan(ROWS / 20);
});

test("a command whose client hangs up before the answer is done all the same, whole", async () => {
  const body = JSON.stringify({ command: { kind: "clear" } });
  const caller = await open();
  caller.write(
    `POST /v1/ipvsadm HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    () => caller.destroy(),
  );
  for (let i = 0; i < 100 && (await services()).length > 0; i++) await new Promise((r) => setTimeout(r, 10));
  expect(await services()).toEqual([]);
});
