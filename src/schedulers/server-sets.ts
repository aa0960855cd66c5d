/** Small sets of server numbers, newest first, as chains in two arrays. A set is its first node; 0 is the empty set. */
export class ServerSets {
  #server: Int32Array = new Int32Array(64);
  #after: Int32Array = new Int32Array(64);
  /** Node 0 is the empty set and never used. */
  #high = 1;
  #free = 0;

  server(node: number): number {
    return this.#server[node]!;
  }

  after(node: number): number {
    return this.#after[node]!;
  }

  has(set: number, server: number): boolean {
    for (let node = set; node !== 0; node = this.#after[node]!)
      if (this.#server[node] === server) return true;
    return false;
  }

  /** The set with `server` put first. */
  with(set: number, server: number): number {
    const node = this.#take();
    this.#server[node] = server;
    this.#after[node] = set;
    return node;
  }

  /** The set without `server`, which is in it. */
  without(set: number, server: number): number {
    if (this.#server[set] === server) {
      const rest = this.#after[set]!;
      this.#release(set);
      return rest;
    }
    let node = set;
    while (this.#server[this.#after[node]!] !== server) node = this.#after[node]!;
    const gone = this.#after[node]!;
    this.#after[node] = this.#after[gone]!;
    this.#release(gone);
    return set;
  }

  free(set: number): void {
    for (let node = set; node !== 0; ) {
      const next = this.#after[node]!;
      this.#release(node);
      node = next;
    }
  }

  #take(): number {
    const node = this.#free;
    if (node !== 0) {
      this.#free = this.#after[node]!;
      return node;
    }
    if (this.#high === this.#server.length) {
      const server = new Int32Array(this.#high * 2);
      server.set(this.#server);
      this.#server = server;
      const after = new Int32Array(this.#high * 2);
      after.set(this.#after);
      this.#after = after;
    }
    return this.#high++;
  }

  #release(node: number): void {
    this.#after[node] = this.#free;
    this.#free = node;
  }
}
