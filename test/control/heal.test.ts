/** A state file that somebody has written over: the director starts with it, never hangs, and its sums agree. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openState } from "../../src/control/region-file.ts";
import { steer } from "../../src/control/steering.ts";
import {
  C_CLIENT,
  C_DESTINATION,
  C_EXPIRES,
  C_KIND,
  C_NEXT,
  C_STATUS,
  C_TIMER_NEXT,
  C_TIMER_PREV,
  ROW_SHIFT,
} from "../../src/table/connections.ts";
import { Header, type Region } from "../../src/table/region.ts";
import { SCHEDULER_WORDS } from "../../src/table/services.ts";
import { Setting } from "../../src/table/settings.ts";
import { client, serverOf, tcp, World } from "../dataplane/world.ts";

const SYN = 0x02;
const ACK = 0x10;
const FLOWS = 60;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "dr-director-heal-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const flow = (i: number) => ({ source: client(i), sourcePort: 2000 + i });

/** A director at work: two services of three real servers, established connections, persistence templates. */
function busy(shards: number, scheduler = "wrr"): { world: World; servers: number[] } {
  const world = new World({ shards, scheduler, weights: [3, 1, 2], persistence: 300 });
  const service = { ...world.key, port: 81 };
  const spec = {
    key: service,
    scheduler: "rr",
    flags: 0,
    persistence: 0,
    netmask: "255.255.255.255",
    onePacket: false,
  };
  world.run({ kind: "addService", service: spec });
  for (const n of [1, 2, 3]) {
    const server = {
      address: `10.0.0.${10 + n}`,
      port: 81,
      weight: 1,
      method: "route" as const,
      upper: 0,
      lower: 0,
    };
    world.run({ kind: "addServer", service, server });
  }
  world.resolveAll();
  const servers = Array.from({ length: FLOWS }, (_, i) => {
    const server = serverOf(world.send(tcp({ ...flow(i), flags: SYN }))[0]);
    world.send(tcp({ ...flow(i), flags: ACK }));
    return server;
  });
  return { world, servers };
}

/** The process ends, `spoil` writes over its file, and another one opens it. */
function reopen(world: World, spoil: (words: Int32Array) => void) {
  const words = new Int32Array(world.region.header.buffer.slice(0, world.region.bytes));
  spoil(words);
  const path = join(folder, "state");
  rmSync(path, { force: true });
  writeFileSync(path, words);
  const state = openState(path, world.region.sizes, world.now);
  steer(state.region, false);
  const next = new World({ region: state.region, resolved: false });
  return { next, ...state };
}

/** Where a column's row stands in the file, in words. */
function at(column: { byteOffset: number }, row = 0): number {
  return column.byteOffset / 4 + row;
}

function everySumAgrees(world: World): void {
  const { received, verdicts } = world.balance();
  expect(received).toBe(verdicts);
  for (const { live, active, inactive } of world.census().values()) expect(active + inactive).toBe(live);
  const { templates, destinations } = world.region;
  expect(destinations.persistent.reduce((sum, n) => sum + n, 0)).toBe(templates.live);
  for (const kind of ["save", "list"] as const) {
    const format = { numeric: true, columns: "plain", exact: true, nosort: true } as const;
    const result = world.commands.execute(
      kind === "save" ? { kind, numeric: true } : { kind, what: "connections", format },
    );
    if (!result.ok) throw new Error(result.error.message);
    const text = JSON.stringify(result, (_, value) =>
      value?.[Symbol.iterator] && typeof value !== "string" ? [...value] : value,
    );
    expect(text).not.toContain("null");
  }
}

/** Does everything that a director does with its tables, to the end of every timer. */
function live(world: World): void {
  for (let i = 0; i < FLOWS + 20; i++) world.send(tcp({ ...flow(i), flags: i < FLOWS ? ACK : SYN }));
  world.send(tcp({ ...flow(5), flags: SYN, destinationPort: 81 }));
  everySumAgrees(world);
  for (let hours = 0; hours < 3; hours++) {
    world.now += 3_600_000;
    world.turn();
  }
  everySumAgrees(world);
}

