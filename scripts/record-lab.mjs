// Makes web/recording.pcap, the recording that the page brings: a few connections through a real lab, as the switch
// sees them at the director's port (requests in, forwarded frames out) with the answers on their way to the router.
// Needs root, tcpdump and a build: node scripts/record-lab.mjs
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(fileURLToPath(new URL("..", import.meta.url)));
const from = (path) => import(join(root, "dist", path));
const { Stage, stageConfig } = await from("lab/stage.js");
const { clientAddress } = await from("lab/topology.js");
const { pcapHeader, pcapRecord } = await from("wire/pcap.js");
const { readCapture } = await from("wire/capture-reader.js");
const { answeringServer } = await from("lab/answers.js");

const CLIENTS = 5;
const folder = mkdtempSync(join(tmpdir(), "dr-director-record."));
const stage = await Stage.create({ folder, config: stageConfig(3) });

/** tcpdump, because its times are the kernel's: two captures of one machine then merge in the right order. */
async function listen(port) {
  const file = join(folder, `${port}.pcap`);
  const program = stage.lab.spawn("switch", [
    "tcpdump",
    "-i",
    port,
    "-U",
    "--immediate-mode",
    "--nano",
    "-Z",
    "root",
    "-w",
    file,
  ]);
  await program.line(/listening on/);
  return async () => {
    await program.stop();
    return readCapture(readFileSync(file)).packets;
  };
}

const order = (a, b) => a.seconds - b.seconds || a.nanoseconds - b.nanoseconds;

try {
  const addresses = Array.from({ length: CLIENTS }, (_, i) => clientAddress(i));
  const stops = await Promise.all(["director", "router"].map(listen));
  // Few enough frames to be watched one by one: single requests, then connections that are used several times.
  await stage.client.request({ requests: 5, parallel: 1, from: addresses });
  await stage.client.request({ requests: 9, parallel: 3, keepAlive: true, pause: 20, from: addresses });
  await stage.client.request({ requests: 6, parallel: 2, from: addresses });
  await new Promise((done) => setTimeout(done, 500));
  const [director, router] = await Promise.all(stops.map((stop) => stop()));
  const answers = router.filter(({ bytes }) => answeringServer(bytes) !== undefined);
  const frames = [...director, ...answers].sort(order);
  const records = frames.map((packet) => pcapRecord(packet));
  writeFileSync(join(root, "web", "recording.pcap"), Buffer.concat([pcapHeader(), ...records]));
  console.log(`${frames.length} frames, of them ${answers.length} answers`);
} finally {
  await stage.close();
  rmSync(folder, { recursive: true, force: true });
}
