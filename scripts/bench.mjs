// `npm run bench`: builds what is due, then measures (bench/README.md). Its stdout is the benches' alone.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(fileURLToPath(new URL("..", import.meta.url)));

function run(command, argv, options = {}) {
  const result = spawnSync(command, argv, { cwd: root, stdio: ["ignore", 2, 2], ...options });
  if (result.error !== undefined) throw result.error;
  return result.status ?? 1;
}

function must(command, argv) {
  const status = run(command, argv);
  if (status !== 0) process.exit(status);
}

/** The cap package is a peer; where libpcap's headers are missing it is left out, and the results say so. */
function installCap() {
  const folder = join(root, "bench", "peers", "cap");
  if (existsSync(join(folder, "node_modules", "cap", "build", "Release", "cap.node"))) return;
  if (!existsSync("/usr/include/pcap.h") && !existsSync("/usr/include/pcap/pcap.h")) return;
  process.stderr.write("bench: installing the peer in bench/peers/cap …\n");
  run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], { cwd: folder });
}

must(process.execPath, [join(root, "scripts", "setup.mjs"), "build"]);
must(process.execPath, [join(root, "scripts", "build-bench.mjs")]);
installCap();
const main = join(root, "build", "bench", "main.js");
process.exitCode = run(process.execPath, [main, ...process.argv.slice(2)], {
  stdio: ["ignore", "inherit", 2],
});
