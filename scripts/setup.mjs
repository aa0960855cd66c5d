// Everything between a fresh clone and a running program: `node scripts/setup.mjs start|test|build`, called by npm's
// prestart and pretest. Does only what is due; when nothing changed it takes a fraction of a second.
// All its output goes to stderr, so that `npm start -- --json` has nothing but JSON on stdout.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { nativeIsStale } from "./build-native.mjs";
import { webIsStale } from "./build-web.mjs";
import { missingCompiler, missingKernelFeature, missingNode, missingPrograms } from "./checks.mjs";
import { missingForTests } from "./test-programs.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const BUILD_STAMP = join(ROOT, "build", "compiled");

const say = (line) => process.stderr.write(`${line}\n`);

function stop(sentences) {
  for (const sentence of sentences) say(`dr-director: ${sentence}`);
  process.exit(1);
}

/** Runs a step with its stdout sent to our stderr; a step that fails ends the set-up with its own words. */
function step(what, command, args) {
  say(`dr-director: ${what} …`);
  const run = spawnSync(command, args, { cwd: ROOT, stdio: ["ignore", 2, 2] });
  if (run.error) stop([`${what} could not be started: ${run.error.message}`]);
  if (run.status !== 0) stop([`${what} failed (\`${command} ${args.join(" ")}\`), see above.`]);
}

function npm(args) {
  const script = process.env.npm_execpath;
  return script?.endsWith(".js") ? [process.execPath, [script, ...args]] : ["npm", args];
}

/** Is what package-lock.json says in this folder not installed there? */
function installIsDue(folder) {
  const lock = join(folder, "package-lock.json");
  const installed = join(folder, "node_modules", ".package-lock.json");
  if (!existsSync(installed)) return true;
  if (existsSync(stampOf(folder))) return readFileSync(stampOf(folder), "utf8") !== hashOf(lock);
  // Somebody ran npm by hand: their install counts if it is newer than the lock.
  return statSync(installed).mtimeMs < statSync(lock).mtimeMs;
}

const stampOf = (folder) => join(folder, "node_modules", ".dr-director-lock");
const hashOf = (file) => createHash("sha256").update(readFileSync(file)).digest("hex");
const NPM_CI = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];

function stampInstall(folder) {
  const hash = hashOf(join(folder, "package-lock.json"));
  const stamp = stampOf(folder);
  if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== hash) writeFileSync(stamp, hash);
}

function install() {
  if (installIsDue(ROOT)) step("installing the packages of package-lock.json", ...npm(NPM_CI));
  stampInstall(ROOT);
}

/** Other people's packages that the tests hold us against; without them those tests are skipped. */
function installWitnesses() {
  const folder = join(ROOT, "test", "interop");
  if (!existsSync(join(folder, "package-lock.json")) || !installIsDue(folder)) return;
  if (process.env.NO_SETUP === "1") return;
  say("dr-director: installing the packages of test/interop (NO_SETUP=1 declines) …");
  const [command, args] = npm([...NPM_CI, "--prefix", folder]);
  const run = spawnSync(command, args, { cwd: folder, stdio: ["ignore", 2, 2] });
  if (run.status === 0) stampInstall(folder);
  else say("dr-director: they could not be installed; the tests that need them will be skipped and listed.");
}

/** Every file below a folder whose name ends so, with its modification time. */
function filesBelow(folder, ending) {
  const found = [];
  if (!existsSync(folder)) return found;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) found.push(...filesBelow(path, ending));
    else if (entry.name.endsWith(ending)) found.push(`${path} ${statSync(path).mtimeMs}`);
  }
  return found;
}

/** One line that changes when any source, the compiler's settings or the compiler itself changes. */
function sourcesFingerprint() {
  const settings = ["tsconfig.json", "package-lock.json", "scripts/bundle-shard.mjs"].map(
    (name) => `${name} ${statSync(join(ROOT, name)).mtimeMs}`,
  );
  const lines = [...filesBelow(join(ROOT, "src"), ".ts").sort(), ...settings];
  return createHash("sha256").update(lines.join("\n")).digest("hex");
}

function compile() {
  const fingerprint = sourcesFingerprint();
  const dist = join(ROOT, "dist", "cli", "dr-director.js");
  const stamp = existsSync(BUILD_STAMP) ? readFileSync(BUILD_STAMP, "utf8") : "";
  if (stamp === fingerprint && existsSync(dist)) return;
  // tsc's own notes say "nothing to do" when dist was deleted; without them it writes everything again.
  if (!existsSync(dist)) rmSync(join(ROOT, "build", "tsbuildinfo"), { force: true });
  step("compiling TypeScript", process.execPath, [
    join(ROOT, "node_modules", "typescript", "bin", "tsc"),
    "-p",
    "tsconfig.json",
  ]);
  step("joining the shard's modules", process.execPath, [join(ROOT, "scripts", "bundle-shard.mjs")]);
  mkdirSync(dirname(BUILD_STAMP), { recursive: true });
  writeFileSync(BUILD_STAMP, fingerprint);
}

function buildNative() {
  if (!nativeIsStale()) return;
  step("compiling the native part", process.execPath, [join(ROOT, "scripts", "build-native.mjs")]);
}

function buildPage() {
  if (!webIsStale()) return;
  step("building the page", process.execPath, [join(ROOT, "scripts", "build-web.mjs")]);
}

/** The other programs that the tests meet the world with; only the tests want them. */
function testPrograms() {
  const missing = missingForTests();
  if (missing.length === 0) return;
  const names = missing.map((program) => program.name).join(", ");
  const canInstall = process.getuid?.() === 0 && existsSync("/usr/bin/apt-get");
  if (process.env.NO_SETUP === "1" || !canInstall) {
    const cure = canInstall ? ".ci/setup" : "sudo .ci/setup";
    say(
      `dr-director: not installed: ${names}. The tests that need them will be skipped and listed (\`${cure}\` installs them).`,
    );
    return;
  }
  say(`dr-director: the tests use ${names}, not installed here: running .ci/setup (NO_SETUP=1 declines).`);
  const run = spawnSync(join(ROOT, ".ci", "setup"), [], { cwd: ROOT, stdio: ["ignore", 2, 2] });
  if (run.status !== 0) say("dr-director: .ci/setup failed; what stays missing will be skipped and listed.");
}

function main(purpose) {
  const nodeProblem = missingNode();
  if (nodeProblem) stop([nodeProblem]);
  const needsCompiler = nativeIsStale();
  const missing = [];
  const compilerProblem = needsCompiler ? missingCompiler() : undefined;
  if (compilerProblem) missing.push(compilerProblem);
  if (purpose !== "build") {
    const programs = missingPrograms();
    missing.push(...programs);
    const kernelProblem = programs.length === 0 ? missingKernelFeature() : undefined;
    if (kernelProblem) missing.push(kernelProblem);
  }
  if (missing.length > 0) stop(missing);
  install();
  buildNative();
  compile();
  buildPage();
  if (purpose === "test") {
    testPrograms();
    installWitnesses();
  }
}

const purpose = process.argv[2] ?? "build";
if (!["start", "test", "build"].includes(purpose)) stop([`"${purpose}" is not one of start, test, build.`]);
main(purpose);
