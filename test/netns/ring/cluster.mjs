// A switch, a client, a real server and us (the director, in this process's own namespace) joined by veth pairs. Run it
// under `unshare --net` (root) or `unshare --user --map-root-user --net`; everything is gone when this process ends.
import { spawn, spawnSync } from "node:child_process";

export const MAC = {
  client: "02:00:00:00:00:01",
  director: "02:00:00:00:00:02",
  server: "02:00:00:00:00:03",
};
export const VIP = "10.9.0.100";

export function ip(...args) {
  return command("ip", args);
}

function command(name, args) {
  const run = spawnSync(name, args, { encoding: "utf8" });
  if (run.status !== 0) throw new Error(`${name} ${args.join(" ")}: ${run.stderr || run.error}`);
  return run.stdout;
}

/** A namespace held by a process that ends with this one (its stdin closes). */
export function hold() {
  const child = spawn("unshare", ["--net", "cat"], { stdio: ["pipe", "ignore", "inherit"] });
  const pid = child.pid;
  const own = command("readlink", ["/proc/self/ns/net"]);
  // unshare(1) enters the namespace a moment after it was started.
  for (let i = 0; command("readlink", [`/proc/${pid}/ns/net`]) === own; i++) {
    if (i > 500) throw new Error("no namespace");
    spawnSync("sleep", ["0.01"]);
  }
  return {
    pid,
    inside: (...args) => command("nsenter", ["-t", String(pid), "-n", ...args]),
    end: () => child.kill(),
  };
}

function shell(place, text) {
  for (const line of text.trim().split("\n")) place.inside("sh", "-ec", line.trim());
}

/** Three places around a switch: a bridge, or with `bare` nothing, so that a program can be the switch. */
export function cluster({ bare = false } = {}) {
  const places = { network: hold(), client: hold(), server: hold() };
  const { network, client, server } = places;
  // No interface of ours may send by itself, or frames that nobody asked for would be counted.
  const quiet = "sysctl -qw net.ipv6.conf.default.disable_ipv6=1 net.ipv6.conf.all.disable_ipv6=1";
  for (const place of Object.values(places)) shell(place, quiet);
  command("sh", ["-ec", quiet]);
  if (!bare) shell(network, "ip link add br0 type bridge forward_delay 0\nip link set br0 up");
  const join = (name, mac, place) => {
    ip("link", "add", `p-${name}`, "type", "veth", "peer", "name", name, "address", mac);
    ip("link", "set", `p-${name}`, "netns", String(network.pid));
    shell(network, `ip link set p-${name} ${bare ? "" : "master br0"} up`);
    if (place) ip("link", "set", name, "netns", String(place.pid));
  };
  join("dir0", MAC.director);
  join("cli0", MAC.client, client);
  join("srv0", MAC.server, server);
  ip("link", "set", "dir0", "up");
  shell(
    client,
    `ip link set lo up
    ip link set cli0 up
    ip addr add 10.9.0.1/24 dev cli0
    ip neigh add ${VIP} lladdr ${MAC.director} dev cli0 nud permanent
    ip neigh add 10.9.0.3 lladdr ${MAC.server} dev cli0 nud permanent`,
  );
  shell(
    server,
    `ip link set lo up
    ip link set srv0 up
    sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.rp_filter=0
    ip addr add 10.9.0.3/24 dev srv0
    ip addr add ${VIP}/32 dev lo
    ip neigh add 10.9.0.1 lladdr ${MAC.client} dev srv0 nud permanent`,
  );
  return {
    ...places,
    end: () => {
      for (const place of Object.values(places)) place.end();
    },
  };
}

/** Starts a Node script in a namespace; `line()` waits for its next line of output. It ends with us, however we end. */
export function script(place, source, ...args) {
  const whole = `process.stdin.on("end", () => process.exit()).resume();${source}`;
  const child = spawn("nsenter", ["-t", String(place.pid), "-n", process.execPath, "-e", whole, ...args], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const waiting = [];
  const lines = [];
  let rest = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    rest += text;
    for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
      const line = rest.slice(0, end);
      rest = rest.slice(end + 1);
      if (waiting.length > 0) waiting.shift()(line);
      else lines.push(line);
    }
  });
  child.on("exit", () => {
    for (const give of waiting) give("");
  });
  return {
    line: () =>
      lines.length > 0 ? Promise.resolve(lines.shift()) : new Promise((give) => waiting.push(give)),
    end: () => child.kill(),
  };
}

/** Takes one upload, answers with its SHA-256 and length. */
export const SINK = `
  const { createHash } = require("node:crypto");
  require("node:net").createServer({ allowHalfOpen: true }, (socket) => {
    const hash = createHash("sha256");
    let bytes = 0;
    socket.on("data", (data) => { hash.update(data); bytes += data.length; });
    socket.on("end", () => socket.end(hash.digest("hex") + " " + bytes));
    socket.on("error", () => {});
  }).listen(8000, "0.0.0.0", () => console.log("ready"));`;

/** Uploads MEGABYTES of noise through the VIP; prints both ends' words. */
export const SOURCE = `
  const { createHash, randomBytes } = require("node:crypto");
  const noise = randomBytes(1 << 20);
  const total = Number(process.argv[1]);
  const hash = createHash("sha256");
  const socket = require("node:net").connect(8000, "${VIP}");
  let answer = "";
  let sent = 0;
  const write = () => {
    while (sent < total) { noise[sent % 4096] = sent & 255; const piece = Buffer.from(noise); hash.update(piece); sent++; if (!socket.write(piece)) return; }
    if (sent++ === total) { console.log(hash.digest("hex") + " " + total * noise.length); socket.end(); }
  };
  socket.on("connect", write).on("drain", write);
  socket.on("data", (data) => { answer += data; });
  socket.on("close", () => { console.log(answer); });
  socket.on("error", (error) => { console.log(error.message); console.log(""); });`;
