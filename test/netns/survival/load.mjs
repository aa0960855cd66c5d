// A client that misses nothing: long connections on which one request follows another, and short ones, one request
// each. Runs until its stdin ends, then prints one line of JSON with everything that went wrong. To each line on stdin
// it answers "well" once a request that began after it has been answered on every lane.
//
//     node load.mjs ADDRESS PORT LONG SHORT
//
// A long connection must stay the same TCP connection to the same real server to the end. Nothing may be refused,
// reset or unanswered for longer than PATIENCE.
import { connect } from "node:net";

const [address, port, long, short] = process.argv.slice(2);
// An outage of some seconds, and TCP waits for as long again before it sends once more; a busy machine starts slowly.
const PATIENCE = 60_000;
const PAUSE = 20;
const now = () => new Date().toISOString().slice(11, 23);
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

const result = { requests: 0, connections: 0, broken: [], strangers: [], slowest: 0 };
let ending = false;
let asked = 0;
const well = new Map();

/** The lane's request that began at question `when` has been answered. */
function answered(lane, when) {
  const before = Math.min(...well.values());
  well.set(lane, when);
  if (before < asked && Math.min(...well.values()) === asked) process.stdout.write("well\n");
}

class Connection {
  #socket;
  #text = "";
  #settle;
  error;

  constructor() {
    this.#socket = connect({ host: address, port: Number(port) });
    this.#socket.setNoDelay(true);
    this.#socket.setEncoding("latin1");
    this.#socket.on("data", (text) => {
      this.#text += text;
      this.#settle?.();
    });
    for (const event of ["error", "close"]) {
      this.#socket.on(event, (error) => {
        this.error ??= error?.code ?? event;
        this.#settle?.();
      });
    }
  }

  /** The name of the real server that answers. Throws what went wrong. */
  async get(lane) {
    const begun = performance.now();
    const question = asked;
    this.#text = "";
    this.#socket.write(`GET / HTTP/1.1\r\nHost: ${address}\r\n\r\n`);
    for (;;) {
      const answer = /x-real-server: (\S+)\r\n[\s\S]*?\r\n\r\n[\s\S]*\n/i.exec(this.#text);
      if (answer !== null) {
        result.requests++;
        result.slowest = Math.max(result.slowest, Math.round(performance.now() - begun));
        answered(lane, question);
        return answer[1];
      }
      if (this.error !== undefined) throw new Error(this.error);
      const left = PATIENCE - (performance.now() - begun);
      if (left <= 0) throw new Error(`no answer for ${PATIENCE} ms`);
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#settle = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  end() {
    this.#socket.removeAllListeners();
    this.#socket.on("error", () => {});
    this.#socket.end();
  }
}

async function longLane(number) {
  well.set(`long ${number}`, 0);
  while (!ending) {
    result.connections++;
    const connection = new Connection();
    let server;
    try {
      while (!ending) {
        const name = await connection.get(`long ${number}`);
        server ??= name;
        if (name !== server) result.strangers.push(`long ${number}: ${server}, then ${name}`);
        await sleep(PAUSE);
      }
    } catch (error) {
      result.broken.push(`long ${number} (${server}): ${error.message} at ${now()}`);
    }
    connection.end();
  }
}

async function shortLane(number) {
  well.set(`short ${number}`, 0);
  while (!ending) {
    result.connections++;
    const connection = new Connection();
    try {
      await connection.get(`short ${number}`);
    } catch (error) {
      result.broken.push(`short ${number}: ${error.message} at ${now()}`);
    }
    connection.end();
  }
}

process.stdin.on("data", (text) => {
  asked += String(text).split("\n").length - 1;
});
process.stdin.on("end", () => {
  ending = true;
});
process.stdout.write("ready\n");
await Promise.all([
  ...Array.from({ length: Number(long) }, (_, i) => longLane(i)),
  ...Array.from({ length: Number(short) }, (_, i) => shortLane(i)),
]);
process.stdout.write(`${JSON.stringify(result)}\n`);
