/**
 * Which neighbour row a destination uses. Destinations with one real server's address share a row; its life cycle
 * (ARP) belongs to neighbours.ts, here only `users` is counted and a new row begins as Incomplete.
 */
import { NeighbourState, type Neighbours } from "../table/neighbours.ts";
import type { Words } from "../wire/address.ts";
import { setWords, wordsAt } from "./keys.ts";

function same(a: Words, b: Words): boolean {
  return a[0] === b[0] && a[1] === b[1] && a[2] === b[2] && a[3] === b[3];
}

export class NeighbourUsers {
  readonly #table: Neighbours;
  readonly #rows = new Map<string, number>();
  #high = 0;

  constructor(table: Neighbours) {
    this.#table = table;
    for (let row = 0; row < table.capacity; row++) {
      if (table.state[row] === NeighbourState.Free) continue;
      this.#rows.set(wordsAt(table.address, row).join("/"), row);
      this.#high = row + 1;
    }
  }

  /** The row of this address, or -1: others may free rows nobody uses, so what the map says is looked at again. */
  find(address: Words): number {
    const row = this.#rows.get(address.join("/"));
    if (row === undefined || this.#table.state[row] === NeighbourState.Free) return -1;
    return same(wordsAt(this.#table.address, row), address) ? row : -1;
  }

  /** Would `use` find or make a row? */
  hasRoom(address: Words): boolean {
    return this.find(address) >= 0 || this.#freeRow() >= 0;
  }

  /** The row of this address, made when there is none; one more user. -1 when the table is full. */
  use(address: Words, now: number): number {
    const table = this.#table;
    let row = this.find(address);
    if (row < 0) {
      row = this.#freeRow();
      if (row < 0) return -1;
      this.#high = Math.max(this.#high, row + 1);
      this.#rows.delete(wordsAt(table.address, row).join("/"));
      setWords(table.address, row, address);
      table.macHi[row] = 0;
      table.macLo[row] = 0;
      table.probes[row] = 0;
      table.users[row] = 0;
      table.since[row] = now;
      table.confirmed[row] = 0;
      table.state[row] = NeighbourState.Incomplete;
      this.#rows.set(address.join("/"), row);
    }
    table.users[row]!++;
    return row;
  }

  release(row: number): void {
    if (row >= 0) this.#table.users[row]!--;
  }

  /** A free row, or when there is none one that nobody uses, or -1. */
  #freeRow(): number {
    const { state, users, capacity } = this.#table;
    if (this.#high < capacity && state[this.#high] === NeighbourState.Free) return this.#high;
    for (let row = 0; row < capacity; row++) {
      if (state[row] === NeighbourState.Free) return row;
    }
    for (let row = 0; row < capacity; row++) {
      if (users[row] === 0 && state[row] !== NeighbourState.Permanent) return row;
    }
    return -1;
  }
}
