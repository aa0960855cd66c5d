/** What is to happen later, soonest first: a binary heap of (time, number); equal times leave in the order they came. */
export class Heap {
  #time = new Float64Array(256);
  #order = new Float64Array(256);
  #what = new Int32Array(256);
  #length = 0;
  #entered = 0;

  /** When the next thing happens; Infinity when there is nothing. */
  get next(): number {
    return this.#length === 0 ? Number.POSITIVE_INFINITY : this.#time[0]!;
  }

  push(time: number, what: number): void {
    if (this.#length === this.#time.length) this.#grow();
    let at = this.#length++;
    const order = this.#entered++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#time[parent]! <= time) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#put(at, time, order, what);
  }

  /** Takes the next thing off and gives its number; there must be one. */
  pop(): number {
    const what = this.#what[0]!;
    const last = --this.#length;
    const time = this.#time[last]!;
    const order = this.#order[last]!;
    const moved = this.#what[last]!;
    let at = 0;
    for (let child = 1; child < last; child = 2 * at + 1) {
      if (child + 1 < last && this.#before(child + 1, this.#time[child]!, this.#order[child]!)) child++;
      if (!this.#before(child, time, order)) break;
      this.#move(child, at);
      at = child;
    }
    this.#put(at, time, order, moved);
    return what;
  }

  #before(at: number, time: number, order: number): boolean {
    return this.#time[at]! < time || (this.#time[at] === time && this.#order[at]! < order);
  }

  #move(from: number, to: number): void {
    this.#put(to, this.#time[from]!, this.#order[from]!, this.#what[from]!);
  }

  #put(at: number, time: number, order: number, what: number): void {
    this.#time[at] = time;
    this.#order[at] = order;
    this.#what[at] = what;
  }

  #grow(): void {
    const time = new Float64Array(this.#length * 2);
    const order = new Float64Array(this.#length * 2);
    const what = new Int32Array(this.#length * 2);
    time.set(this.#time);
    order.set(this.#order);
    what.set(this.#what);
    this.#time = time;
    this.#order = order;
    this.#what = what;
  }
}
