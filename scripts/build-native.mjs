// Builds build/dr_director.node from native/*.c when a source is newer: one compiler line, no build tool.
// Needs a C compiler, libc's and the kernel's headers, and node_modules/node-api-headers.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(fileURLToPath(new URL("..", import.meta.url)));
const folder = join(root, "native");
const output = join(root, "build", "dr_director.node");
const prebuilt = join(root, "prebuilds", `${process.platform}-${process.arch}`, "dr_director.node");
const headers = join(root, "node_modules", "node-api-headers", "include");
const FLAGS = [
  "-std=gnu11",
  "-D_GNU_SOURCE",
  "-O2",
  "-Wall",
  "-Wextra",
  "-Werror",
  "-fPIC",
  "-fvisibility=hidden",
];

const CURE = "the native part needs a C compiler and headers: apt-get install gcc libc6-dev";

/** True when there is no addon to load, or build/dr_director.node is older than any source or this script. */
export function nativeIsStale() {
  if (existsSync(prebuilt)) return false; // from the npm package: the loader takes it first
  if (!existsSync(output)) return true;
  const built = statSync(output).mtimeMs;
  const sources = readdirSync(folder).filter((name) => /\.[ch]$/.test(name));
  const inputs = [...sources.map((name) => join(folder, name)), fileURLToPath(import.meta.url)];
  return inputs.some((path) => statSync(path).mtimeMs > built);
}

/** Builds the addon if it is stale; throws an Error whose message is one sentence with the cure. */
export function buildNative({ force = false, log = () => {} } = {}) {
  if (!force && !nativeIsStale()) return false;
  if (!existsSync(headers)) throw new Error("node_modules/node-api-headers is missing: run npm ci");
  const sources = readdirSync(folder).filter((name) => name.endsWith(".c"));
  mkdirSync(join(root, "build"), { recursive: true });
  // Written beside and renamed, so that a running process keeps the file it has mapped and nobody sees half of one.
  const temporary = `${output}.${process.pid}.tmp`;
  const compiler = process.env.CC || "cc";
  const args = [...FLAGS, "-I", headers, "-shared", "-pthread", "-o", temporary, ...sources];
  log(`${compiler} ${args.join(" ")}`);
  const run = spawnSync(compiler, args, { cwd: folder, encoding: "utf8" });
  if (run.error?.code === "ENOENT") throw new Error(`there is no C compiler (${compiler}); ${CURE}`);
  if (run.status !== 0) {
    rmSync(temporary, { force: true });
    if (/fatal error: .*No such file or directory/.test(run.stderr ?? ""))
      throw new Error(`a system header is missing; ${CURE}\n${run.stderr}`);
    throw new Error(`${compiler} could not build the native part:\n${run.stderr || run.error?.message}`);
  }
  renameSync(temporary, output);
  return true;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  // --check only answers: exit code 0 when nothing needs to be built.
  if (process.argv.includes("--check")) process.exit(nativeIsStale() ? 1 : 0);
  try {
    const built = buildNative({
      force: process.argv.includes("--force"),
      log: (line) => console.error(line),
    });
    console.error(built ? "built build/dr_director.node" : "build/dr_director.node is up to date");
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
