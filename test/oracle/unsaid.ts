/**
 * Flows of which a recording says nothing about us.
 *
 * When the host's own stack answers RST, the kernel sees that RST in its output hook, where it ends (or revives, as
 * CLOSE for 10 s) the flow's entry; a director on a tap does not see what its host sends (IPVS-FACTS 5). And a first
 * fragment whose datagram never gets whole opens an entry here, but not in the kernel, which reassembles first.
 */
export class Unsaid {
  readonly #servers = new Map<string, string>();

  add(flow: string, server: string): void {
    this.#servers.set(flow, server);
  }

  delete(flow: string): void {
    this.#servers.delete(flow);
  }

  flows(): ReadonlySet<string> {
    return new Set(this.#servers.keys());
  }

  /** How many of them each real server has. */
  perServer(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const server of this.#servers.values()) counts.set(server, (counts.get(server) ?? 0) + 1);
    return counts;
  }
}
