// Builds what `npm run bench` runs into build/bench/: the bench programs, each joined into one file as a shard's
// thread is (scripts/bundle-shard.mjs), the C reference, and the tools. Does only what is due.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { joinModules } from "./bundle-shard.mjs";

const root = resolve(fileURLToPath(new URL("..", import.meta.url)));
const source = join(root, "bench");
const output = join(root, "build", "bench");
const compiled = join(output, "compiled");
const stamp = join(output, "built");
const headers = join(root, "node_modules", "node-api-headers", "include");

/** Programs by name: the file below bench/ that each begins with. */
const PROGRAMS = { main: "main.ts", path: "path/case.ts", micro: "micro/case.ts", timers: "timers.ts" };

const REFERENCE = ["reference/director.c", "reference/setup.c", "reference/table.c"];
const FLAGS = ["-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror"];
/** What cc makes: sources below bench/, and how it is called. */
const BINARIES = {
  "reference.node": {
    sources: ["reference/addon.c", ...REFERENCE],
    flags: ["-fPIC", "-shared", "-fvisibility=hidden", "-I", headers],
  },
  forward: {
    sources: ["reference/forward.c", "reference/packet_ring.c", "reference/xdp_ring.c", ...REFERENCE],
    flags: [],
  },
  load: { sources: ["tools/load.c"], flags: [] },
  bulk: { sources: ["tools/bulk.c"], flags: [] },
};

function filesBelow(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /\.(ts|[ch])$/.test(entry.name))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

function fingerprint() {
  const files = [...filesBelow(source), ...filesBelow(join(root, "src")), fileURLToPath(import.meta.url)];
  const lines = files.sort().map((file) => `${file} ${statSync(file).mtimeMs}`);
  return createHash("sha256").update(lines.join("\n")).digest("hex");
}

function run(what, command, args) {
  const result = spawnSync(command, args, { cwd: root, stdio: ["ignore", 2, 2] });
  if (result.error !== undefined)
    throw new Error(`${what}: ${command} could not be started: ${result.error.message}`);
  if (result.status !== 0) throw new Error(`${what} failed (\`${command} ${args.join(" ")}\`), see above`);
}

export async function buildBench() {
  const now = fingerprint();
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === now) return;
  rmSync(compiled, { recursive: true, force: true });
  mkdirSync(output, { recursive: true });
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  run("compiling the benches", process.execPath, [tsc, "-p", join(source, "tsconfig.json")]);
  for (const [name, file] of Object.entries(PROGRAMS)) {
    await joinModules(join(compiled, "bench", file.replace(/\.ts$/, ".js")), join(output, `${name}.js`));
  }
  for (const [name, { sources, flags }] of Object.entries(BINARIES)) {
    const inputs = sources.map((file) => join(source, file));
    run("compiling the C parts", process.env.CC || "cc", [
      ...FLAGS,
      ...flags,
      "-o",
      join(output, name),
      ...inputs,
    ]);
  }
  writeFileSync(stamp, now);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildBench();
