/**
 * Every real server a service has had, by number, so that what lblc and lblcr remember outlives a deletion: in the
 * kernel their tables keep a deleted destination in the trash, and it is the same one again when it is added again.
 * Here its row may have been given to another server by then, so it is known by address and port.
 */
import { Life } from "../table/destinations.ts";
import { NONE } from "../table/services.ts";
import type { ServiceView } from "./service-view.ts";

function nameOf(service: ServiceView, d: number): string {
  let name = `${service.port(d)}`;
  for (let word = 0; word < 4; word++) name += `/${service.address(d, word)}`;
  return name;
}

export class KnownServers {
  /** The row that each server has now, NONE while it is not in the list. */
  readonly row: number[] = [];
  /** By number: what it is called, the row it had last, and the weight it has or had last. */
  readonly #names: string[] = [];
  readonly #lastRow: number[] = [];
  readonly #weights: number[] = [];
  readonly #number = new Map<string, number>();
  readonly #numberOfRow = new Map<number, number>();
  #present = 0;

  /** After a change of the destinations. */
  update(service: ServiceView): void {
    this.row.fill(NONE);
    this.#numberOfRow.clear();
    this.#present = service.count;
    for (let i = 0; i < service.count; i++) {
      const d = service.members[i]!;
      const name = nameOf(service, d);
      const number = this.#number.get(name) ?? this.row.length;
      this.#number.set(name, number);
      this.#numberOfRow.set(d, number);
      this.row[number] = d;
      this.#names[number] = name;
      this.#lastRow[number] = d;
      this.#weights[number] = service.weight(d);
    }
  }

  /** The number of the server that has row `d`; NONE when it is not in the list. */
  number(d: number): number {
    return this.#numberOfRow.get(d) ?? NONE;
  }

  /** The weight of a server; of a deleted one, that it had. */
  weight(number: number): number {
    return this.#weights[number]!;
  }

  /** Where a server's connections are counted, also after it was deleted; NONE when it has none any more. */
  counts(service: ServiceView, number: number): number {
    const d = this.#lastRow[number]!;
    if (this.row[number] !== NONE) return d;
    const { life, service: owner } = service.region.destinations;
    const kept = life[d] === Life.Trash && owner[d] === service.service;
    return kept && nameOf(service, d) === this.#names[number] ? d : NONE;
  }

  /** Servers that are known but not in the list now. */
  get gone(): number {
    return this.row.length - this.#present;
  }
}
