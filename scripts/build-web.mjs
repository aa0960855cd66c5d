// Builds dist/web: the page as three files that work both served and opened from disk. Modules do not load from
// file:// (they are fetched with CORS, and a file has no origin), so the scripts become one classic script; the
// bundler is the one that Vite brings.
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const root = resolve(fileURLToPath(new URL("..", import.meta.url)));
const output = join(root, "dist", "web");

/** A capture becomes a module whose `capture` is its bytes, packed, in base64: the page opens as files too. */
const captures = {
  name: "captures",
  load(id) {
    if (!id.endsWith(".pcap")) return null;
    return {
      code: `export const capture = ${JSON.stringify(gzipSync(readFileSync(id)).toString("base64"))};`,
      moduleType: "js",
    };
  },
};

function newest(folder) {
  let latest = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    latest = Math.max(latest, entry.isDirectory() ? newest(path) : statSync(path).mtimeMs);
  }
  return latest;
}

/** True when dist/web is missing or older than any of its sources. */
export function webIsStale() {
  try {
    const built = Math.min(
      ...["index.html", "style.css", "page.js"].map((name) => statSync(join(output, name)).mtimeMs),
    );
    return (
      Math.max(
        newest(join(root, "web")),
        newest(join(root, "src")),
        statSync(fileURLToPath(import.meta.url)).mtimeMs,
      ) > built
    );
  } catch {
    return true;
  }
}

/** Builds the page if it is stale. Returns whether it did. */
export async function buildWeb({ force = false } = {}) {
  if (!force && !webIsStale()) return false;
  const { rolldown } = await import("rolldown");
  const bundle = await rolldown({
    input: join(root, "web", "src", "main.ts"),
    platform: "browser",
    plugins: [captures],
    tsconfig: false,
    logLevel: "warn",
    transform: { target: "es2022" },
  });
  mkdirSync(output, { recursive: true });
  await bundle.write({ file: join(output, "page.js"), format: "iife", minify: true, sourcemap: false });
  await bundle.close();
  const chart = readFileSync(join(root, "node_modules", "uplot", "dist", "uPlot.min.css"), "utf8");
  writeFileSync(
    join(output, "style.css"),
    `${chart}\n${readFileSync(join(root, "web", "style.css"), "utf8")}`,
  );
  writeFileSync(join(output, "index.html"), readFileSync(join(root, "web", "index.html")));
  return true;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const built = await buildWeb({ force: process.argv.includes("--force") });
  console.error(built ? "built dist/web" : "dist/web is up to date");
}
