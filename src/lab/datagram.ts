/**
 * Sends one datagram and waits for its echo, a process of its own: `node datagram.js HOST PORT BYTES`. One line of JSON
 * on stdout: what came back (`{"server": "rs1", "bytes": 4005}`), or `{"server": null, "bytes": 0}` after 600 ms.
 */
import { createSocket } from "node:dgram";

export interface Echo {
  /** Who answered; null when nobody did. */
  server: string | null;
  /** Length of the answer. */
  bytes: number;
}

const PATIENCE = 600;

const [host = "", port = "7", bytes = "4"] = process.argv.slice(2);
const socket = createSocket("udp4");

function end(echo: Echo): void {
  socket.close();
  process.stdout.write(`${JSON.stringify(echo)}\n`);
}

const timer = setTimeout(() => end({ server: null, bytes: 0 }), PATIENCE);
socket.on("message", (message) => {
  clearTimeout(timer);
  end({ server: message.toString("latin1").split(":")[0]!, bytes: message.length });
});
socket.send(Buffer.alloc(Number(bytes), "lesson "), Number(port), host);
