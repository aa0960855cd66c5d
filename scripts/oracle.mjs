// `npm run oracle -- PATH…`: compiles the replayer (test/oracle/, which Node 20 cannot run as it is) and runs it.
// Types are not checked here, so that it also runs in the middle of a change; `npm run typecheck` does that.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const node = (...args) => spawnSync(process.execPath, args, { stdio: "inherit" });

const compiled = node(at("node_modules/typescript/bin/tsc"), "-p", at("test/oracle/tsconfig.json"));
if (compiled.status !== 0) process.exit(compiled.status ?? 1);
const { status } = node(
  "--enable-source-maps",
  at("build/oracle/test/oracle/main.js"),
  ...process.argv.slice(2),
);
process.exit(status ?? 1);
