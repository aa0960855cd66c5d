/**
 * Makes the services' and destinations' tables whole again when their last owner ended in the middle of a change, or
 * when somebody else wrote over them (heal.ts). Rows are trusted, links are not: a live destination that stands in no
 * list is put at the end of its service's.
 */
import { Life } from "../table/destinations.ts";
import { endChange, generation, isChanging } from "../table/generation.ts";
import { breakLocks, CONTROL_OWNER } from "../table/lock.ts";
import { Header, type Region } from "../table/region.ts";
import { NONE } from "../table/services.ts";

/** Returns whether a change had been left half done. */
export function mendTables(region: Region): boolean {
  const { header, services } = region;
  breakLocks(services.lock, CONTROL_OWNER);
  const torn = isChanging(generation(header, Header.Generation));
  if (torn) {
    mendLists(region);
    endChange(header, Header.Generation);
  }
  countUsers(region);
  return torn;
}

/** Returns how many live destinations had been lost from the lists. */
export function mendLists(region: Region): number {
  const { services, destinations } = region;
  const seen = new Uint8Array(destinations.capacity);
  const last = new Int32Array(services.capacity).fill(NONE);
  for (let s = 0; s < services.capacity; s++) {
    const first = services.first[s]!;
    services.first[s] = NONE;
    if (services.live[s] === 1) last[s] = walk(region, s, first, seen);
  }
  let orphans = 0;
  // Rows are mostly taken upwards and lists hold the newest first.
  for (let d = destinations.capacity - 1; d >= 0; d--) {
    if (destinations.life[d] === Life.Free) continue;
    const s = destinations.service[d]!;
    const serviceGone = s === NONE || services.live[s] !== 1;
    if (serviceGone) destinations.service[d] = NONE;
    if (destinations.life[d] === Life.Trash || seen[d] === 1) continue;
    if (serviceGone) destinations.life[d] = Life.Trash;
    else {
      last[s] = append(region, s, last[s]!, d);
      orphans++;
    }
  }
  return orphans;
}

/** Follows a service's list and keeps of it what belongs there; returns its last one. */
function walk(region: Region, s: number, first: number, seen: Uint8Array): number {
  const { life, service, next, capacity } = region.destinations;
  let last: number = NONE;
  let d = first;
  for (let steps = 0; d >= 0 && d < capacity && seen[d] === 0 && steps < capacity; steps++) {
    const after = next[d]!;
    if (life[d] === Life.Live && service[d] === s) {
      last = append(region, s, last, d);
      seen[d] = 1;
    }
    d = after;
  }
  return last;
}

/** Puts `d` behind `last`, the list's end, or at its head when there is none; `d` is the end now. */
function append({ services, destinations }: Region, s: number, last: number, d: number): number {
  if (last === NONE) services.first[s] = d;
  else destinations.next[last] = d;
  destinations.next[d] = NONE;
  return d;
}

/** Who uses which neighbour is counted anew: it costs one pass and can then not be wrong. */
function countUsers(region: Region): void {
  const { destinations, neighbours } = region;
  neighbours.users.fill(0);
  for (let d = 0; d < destinations.capacity; d++) {
    const n = destinations.neighbour[d]!;
    if (destinations.life[d] !== Life.Free && n !== NONE) neighbours.users[n]!++;
  }
}
