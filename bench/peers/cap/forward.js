// Direct routing with the `cap` package, as one would write it: a packet comes as an event, the connection is looked up
// in a Map, the MACs are rewritten, the packet is sent. forward.js INTERFACE OWN-MAC VIP PORT SERVER-MAC…
// No TCP states, no timers, no fragments, no super-frames, no ARP; see ../README.md.
import { createRequire } from "node:module";

const { Cap } = createRequire(import.meta.url)("cap");
const [device, ownMac, vip, port, ...serverMacs] = process.argv.slice(2);
const bytesOf = (mac) => Buffer.from(mac.replaceAll(":", ""), "hex");
const own = bytesOf(ownMac);
const servers = serverMacs.map(bytesOf);

const cap = new Cap();
const buffer = Buffer.alloc(65_536);
const connections = new Map();
let turn = 0;

cap.open(
  device,
  `dst host ${vip} and tcp dst port ${port} and not ether src ${ownMac}`,
  16 * 1024 * 1024,
  buffer,
);
cap.setMinBytes?.(0);
cap.on("packet", (length) => {
  const ip = 14;
  const transport = ip + (buffer[ip] & 0x0f) * 4;
  const flow = buffer.readUInt32BE(ip + 12) * 65_536 + buffer.readUInt16BE(transport);
  let server = connections.get(flow);
  if (server === undefined) {
    server = turn;
    turn = (turn + 1) % servers.length;
    connections.set(flow, server);
  }
  servers[server].copy(buffer, 0);
  own.copy(buffer, 6);
  cap.send(buffer, length);
});
console.log("ready");
process.stdin.on("end", () => process.exit(0)).resume();
