import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { attachCommands } from "../../src/control/commands.ts";
import { bootWord, type OpenRegion, openState, StateError } from "../../src/control/region-file.ts";
import { registerBuiltIn } from "../../src/schedulers/built-in.ts";
import { Header, type Region, type Sizes } from "../../src/table/region.ts";

const SIZES: Sizes = {
  shards: 1,
  services: 16,
  destinations: 64,
  connections: 256,
  templates: 64,
  neighbours: 16,
};
const NOW = 10_000;

let folder: string;
let path: string;
let open: OpenRegion[] = [];

beforeEach(() => {
  registerBuiltIn();
  folder = mkdtempSync(join(tmpdir(), "dr-director-state-"));
  path = join(folder, "run", "state");
});

afterEach(() => {
  for (const state of open) state.close();
  open = [];
  rmSync(folder, { recursive: true, force: true });
});

function start(sizes: Partial<Sizes> = {}, file = path): OpenRegion {
  const state = openState(file, { ...SIZES, ...sizes }, NOW);
  open.push(state);
  return state;
}

function end(state: OpenRegion): void {
  state.close();
  open = open.filter((other) => other !== state);
}

function addService(region: Region): void {
  const key = { protocol: "tcp" as const, family: 4 as const, address: "10.0.0.100", port: 80, mark: 0 };
  const service = {
    key,
    scheduler: "rr",
    flags: 0,
    persistence: 0,
    netmask: "255.255.255.255",
    onePacket: false,
  };
  expect(attachCommands(region, { now: () => NOW }).execute({ kind: "addService", service }).ok).toBe(true);
}

const services = (region: Region): number => region.services.live.reduce((sum, live) => sum + live, 0);

/** Changes one word of the file's header. */
function poke(word: number, value: number): void {
  const bytes = readFileSync(path);
  bytes.writeInt32LE(value, word * 4);
  writeFileSync(path, bytes);
}

describe("the state file", () => {
  test("is made with its folder, for us alone, every page of it reserved", () => {
    const state = start();
    expect(state.restored).toBe(false);
    const { size, mode, blocks } = statSync(path);
    expect(size).toBe(state.bytes);
    expect(mode & 0o777).toBe(0o600);
    expect(blocks * 512).toBeGreaterThanOrEqual(state.bytes);
    expect(readdirSync(join(folder, "run"))).toEqual(["state"]);
  });

  test("outlives its director: services, seed and all", () => {
    const first = start();
    addService(first.region);
    const seed = first.region.header[Header.Seed];
    end(first);
    const second = start();
    expect(second.restored).toBe(true);
    expect(second.warnings).toEqual([]);
    expect(services(second.region)).toBe(1);
    expect(second.region.header[Header.Seed]).toBe(seed);
  });

  test("says whether its last owner ended in order", () => {
    const state = start();
    expect(state.region.header[Header.Clean]).toBe(0);
    expect(state.region.header[Header.Owner]).toBe(process.pid);
    end(state);
    expect(readFileSync(path).readInt32LE(Header.Clean * 4)).toBe(1);
  });

  test("belongs to one director at a time", () => {
    start();
    expect(() => start()).toThrow(StateError);
    expect(() => start()).toThrow(/in use: another director/);
  });

  test("can be left away: none keeps the state in memory", () => {
    const state = start({}, "none");
    addService(state.region);
    expect(existsSync(join(folder, "run"))).toBe(false);
  });

  test.each<[string, () => void, RegExp]>([
    ["of another program", () => poke(Header.Magic, 7), /does not begin as/],
    ["of a newer version", () => poke(Header.Version, 99), /layout version 99/],
    ["never laid out completely", () => poke(Header.Whole, 0), /never completely laid out/],
    ["with senseless sizes", () => poke(Header.Services, -4), /sizes make no sense/],
    ["cut short", () => truncateSync(path, 4096), /4096 bytes long/],
    ["shorter than a header", () => truncateSync(path, 10), /shorter than a header/],
    ["empty", () => truncateSync(path, 0), /it is empty/],
  ])("%s is set aside with the reason, and a new one begun", (_what, spoil, reason) => {
    end(start());
    spoil();
    const spoilt = readFileSync(path);
    const state = start();
    expect(state.restored).toBe(false);
    expect(state.warnings.join()).toMatch(reason);
    expect(state.warnings.join()).toContain(`${path}.aside-1`);
    expect(readFileSync(`${path}.aside-1`).equals(spoilt)).toBe(true);
    addService(state.region);
    end(state);
    poke(Header.Magic, 8);
    expect(start().warnings.join()).toContain(`${path}.aside-2`);
  });

  test("of other sizes is moved into them", () => {
    const first = start();
    addService(first.region);
    end(first);
    const second = start({ shards: 3, connections: 128 });
    expect(second.restored).toBe(true);
    expect(second.region.sizes).toMatchObject({ shards: 3, connections: 128 });
    expect(services(second.region)).toBe(1);
    expect(readdirSync(join(folder, "run"))).toEqual(["state"]);
    expect(() => start({ shards: 3, connections: 128 })).toThrow(/in use/);
  });

  test("of a start that was interrupted is begun anew", () => {
    end(start());
    rmSync(path);
    writeFileSync(`${path}.new`, Buffer.alloc(9_000_000, 0xaa));
    const state = start();
    addService(state.region);
    expect(statSync(path).size).toBe(state.bytes);
  });

  test("from before the last boot goes on with the new clock", () => {
    end(start());
    poke(Header.Boot, bootWord() ^ 2);
    const state = start();
    expect(state.restored).toBe(true);
    expect(state.region.header[Header.Boot]).toBe(bootWord());
  });

  test("that is a folder, or lies where none can be, is a clear error", () => {
    expect(() => start({}, folder)).toThrow(/cannot be used as state file/);
    writeFileSync(join(folder, "file"), "");
    expect(() => start({}, join(folder, "file", "state"))).toThrow(StateError);
  });
});
