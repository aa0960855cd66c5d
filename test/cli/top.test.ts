/** `dr-director top`: the screen at any size, its keys, and the program on a real terminal. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fitting, shortNumber } from "../../src/cli/top/columns.ts";
import { drawScreen, plainLines } from "../../src/cli/top/screen.ts";
import type { Snapshot } from "../../src/cli/top/snapshot.ts";
import { FIRST_VIEW, KEYS, keysIn, pressed, SORTS, type View } from "../../src/cli/top/view.ts";
import { readCounters } from "../../src/control/counters.ts";
import type { ServerListing, ServiceListing } from "../../src/control/model.ts";
import { NO_STATS } from "../../src/control/model.ts";
import { built } from "../../src/lab/built.ts";
import { run } from "../../src/lab/program.ts";
import { TCP_FLAGS } from "../../src/wire/tcp.ts";
import { client, tcp, World } from "../dataplane/world.ts";
import { drDirector, serveWorld } from "../helpers/api.ts";
import { needs } from "../helpers/world.ts";

function server(n: number, cps: number, active: number, weight = 1): ServerListing {
  const rates = { cps, inPps: cps * 10, outPps: 0, inBps: cps * 5_000, outBps: 0 };
  return {
    ...{
      address: `10.0.0.${n}`,
      port: 80,
      weight,
      method: "route",
      upper: 0,
      lower: 0,
      rates,
      stats: NO_STATS,
    },
    ...{ activeConns: active, inactiveConns: 2 * active, persistentConns: 0 },
  };
}

function service(port: number, servers: ServerListing[]): ServiceListing {
  const sum = (of: (each: ServerListing) => number) => servers.reduce((total, each) => total + of(each), 0);
  return {
    key: { protocol: "tcp", family: 4, address: "10.0.0.100", port, mark: 0 },
    ...{
      scheduler: "wlc",
      flags: 0,
      persistence: 0,
      netmask: "255.255.255.255",
      onePacket: false,
      stats: NO_STATS,
    },
    rates: {
      ...{ cps: sum(({ rates }) => rates.cps), inPps: sum(({ rates }) => rates.inPps), outPps: 0 },
      ...{ inBps: sum(({ rates }) => rates.inBps), outBps: 0 },
    },
    servers,
  };
}

const COUNTERS = readCounters(new World().region);

function snapshot(at: number, forwarded: number): Snapshot {
  const verdicts = { ...COUNTERS.verdicts, Forwarded: forwarded, NotOurs: 3 };
  return {
    at,
    services: [service(443, [server(13, 0, 5)]), service(80, [server(12, 30, 1, 3), server(11, 12_345, 2)])],
    counters: { ...COUNTERS, received: forwarded + 3, verdicts },
    neighbours: new Map([["10.0.0.11", "reachable"]]),
  };
}

const BEFORE = snapshot(1_000, 0);
const NOW = snapshot(3_000, 5_000);
const draw = (view: Partial<View> = {}, width = 100, height = 30) =>
  drawScreen(NOW, BEFORE, { ...FIRST_VIEW, ...view }, { width, height });

describe("the screen", () => {
  test("shows services in their order, their servers with rates and neighbours, and verdicts by number", () => {
    expect(draw().lines.map((line) => line.trimEnd())).toEqual([
      "dr-director top — every 2 s — sorted: as added",
      "2 services · 2500 frames/s · 0 connections · 1 shard · 0 dropped before the ring",
      "service, real servers        sched weight   active inactive   conns/s packets/s   bytes/s  neighbour",
      "tcp 10.0.0.100:80              wlc               3        6     12.4k      124k     61.9M",
      "  10.0.0.11                             1        2        4     12.3k      123k     61.7M  reachable",
      "  10.0.0.12                             3        1        2        30       300      150k",
      "tcp 10.0.0.100:443             wlc               5       10         0         0         0",
      "  10.0.0.13                             1        5       10         0         0         0",
      "",
      "verdict                              frames    frames/s",
      "Forwarded                              5000        2500",
      "NotOurs                                   3           0",
      ...Array(17).fill(""),
      "q quit  p pause  s sort  r reverse  v verdicts  +/- interval  h help",
    ]);
  });

  test("fits into any terminal, and what is lost first is what matters least", () => {
    fc.assert(
      fc.property(
        fc.record({ width: fc.integer({ min: 1, max: 250 }), height: fc.integer({ min: 1, max: 80 }) }),
        fc.record({
          verdicts: fc.boolean(),
          help: fc.boolean(),
          scroll: fc.nat(50),
          sort: fc.constantFrom(...SORTS),
        }),
        (size, view) => {
          const { lines, page, most } = drawScreen(
            NOW,
            BEFORE,
            { ...FIRST_VIEW, ...view },
            size,
            "a trouble",
          );
          expect(lines.length).toBeLessThanOrEqual(size.height);
          for (const line of lines) expect([...line].length).toBeLessThanOrEqual(size.width);
          expect(page).toBeGreaterThan(0);
          expect(most).toBeLessThan(50);
        },
      ),
    );
    const titles = [40, 60, 80, 110].map((width) => fitting(width).map(({ title }) => title));
    expect(titles).toEqual([
      ["active", "conns/s"],
      ["weight", "active", "conns/s", "packets/s"],
      ["sched", "weight", "active", "inactive", "conns/s", "packets/s"],
      ["sched", "weight", "active", "inactive", "conns/s", "packets/s", "bytes/s", "neighbour"],
    ]);
  });

  test("scrolls as far as there are rows, and says where it is", () => {
    const low = draw({ verdicts: false, scroll: 99 }, 100, 7);
    expect(low).toMatchObject({ page: 3, most: 2 });
    expect(low.lines[3]).toMatch(/^ {2}10\.0\.0\.12/);
    expect(low.lines.at(-1)).toMatch(/↑↓ 3\/3$/);
  });

  test("sorts services and their servers, either way round", () => {
    const names = (view: Partial<View>) =>
      draw(view)
        .lines.slice(3, 8)
        .map((line) => line.trim().split(/ {2,}/)[0]);
    expect(names({ sort: "active" })).toEqual([
      ...["tcp 10.0.0.100:443", "10.0.0.13"],
      ...["tcp 10.0.0.100:80", "10.0.0.11", "10.0.0.12"],
    ]);
    expect(names({ sort: "conns/s", reverse: true })).toEqual([
      ...["tcp 10.0.0.100:443", "10.0.0.13"],
      ...["tcp 10.0.0.100:80", "10.0.0.12", "10.0.0.11"],
    ]);
    expect(names({ sort: "weight" })[1]).toBe("10.0.0.12");
  });

  test("of one look there is no speed of verdicts, only their number", () => {
    const lines = plainLines(NOW, undefined, FIRST_VIEW);
    expect(lines[0]).toContain("5003 frames ·");
    expect(lines.at(-2)).toBe("Forwarded                              5000");
  });
});

describe("keys", () => {
  test("each that the help names does something", () => {
    const keys: Record<string, string[]> = { "↑ ↓ PgUp PgDn": ["\x1b[B", "\x1b[6~"], "+ -": ["+", "-"] };
    for (const [name] of KEYS) {
      for (const key of keys[name] ?? [name])
        expect(pressed(FIRST_VIEW, key, 10), name).not.toEqual(FIRST_VIEW);
    }
    expect(pressed({ ...FIRST_VIEW, scroll: 5 }, "\x1b[A", 10)).toMatchObject({ scroll: 4 });
    expect(pressed({ ...FIRST_VIEW, scroll: 5 }, "\x1b[5~", 10)).toMatchObject({ scroll: 0 });
    expect(pressed(FIRST_VIEW, "\x03", 10)).toBe("quit");
    expect(pressed(FIRST_VIEW, "x", 10)).toBe(FIRST_VIEW);
    let view: View = FIRST_VIEW;
    for (let i = 0; i < 20; i++) view = pressed(view, "+", 1) as View;
    expect(view.interval).toBe(60);
  });

  test("sort goes round", () => {
    let view: View = FIRST_VIEW;
    for (const _ of SORTS) view = pressed(view, "s", 1) as View;
    expect(view.sort).toBe(FIRST_VIEW.sort);
  });

  test("typed fast come one by one", () => {
    expect(keysIn("\x1b[Aq\x1b[6~p\x1bOB")).toEqual(["\x1b[A", "q", "\x1b[6~", "p", "\x1bOB"]);
  });
});

test.each([
  [0, "0"],
  [9_999, "9999"],
  [9_999.4, "9999"],
  [9_999.6, "10.0k"],
  [10_000, "10.0k"],
  [123_456, "123k"],
  [999_900, "1000k"],
  [12_345_678, "12.3M"],
  [2 ** 53, "9007T"],
])("%d is %s", (value, text) => {
  expect(shortNumber(value)).toBe(text);
  expect(text.length).toBeLessThanOrEqual(6);
});

describe("the program", () => {
  test("without a terminal prints one look; with an interval so many as asked for", async () => {
    const world = new World({ weights: [1] });
    world.send(tcp({ source: client(1), sourcePort: 1000, flags: TCP_FLAGS.SYN }));
    const socket = await serveWorld(world);
    const once = await drDirector(["top", "--socket", socket]);
    expect(once).toMatchObject({ code: 0, stderr: "" });
    expect(once.stdout).toMatch(/^1 services · 1 frames · /);
    expect(once.stdout).toMatch(/^ {2}10\.0\.0\.11 .* reachable$/m);
    expect(once.stdout).not.toContain("\x1b");
    const thrice = await drDirector(["top", "--socket", socket, "--interval", "0.1", "--count", "3"]);
    expect(thrice.stdout.match(/^service, real servers/gm)).toHaveLength(3);
    expect(await drDirector(["top", "--socket", "/nowhere/s"])).toMatchObject({ code: 1, stdout: "" });
  });

  test("on a terminal takes the screen, and gives it back as it was", async (context) => {
    needs(context, "script");
    const socket = await serveWorld(new World());
    const command = `stty rows 20 cols 60; ${process.execPath} ${built("cli/dr-director.js")} top --interval 0.2 --socket ${socket}; echo "code $?"; stty -a`;
    // Each key when what is before it is seen: a key that comes before the terminal is ready for it is lost.
    const seen = join(mkdtempSync(join(tmpdir(), "dr-director-top-")), "seen");
    const wait = (text: string) =>
      `n=0; until grep -aq '${text}' ${seen} || [ $n -gt 400 ]; do n=$((n + 1)); sleep 0.1; done`;
    const typed = [
      wait("sorted: as added"),
      "printf s",
      wait("sorted: conns/s"),
      "printf h",
      wait("h goes back"),
      "printf hq",
    ];
    const typing = `(${typed.join("; ")}; ${wait("icanon")})`;
    const outcome = await run(["sh", "-c", `${typing} | script -qefc '${command}' ${seen}`]);
    rmSync(dirname(seen), { recursive: true });
    const [, rest = ""] = outcome.stdout.split("\x1b[?1049h");
    const [screen = "", after = ""] = rest.split("\x1b[?1049l");
    expect(screen).toContain("dr-director top — every 0.2 s — sorted: as added");
    expect(screen).toContain("sorted: conns/s");
    expect(screen).toContain("h goes back");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the terminal gets them
    const sequences = /\x1b\[[0-9;?]*[A-Za-z]/g;
    for (const line of screen.split("\x1b[H").flatMap((frame) => frame.split(/\r*\n/))) {
      expect([...line.replace(sequences, "")].length, JSON.stringify(line)).toBeLessThanOrEqual(60);
    }
    expect(after).toContain("code 0");
    expect(after).toMatch(/[^-]icanon/);
  });
});
