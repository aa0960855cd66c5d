/** A director's control socket without a network: the API over tables in memory, and its clients as processes. */
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { createApi } from "../../src/control/api.ts";
import { carryOut, planConfig } from "../../src/control/apply.ts";
import { type Config, defaultConfig } from "../../src/control/config.ts";
import { listen } from "../../src/control/control-socket.ts";
import { readCounters } from "../../src/control/counters.ts";
import { directorSum, statsOf } from "../../src/control/counters-view.ts";
import type { Director } from "../../src/control/director.ts";
import { NO_RATES } from "../../src/control/model.ts";
import { built } from "../../src/lab/built.ts";
import { type Outcome, type RunOptions, run } from "../../src/lab/program.ts";
import type { World } from "../dataplane/world.ts";
import { makeFolder } from "./world.ts";

/** What the API asks of a director, over a world's tables. */
export function directorOf(world: World): Director {
  const director = {
    get region() {
      return world.region;
    },
    execute: (command) => world.commands.execute(command),
    settle: () => {},
    counters: () => ({ ...readCounters(world.region), ring: "memory" }),
    config: defaultConfig(),
    steady: Promise.resolve(),
    total: () => ({ stats: statsOf(directorSum(world.region)), rates: NO_RATES }),
    neighbours: () => [
      { address: "10.0.0.11", state: "reachable", mac: "02:00:00:00:01:01", age: 3, users: 1 },
    ],
    vips: () => [{ address: "10.0.0.100", own: true, active: true, onHost: false, conflicts: 0 }],
    setVipActive: (address: string) => address === "10.0.0.100",
    plan: (config: Config) => planConfig(world.commands, config),
    reload: (config: Config) => carryOut(world.commands, planConfig(world.commands, config)),
  } satisfies Partial<Director>;
  return director as unknown as Director;
}

/** Serves it on a socket that is gone when the test is over. */
export const serveWorld = (world: World): Promise<string> => serveDirector(directorOf(world));

export async function serveDirector(director: Director): Promise<string> {
  const socket = join(makeFolder(), "control.sock");
  const close = await listen(createApi(director), socket);
  onTestFinished(close);
  return socket;
}

/** `dr-director` with these words, as a process. */
export function drDirector(words: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  return run([process.execPath, built("cli/dr-director.js"), ...words], options);
}
