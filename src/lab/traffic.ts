/** Requests through the VIP, and who answered them. The work is done in the client's namespace by client.ts. */
import { built } from "./built.ts";
import type { Lab } from "./lab.ts";
import type { Program } from "./program.ts";
import { HTTP_PORT, VIP, VIP6 } from "./topology.ts";

/** How often each real server answered, by its name. */
export type Tally = Record<string, number>;

/** What the client is asked to do. */
export interface Order {
  id: number;
  host: string;
  port: number;
  path: string;
  requests: number;
  /** Requests at the same time. */
  parallel: number;
  /** One connection for each parallel lane instead of one for each request. */
  keepAlive: boolean;
  /** Milliseconds that a lane waits after each request. */
  pause: number;
  /** Milliseconds until a request counts as failed. */
  timeout: number;
  /** After so many failures in a row the rest counts as failed without being tried; 0 means never. */
  giveUp: number;
  /** The client's own addresses, taken in turn. */
  from?: readonly string[];
}

/** What came of an order. */
export interface Round {
  answers: Tally;
  /** The same by client address, when the order named some. */
  answersFrom: Record<string, Tally>;
  failed: number;
  /** The first few errors' messages. */
  errors: string[];
  /** Body bytes received. */
  bytes: number;
  milliseconds: number;
}

const DEFAULTS: Omit<Order, "id"> = {
  host: VIP,
  port: HTTP_PORT,
  path: "/",
  requests: 1,
  parallel: 1,
  keepAlive: false,
  pause: 0,
  timeout: 5_000,
  giveUp: 0,
};

/** The lab's client, waiting for orders. */
export class Client {
  readonly #program: Program;
  readonly #waiting = new Map<number, (round: Round) => void>();
  #last = 0;

  private constructor(program: Program) {
    this.#program = program;
    program.onLine((line) => {
      if (!line.startsWith("{")) return;
      const { id, round } = JSON.parse(line) as { id: number; round: Round };
      this.#waiting.get(id)?.(round);
      this.#waiting.delete(id);
    });
  }

  static async start(lab: Lab, namespace = "client"): Promise<Client> {
    const program = lab.spawn(namespace, [process.execPath, built("lab/client.js")]);
    const client = new Client(program);
    await program.line(/^ready$/);
    return client;
  }

  /** Sends requests and tells what came of them. Rejects only when the client itself died. */
  request(order: Partial<Omit<Order, "id">> = {}): Promise<Round> {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, resolve);
      this.#program.stdin.write(`${JSON.stringify({ ...DEFAULTS, ...order, id })}\n`);
      void this.#program.ended.then((code) =>
        reject(new Error(`the lab's client ended with ${code}: ${this.#program.lines.slice(-5).join("\n")}`)),
      );
    });
  }
}

/** Starts an HTTP and echo server on each real server and waits until they listen. */
export async function startServers(
  lab: Lab,
  names: readonly string[] = lab.realServers,
): Promise<Map<string, Program>> {
  const vips = lab.options.ipv6 === true ? [VIP, VIP6] : [VIP];
  const programs = new Map(
    names.map((name) => [name, lab.spawn(name, [process.execPath, built("lab/server.js"), name, ...vips])]),
  );
  await Promise.all([...programs.values()].map((program) => program.line(/^ready$/)));
  return programs;
}