const word = fc.oneof(
  fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  fc.constantFrom(0, 1, -1, 2, 0x7ff0_0000, -(2 ** 31), 2 ** 31 - 1, 0x1_0000, 300),
);
/** Where: somewhere among what is used, for most of a region is empty; what: a new word or a flipped bit. */
const blow = fc.record({
  used: fc.integer({ min: 0, max: 9 }).map((n) => n > 0),
  where: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
  word: fc.option(word, { nil: undefined }),
  bit: fc.integer({ min: 0, max: 31 }),
});
type Blow = typeof blow extends fc.Arbitrary<infer T> ? T : never;

function strike(words: Int32Array, blows: readonly Blow[], from: number): void {
  const used: number[] = [];
  for (let i = from; i < words.length; i++) if (words[i] !== 0) used.push(i);
  for (const { used: among, where, word: value, bit } of blows) {
    const place = among
      ? used[Math.floor(where * used.length)]!
      : from + Math.floor(where * (words.length - from));
    words[place] = value ?? words[place]! ^ (1 << bit);
  }
}

describe("a state file with any words written over", () => {
  test.each([1, 3])("starts, with %i shards", (shards) => {
    const { world } = busy(shards);
    fc.assert(
      fc.property(fc.array(blow, { minLength: 1, maxLength: 40 }), (blows) => {
        const { next, close } = reopen(world, (words) => strike(words, blows, 0));
        live(next);
        close();
      }),
      { numRuns: 100 },
    );
  });

  test("starts when a whole page of it is noise", () => {
    const { world } = busy(2);
    const pages = Math.floor(world.region.bytes / 4096);
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: pages - 1 }),
        fc.array(word, { minLength: 64, maxLength: 64 }),
        (page, noise) => {
          const { next, close } = reopen(world, (words) => {
            for (let i = 0; i < 1024; i++) words[page * 1024 + i] = noise[i % 64]! ^ i;
          });
          live(next);
          close();
        },
      ),
      { numRuns: 60 },
    );
  });
});

/** What only follows from the rows: whatever it says, nothing is lost and there is nothing to tell. */
const DERIVED: [string, (region: Region, words: Int32Array) => void][] = [
  [
    "a chain that leads back to itself",
    ({ shards }, words) => {
      const { rows, heads } = shards[0]!.connections;
      for (let row = 0; row < 8; row++) words[at(rows, (row << ROW_SHIFT) + C_NEXT)] = row + 1;
      for (let head = 0; head < heads.length; head++) words[at(heads, head)] = 3;
    },
  ],
  [
    "timers that lead nowhere",
    ({ shards }, words) => {
      const { rows } = shards[0]!.connections;
      for (let row = 0; row < 8; row++) {
        words[at(rows, (row << ROW_SHIFT) + C_TIMER_NEXT)] = 1 << 30;
        words[at(rows, (row << ROW_SHIFT) + C_TIMER_PREV)] = -(1 << 30);
      }
    },
  ],
  [
    "counts of nothing",
    ({ shards, destinations }, words) => {
      words[at(shards[0]!.counters.active, 1)] = -70;
      words[at(shards[0]!.counters.inactive, 2)] = 1 << 30;
      words[at(destinations.persistent, 1)] = 99;
    },
  ],
  [
    "locks that nobody will open",
    ({ services, header }, words) => {
      words[at(services.lock, 0)] = 77;
      words[at(header, Header.TemplateLock)] = 3;
    },
  ],
  [
    "neighbours' users",
    ({ neighbours }, words) => {
      words[at(neighbours.users, 0)] = -3;
    },
  ],
  [
    "flows said to live where they arrived",
    ({ header }, words) => {
      words[at(header, Header.ByArrival)] = 1;
    },
  ],
];

