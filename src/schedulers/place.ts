/**
 * A destination remembered in a scheduler's shared words, with the place in the list where it stood then. Its row is
 * what counts; the place only saves the search, and is right unless the list was changed.
 *
 * Two words: row + 1 (0 is the list's head, before the first destination), place.
 */
import type { ServiceView } from "./service-view.ts";

/** The place of the head: the walk after it begins with the first destination. */
export const HEAD = -1;

/** Where the destination remembered in words `at` and `at + 1` stands now; HEAD when it left the list. */
export function recall(service: ServiceView, at: number): number {
  const link = service.memory[at]!;
  if (link === 0) return HEAD;
  const place = service.memory[at + 1]!;
  if (place < service.count && service.members[place] === link - 1) return place;
  return service.position(link - 1);
}

/** Remembers the destination that stands at `place`, or the head. */
export function remember(service: ServiceView, at: number, place: number): void {
  service.memory[at] = place === HEAD ? 0 : service.members[place]! + 1;
  service.memory[at + 1] = place;
}
