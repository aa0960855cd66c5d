/** The part of heal.ts for destinations and the neighbours that they use. */
import { KEY_WORDS, Life, Method } from "../table/destinations.ts";
import { NEIGHBOUR_STATE_NAMES, NeighbourState, usable } from "../table/neighbours.ts";
import type { Region } from "../table/region.ts";
import { NONE } from "../table/services.ts";
import { isMapped } from "../wire/address.ts";
import { destinationTotal } from "./counters-view.ts";
import { type Findings, tame } from "./findings.ts";
import { serverText, wordsAt } from "./keys.ts";
import { NeighbourUsers } from "./neighbour-users.ts";

const MOST = Number.MAX_SAFE_INTEGER;
const MOST_PROBES = 16;

/** What a destination remembers of its service. */
export function keyOf({ protocol, port, mark, address }: Region["services"], s: number): number[] {
  return [protocol[s]!, port[s]!, mark[s]!, ...wordsAt(address, s)];
}

export function healDestinationRows(region: Region, findings: Findings): void {
  const { destinations, services } = region;
  const seen = new Set<string>();
  for (let d = 0; d < destinations.capacity; d++) {
    const life = destinations.life[d]!;
    if (life === Life.Free) continue;
    const s = destinations.service[d]!;
    const hasService = s >= 0 && s < services.capacity && services.live[s] === 1;
    if (!hasService) destinations.service[d] = NONE;
    const wrong = life !== Life.Trash && (life !== Life.Live || !hasService || !fits(region, d, s, seen));
    // Its connections go on; the config, or whoever adds it again, has it back with its counts.
    if (wrong) {
      destinations.life[d] = Life.Trash;
      findings.add("real servers let go");
    }
    if (!healDestination(region, d)) findings.add("real servers put right");
  }
}

/** Can it be one of service `s`, and the only one of its address and port there? */
function fits({ destinations, services }: Region, d: number, s: number, seen: Set<string>): boolean {
  const address = wordsAt(destinations.address, d);
  const port = destinations.port[d]!;
  const text = `${s}|${serverText({ address, port })}`;
  if (port < 0 || port > 0xffff || isMapped(address) !== (services.family[s] === 4) || seen.has(text))
    return false;
  if (services.mark[s] === 0 && port !== services.port[s]) return false; // direct routing cannot change it
  seen.add(text);
  return true;
}

function healDestination(region: Region, d: number): boolean {
  const { destinations, services } = region;
  let right = true;
  const set = (column: Int32Array, value: number) => {
    if (column[d] === value) return;
    column[d] = value;
    right = false;
  };
  if (destinations.method[d] !== Method.LocalNode) set(destinations.method, Method.Route);
  if (destinations.weight[d]! < 0) set(destinations.weight, 1);
  if (destinations.lastWeight[d]! < 0) set(destinations.lastWeight, destinations.weight[d]!);
  if (destinations.upper[d]! < 0) set(destinations.upper, 0);
  if (destinations.lower[d]! < 0) set(destinations.lower, 0);
  if (destinations.overload[d] !== 0) set(destinations.overload, 1);
  const s = destinations.service[d]!;
  if (destinations.life[d] === Life.Live) {
    const key = keyOf(services, s);
    if (key.some((word, i) => word !== destinations.key[d * KEY_WORDS + i])) right = false;
    destinations.key.set(key, d * KEY_WORDS);
  }
  return healZero(region, d) && right;
}

/** What stood at the last --zero cannot be more than there is. */
function healZero(region: Region, d: number): boolean {
  const { zero, idle } = region.destinations;
  if (!(idle[d]! >= 0)) idle[d] = 0;
  let wrong = tame(zero, d * 3, d * 3 + 3, MOST);
  for (let i = 0; i < 3; i++) {
    const total = destinationTotal(region, d, i);
    if (!(zero[d * 3 + i]! > total)) continue;
    zero[d * 3 + i] = total;
    wrong++;
  }
  return wrong === 0;
}

export function healNeighbours({ neighbours }: Region, now: number, findings: Findings): void {
  const { state, macHi, macLo, since, confirmed, probes } = neighbours;
  for (let n = 0; n < neighbours.capacity; n++) {
    if (state[n] === NeighbourState.Free) continue;
    const known = state[n]! > 0 && state[n]! < NEIGHBOUR_STATE_NAMES.length;
    const noMac = usable(state[n]!) && ((macHi[n]! & 0x0100) !== 0 || (macHi[n] === 0 && macLo[n] === 0));
    if (!known || noMac || probes[n]! < 0 || probes[n]! > MOST_PROBES) {
      forget(neighbours, n, now);
      findings.add("neighbours asked anew");
    }
    // Another boot's clock is dealt with by who knows of it (recover.ts); this only has to be a time.
    if (!Number.isFinite(since[n]!)) since[n] = now;
    if (!Number.isFinite(confirmed[n]!)) confirmed[n] = now;
  }
}

/** Its MAC is asked for anew. */
export function forget(neighbours: Region["neighbours"], n: number, now: number): void {
  neighbours.macHi[n] = 0;
  neighbours.macLo[n] = 0;
  neighbours.probes[n] = 0;
  neighbours.since[n] = now;
  neighbours.state[n] = NeighbourState.Incomplete;
}

/** Every destination uses the neighbour that has its address. */
export function healUsers(region: Region, now: number, findings: Findings): void {
  const { destinations, neighbours } = region;
  const users = new NeighbourUsers(neighbours);
  for (let d = 0; d < destinations.capacity; d++) {
    if (destinations.life[d] === Life.Free) continue;
    const address = wordsAt(destinations.address, d);
    const n = users.find(address);
    if (n >= 0 && n === destinations.neighbour[d]) continue;
    destinations.neighbour[d] = users.use(address, now);
    findings.add("real servers put right");
    if (destinations.neighbour[d] === NONE) destinations.life[d] = Life.Free;
  }
}