/** What rows say that cannot be: it is put right, and the administrator hears of it. */
const PUT_RIGHT: [string, RegExp, (region: Region, words: Int32Array) => void][] = [
  [
    "a list of real servers that leads back to itself",
    /lists of real servers/,
    ({ destinations, services }, words) => {
      const first = services.first[0]!;
      words[at(destinations.next, first)] = first;
    },
  ],
  [
    "a list that begins nowhere",
    /3 lists of real servers/,
    ({ services }, words) => {
      words[at(services.first, 0)] = 1 << 20;
    },
  ],
  [
    "a table's end before its rows",
    /table of connections put right/,
    ({ shards }, words) => {
      words[cellsOf(shards[0]!.connections)] = 2;
    },
  ],
  [
    "a table's end far behind it",
    /table of connections put right/,
    ({ shards }, words) => {
      words[cellsOf(shards[0]!.connections)] = 1 << 30;
    },
  ],
  [
    "an address that is half IPv6",
    /connections put right/,
    ({ shards }, words) => {
      words[at(shards[0]!.connections.rows, (3 << ROW_SHIFT) + C_CLIENT + 1)] = 9;
    },
  ],
  [
    "a state that TCP does not have",
    /connections put right/,
    ({ shards }, words) => {
      words[at(shards[0]!.connections.rows, (3 << ROW_SHIFT) + C_STATUS)]! |= 0xff;
    },
  ],
  [
    "a neighbour that is another's",
    /real servers put right/,
    ({ destinations }, words) => {
      words[at(destinations.neighbour, 0)] = destinations.neighbour[1]!;
    },
  ],
  [
    "a neighbour that is none",
    /real servers put right/,
    ({ destinations }, words) => {
      words[at(destinations.neighbour, 0)] = 1 << 20;
    },
  ],
  [
    "a method that cannot be",
    /real servers put right/,
    ({ destinations }, words) => {
      words[at(destinations.method, 0)] = -9;
    },
  ],
  [
    "counters that are no numbers",
    /counters/,
    ({ shards }, words) => {
      const { verdict, shard, destination } = shards[0]!.counters;
      for (const column of [verdict, shard, destination]) words.fill(0x7ff8_0000, at(column), at(column) + 4);
    },
  ],
  [
    "a timeout that is none",
    /timeouts/,
    ({ settings }, words) => {
      words[at(settings, Setting.timeout_tcp + 1)] = -5;
    },
  ],
  [
    "a scheduler without a name",
    /services put right/,
    ({ services }, words) => {
      words[at(services.scheduler, 0)] = -1;
    },
  ],
];

/** A table's own words; the first says how many rows were ever used. */
function cellsOf(table: Region["templates"]): number {
  return at((table as unknown as { cells: Int32Array }).cells);
}

