/**
 * Makes the services' and destinations' tables whole again when their last owner ended in the middle of a change.
 * Only lists that can be walked are trusted: a live destination that stands in no list goes to the trash, where its
 * connections keep it until they end.
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
    putListsRight(region);
    endChange(header, Header.Generation);
  }
  countUsers(region);
  return torn;
}

function putListsRight(region: Region): void {
  const { services, destinations } = region;
  const seen = new Uint8Array(destinations.capacity);
  for (let s = 0; s < services.capacity; s++) {
    services.first[s] = services.live[s] === 1 ? walk(region, s, services.first[s]!, seen) : NONE;
  }
  for (let d = 0; d < destinations.capacity; d++) {
    const s = destinations.service[d]!;
    const serviceGone = s === NONE || services.live[s] !== 1;
    if (destinations.life[d] === Life.Live && seen[d] === 0) destinations.life[d] = Life.Trash;
    if (destinations.life[d] === Life.Trash && serviceGone) destinations.service[d] = NONE;
  }
}

/** Follows a service's list and drops from it what does not belong there; returns its head. */
function walk(region: Region, s: number, first: number, seen: Uint8Array): number {
  const { destinations } = region;
  let head: number = NONE;
  let last: number = NONE;
  let d = first;
  for (let steps = 0; d !== NONE && steps < destinations.capacity; steps++) {
    if (d < 0 || d >= destinations.capacity || seen[d] === 1) break;
    if (destinations.life[d] === Life.Live && destinations.service[d] === s) {
      seen[d] = 1;
      if (last === NONE) head = d;
      else destinations.next[last] = d;
      last = d;
    }
    d = destinations.next[d]!;
  }
  if (last !== NONE) destinations.next[last] = NONE;
  return head;
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
