/** A kernel that gives us no rule: the administrator hears of it, or with `silence: require` nothing begins. */
import { expect, test, vi } from "vitest";
import { defaultConfig } from "../../src/control/config.ts";
import { type DirectorEvent, Events } from "../../src/control/events.ts";
import { Forwarding } from "../../src/control/forwarding.ts";
import { openState } from "../../src/control/region-file.ts";

vi.mock("../../src/control/silence.ts", async (original) => ({
  ...(await original<object>()),
  Silence: class {
    constructor() {
      throw new Error("the kernel refused the table: operation not supported");
    }
  },
}));

const SIZES = { shards: 1, services: 4, destinations: 4, connections: 16, templates: 4, neighbours: 4 };

/** What opening says and how it ends; there is no such interface, so the rings are never had. */
async function open(silence: "auto" | "require" | "off") {
  const state = openState("none", SIZES, 1_000);
  const heard: DirectorEvent[] = [];
  const events = new Events();
  events.on((event) => heard.push(event));
  const forwarding = new Forwarding({
    state,
    config: { ...defaultConfig(), silence },
    interfaceName: "no-such-link",
    schedulers: [],
    events,
    filter: () => [],
    kicked: () => {},
    suspend: () => {},
    serviceName: () => "",
  });
  const error = await forwarding.open().catch((reason: Error) => reason);
  await forwarding.close();
  state.close();
  return {
    error: error as Error,
    said: heard.map(({ level, name, message }) => `${level} ${name}: ${message}`),
  };
}

const SENTENCE =
  "the host's own stack may answer the services' traffic: the kernel refused the table: operation not supported";

test("auto warns and goes on to the rings", async () => {
  const { error, said } = await open("auto");
  expect(said).toEqual([`warn silence: ${SENTENCE}`]);
  expect(error.message).toMatch(/no-such-link|ENODEV|No such device/);
});

test("require refuses to begin", async () => {
  const { error, said } = await open("require");
  expect([error.name, error.message]).toEqual(["SilenceError", `${SENTENCE} (silence: require)`]);
  expect(said).toEqual([]);
});

test("off asks for nothing", async () => {
  expect((await open("off")).said).toEqual([]);
});