describe("damage", () => {
  test.each(DERIVED)("%s: every connection goes on, and there is nothing to tell", (_what, spoil) => {
    const { world, servers } = busy(1);
    const { next, warnings, close } = reopen(world, (words) => spoil(world.region, words));
    expect(warnings).toEqual([]);
    servers.forEach((server, i) => {
      expect(serverOf(next.send(tcp({ ...flow(i), flags: ACK }))[0])).toBe(server);
    });
    live(next);
    close();
  });

  test.each(PUT_RIGHT)(
    "%s: every connection goes on, and the administrator is told",
    (_what, told, spoil) => {
      const { world, servers } = busy(1);
      const { next, warnings, region, close } = reopen(world, (words) => spoil(world.region, words));
      expect(warnings.join()).toMatch(/was damaged \(.*\): the director goes on with what was whole/);
      expect(warnings.join()).toMatch(told);
      expect(region.header[Header.Config]).toBe(0); // what the config says is looked at once more
      next.resolveAll();
      servers.forEach((server, i) => {
        expect(serverOf(next.send(tcp({ ...flow(i), flags: ACK }))[0])).toBe(server);
      });
      live(next);
      close();
    },
  );

  test("after it nobody is sent to a MAC that may be a stranger's: every neighbour is asked anew", () => {
    const { world } = busy(1);
    const { next, close } = reopen(world, (words) => {
      words[at(world.region.destinations.method, 0)] = 77;
      words[at(world.region.neighbours.macLo, 0)]! ^= 4;
    });
    expect(next.send(tcp({ ...flow(0), flags: ACK }))).toEqual([]);
    expect(next.verdicts().Waiting).toBe(1);
    close();
  });

  test("a service that is not said to be there, though its real servers are, is there", () => {
    const { world, servers } = busy(1, "rr");
    const { next, warnings, close } = reopen(world, (words) => {
      words[at(world.region.services.live, 0)] = 0;
      words[at(world.region.services.live, 1)] = 0x4001;
    });
    expect(warnings.join()).toMatch(/2 services put right/);
    next.resolveAll();
    expect(serverOf(next.send(tcp({ ...flow(0), flags: ACK }))[0])).toBe(servers[0]);
    expect(serverOf(next.send(tcp({ ...flow(900), flags: SYN }))[0])).toBeGreaterThan(0);
    close();
  });

  test("a service that cannot be is let go; its real servers come back with their connections when it does", () => {
    const { world, servers } = busy(1, "rr");
    const { next, warnings, close } = reopen(world, (words) => {
      words[at(world.region.services.protocol, 0)] = 250;
    });
    expect(warnings.join()).toMatch(/1 services let go, 3 real servers let go/);
    expect(next.send(tcp({ ...flow(0), flags: ACK }))).toEqual([]);
    expect(next.verdicts().DestinationGone).toBe(1);
    next.addService("rr", 300);
    for (const n of [1, 2, 3]) next.addServer(n);
    next.resolveAll();
    servers.forEach((server, i) => {
      expect(serverOf(next.send(tcp({ ...flow(i), flags: ACK }))[0])).toBe(server);
    });
    live(next);
    close();
  });

  test("a connection that belongs to nobody is let go, and its timer runs out for no one", () => {
    const { world } = busy(1);
    const { rows } = world.region.shards[0]!.connections;
    const { next, warnings, close } = reopen(world, (words) => {
      words[at(rows, (0 << ROW_SHIFT) + C_DESTINATION)] = 1 << 25;
      words[at(rows, (1 << ROW_SHIFT) + C_KIND)] = 99;
      words[at(rows, (2 << ROW_SHIFT) + C_EXPIRES)] = world.now / 10 + (1 << 30);
    });
    expect(warnings.join()).toMatch(/2 connections let go/);
    expect(next.region.shards[0]!.connections.live).toBe(FLOWS - 2);
    next.now += 901_000;
    next.turn();
    expect(next.region.shards[0]!.connections.live).toBe(0);
    close();
  });

  test.each(["rr", "wrr", "twos", "lblc", "lblcr"])(
    "positions of %s that cannot be: it goes on choosing",
    (scheduler) => {
      const { world } = busy(1, scheduler);
      const { memory } = world.region.services;
      fc.assert(
        fc.property(fc.array(word, { minLength: SCHEDULER_WORDS, maxLength: SCHEDULER_WORDS }), (noise) => {
          const { next, close } = reopen(world, (words) => words.set(noise, at(memory)));
          const chosen = Array.from({ length: 6 }, (_, i) =>
            serverOf(next.send(tcp({ ...flow(100 + i), flags: SYN }))[0]),
          );
          expect(chosen.every((server) => server >= 1 && server <= 3)).toBe(true);
          close();
        }),
        { numRuns: 30 },
      );
    },
  );

  test("a flow in another shard's table is found there", () => {
    const { world, servers } = busy(3);
    const { next, close } = reopen(world, (words) => {
      words[at(world.region.header, Header.Seed)]! ^= 0x55;
    });
    servers.forEach((server, i) => {
      expect(serverOf(next.send(tcp({ ...flow(i), flags: ACK }))[0])).toBe(server);
    });
    everySumAgrees(next);
    close();
  });
});
