// Joins what a shard's thread runs into one file, dist/control/shard-worker.bundled.js. Between ES modules V8 reads
// every imported constant and function from memory and checks what it found, each time; in one scope they are
// constants of the machine code. The data path takes a third less time for it (bench/README.md).
import { existsSync, readdirSync, renameSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(fileURLToPath(new URL("..", import.meta.url)));
const dist = join(root, "dist");
const input = join(dist, "control", "shard-worker.js");
const output = join(dist, "control", "shard-worker.bundled.js");

/** True when the bundle is missing or older than any compiled file it could be made of. */
export function bundleIsStale() {
  if (!existsSync(output)) return true;
  const made = statSync(output).mtimeMs;
  return ["control", "dataplane", "ring", "schedulers", "table", "wire"].some((folder) =>
    readdirSync(join(dist, folder)).some(
      (name) => name.endsWith(".js") && statSync(join(dist, folder, name)).mtimeMs > made,
    ),
  );
}

/** Joins what `input` imports from this project into the one file `output`. */
export async function joinModules(input, output) {
  const { rolldown } = await import("rolldown");
  const bundle = await rolldown({
    input,
    platform: "node",
    external: /^(node:|[a-z@])/,
    optimization: { inlineConst: { mode: "all", pass: 3 } },
  });
  // Written beside and renamed, so that nobody starts half a file.
  const temporary = `${output}.${process.pid}.tmp`;
  await bundle.write({ file: temporary, format: "esm", codeSplitting: false });
  await bundle.close();
  renameSync(temporary, output);
}

export const bundleShard = () => joinModules(input, output);

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundleShard();
