/**
 * The scenario's clock, and what the kernel's timer wheel does not do on time: it fires up to 12.5 % late, so for that
 * long an entry that is over still counts. Such entries are remembered as they leave our tables.
 */
import type { ConnectionListing } from "../../src/control/model.ts";
import { connectionsOf, type Late } from "./compare.ts";
import type { World } from "./world.ts";

const LATENESS = 0.125;
/** The longest lateness is an eighth of the longest timeout; a shorter step of the clock loses no entry from sight. */
const LONG_STEP = 0.5;

interface Gone {
  readonly server: string;
  readonly active: boolean;
  /** Until when the kernel may still count it, s. */
  readonly until: number;
}

function isActive(row: ConnectionListing): boolean {
  return ["SYN_RECV", "ESTABLISHED", "SYN_SENT", "SYNACK"].includes(row.state);
}

export class Timers {
  readonly #world: World;
  #gone: Gone[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  advance(t: number): void {
    const world = this.#world;
    if (t - world.t < LONG_STEP) {
      world.advance(t);
      return;
    }
    const began = world.t;
    const before = connectionsOf(world).filter((row) => row.cport !== 0 && began + row.expiresSeconds <= t);
    world.advance(t);
    for (const row of before) {
      // Its timeout is not known, but it is no longer than from its last packet until now.
      const over = began + row.expiresSeconds + 1;
      const until = over + LATENESS * Math.max(row.expiresSeconds + 1, 1);
      this.#gone.push({ server: row.server, active: isActive(row), until });
    }
  }

  /** By real server, how many entries the kernel may still count although we do not. */
  late(): Late {
    const late = new Map<string, { active: number; inactive: number }>();
    this.#gone = this.#gone.filter((entry) => entry.until >= this.#world.t);
    for (const { server, active } of this.#gone) {
      const counts = late.get(server) ?? { active: 0, inactive: 0 };
      counts[active ? "active" : "inactive"]++;
      late.set(server, counts);
    }
    return late;
  }
}
