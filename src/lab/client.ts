/**
 * The lab's client, a process of its own in the client's namespace. Takes one order a line on stdin, answers each with
 * one line of JSON on stdout, and ends with its stdin. Orders and answers: traffic.ts.
 */
import { Agent, type IncomingMessage, request } from "node:http";
import { createInterface } from "node:readline";
import type { Order, Round, Tally } from "./traffic.ts";

/**
 * Each connection has a port that none had before it, below those that the kernel picks (32768 on). The kernel's own
 * choice now and then comes back within two minutes; to a director such a one is no new connection: it goes where the
 * old one went, and counts that should be 3:3:3 are 3:4:2.
 */
const FIRST_PORT = 10_000;
const PORTS = 22_000;
let turns = process.pid * 97;

interface Answer {
  server: string;
  bytes: number;
}

function get(order: Order, agent: Agent | undefined, from: string | undefined): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: order.host,
        port: order.port,
        path: order.path,
        timeout: order.timeout,
        ...(agent ? { agent } : { agent: false }),
        ...(from === undefined ? {} : { localAddress: from }),
        localPort: FIRST_PORT + (turns++ % PORTS),
        ...(agent ? {} : { headers: { connection: "close" } }),
      },
      (response: IncomingMessage) => {
        let bytes = 0;
        response.on("data", (piece: Buffer) => (bytes += piece.length));
        response.on("error", reject);
        response.on("end", () => {
          const server = response.headers["x-real-server"];
          if (response.statusCode !== 200 || typeof server !== "string") {
            reject(new Error(`HTTP ${response.statusCode} from ${String(server)}`));
          } else resolve({ server, bytes });
        });
      },
    );
    sent.on("timeout", () => sent.destroy(new Error(`no answer within ${order.timeout} ms`)));
    sent.on("error", reject);
    sent.end();
  });
}

function newRound(): Round {
  return { answers: {}, answersFrom: {}, failed: 0, errors: [], bytes: 0, milliseconds: 0 };
}

function count(tally: Tally, server: string): void {
  tally[server] = (tally[server] ?? 0) + 1;
}

/** Returns whether it was answered. */
async function one(order: Order, round: Round, agent: Agent | undefined, turn: number): Promise<boolean> {
  const from = order.from?.[turn % order.from.length];
  try {
    const { server, bytes } = await get(order, agent, from);
    count(round.answers, server);
    round.bytes += bytes;
    if (from !== undefined) count((round.answersFrom[from] ??= {}), server);
    return true;
  } catch (error) {
    round.failed++;
    if (round.errors.length < 5) round.errors.push((error as Error).message);
    return false;
  }
}

async function carryOut(order: Order): Promise<Round> {
  const round = newRound();
  const began = performance.now();
  let next = 0;
  let failures = 0;
  const lane = async (): Promise<void> => {
    // A keep-alive lane is one connection: an agent with one socket.
    const agent = order.keepAlive ? new Agent({ keepAlive: true, maxSockets: 1 }) : undefined;
    while (next < order.requests) {
      const turn = next++;
      failures = (await one(order, round, agent, turn)) ? 0 : failures + 1;
      if (order.giveUp > 0 && failures >= order.giveUp) {
        round.failed += order.requests - next;
        next = order.requests;
      }
      if (order.pause) await new Promise((resolve) => setTimeout(resolve, order.pause));
    }
    agent?.destroy();
  };
  await Promise.all(Array.from({ length: Math.min(order.parallel, order.requests) }, lane));
  round.milliseconds = performance.now() - began;
  return round;
}

const orders = createInterface({ input: process.stdin });
orders.on("line", (line) => {
  const order = JSON.parse(line) as Order;
  void carryOut(order).then((round) => process.stdout.write(`${JSON.stringify({ id: order.id, round })}\n`));
});
orders.on("close", () => process.exit(0));
process.stdout.write("ready\n");
