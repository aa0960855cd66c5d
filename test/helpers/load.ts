/** Load that notices everything (test/netns/survival/load.mjs), in the lab's client. */
import { fileURLToPath } from "node:url";
import type { Lab } from "../../src/lab/lab.ts";
import type { Program } from "../../src/lab/program.ts";
import { HTTP_PORT, VIP } from "../../src/lab/topology.ts";

export interface LoadResult {
  readonly requests: number;
  readonly connections: number;
  /** Connections that were refused, reset, closed or not answered for a minute. */
  readonly broken: readonly string[];
  /** Connections on which another real server answered than before. */
  readonly strangers: readonly string[];
  /** Longest wait for an answer, ms. */
  readonly slowest: number;
}

const SCRIPT = fileURLToPath(new URL("../netns/survival/load.mjs", import.meta.url));

export class Load {
  readonly #program: Program;

  private constructor(program: Program) {
    this.#program = program;
  }

  /** `long` connections with one request after another, and `short` lanes of connections with one request each. */
  static async start(lab: Lab, counts: { long: number; short: number }): Promise<Load> {
    const words = [VIP, HTTP_PORT, counts.long, counts.short].map(String);
    const program = lab.spawn("client", [process.execPath, SCRIPT, ...words]);
    await program.line(/^ready$/);
    return new Load(program);
  }

  /**
   * Resolves when a request that begins from now on has been answered on every connection: after an outage TCP waits
   * longer and longer before it sends again, and an outage upon the other would prove nothing but that.
   */
  async well(): Promise<void> {
    const line = this.#program.next(/^well$/, 120_000);
    this.#program.stdin.write("well?\n");
    await line;
  }

  async end(): Promise<LoadResult> {
    const line = this.#program.line(/^\{/, 120_000);
    this.#program.stdin.end();
    return JSON.parse(await line) as LoadResult;
  }
}
