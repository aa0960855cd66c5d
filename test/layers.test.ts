/** Imports point one way, and the core stays pure: DESIGN §2 and §6 as a test. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const SOURCE = resolve(import.meta.dirname, "../src");

/** From the bottom up: a file may import from its own layer and from those before it. */
const LAYERS = [
  "wire",
  "table",
  "schedulers",
  "ring",
  "dataplane",
  "control",
  "health",
  "observe",
  "lab",
  "cli",
];

const PURE_LAYERS = new Set(["wire", "table", "schedulers", "dataplane"]);
const PURE_RING = new Set([
  "ring.ts",
  "burst.ts",
  "memory-ring.ts",
  "pcap-ring.ts",
  "capture.ts",
  "middleware.ts",
  "fault.ts",
  "arena.ts",
  "virtio-header.ts",
]);

function filesBelow(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) return filesBelow(path);
    return name.endsWith(".ts") ? [path] : [];
  });
}

/** What a file imports, values and types alike. */
function importsOf(path: string): string[] {
  const text = readFileSync(path, "utf8");
  return [
    ...text.matchAll(
      /^\s*(?:import|export)\s[^;]*?from\s+"([^"]+)"|^\s*import\s+"([^"]+)"|\bimport\("([^"]+)"\)/gm,
    ),
  ].map((match) => (match[1] ?? match[2] ?? match[3]) as string);
}

function layerOf(path: string): string {
  return relative(SOURCE, path).split("/")[0] as string;
}

function isPure(path: string): boolean {
  const [layer, ...rest] = relative(SOURCE, path).split("/");
  return PURE_LAYERS.has(layer as string) || (layer === "ring" && PURE_RING.has(rest.join("/")));
}

const files = filesBelow(SOURCE).filter((path) => layerOf(path) !== "index.ts");

describe("the house's layers", () => {
  it("has a place for every folder", () => {
    expect([...new Set(files.map(layerOf))].filter((layer) => !LAYERS.includes(layer))).toEqual([]);
  });

  it("lets imports point only downwards", () => {
    const upward = files.flatMap((path) =>
      importsOf(path)
        .filter((target) => target.startsWith("."))
        .map((target) => resolve(dirname(path), target))
        .filter((target) => LAYERS.indexOf(layerOf(target)) > LAYERS.indexOf(layerOf(path)))
        .map((target) => `${relative(SOURCE, path)} → ${relative(SOURCE, target)}`),
    );
    expect(upward).toEqual([]);
  });

  it("keeps the core free of Node, packages and impure files", () => {
    const impure = files.filter(isPure).flatMap((path) =>
      importsOf(path)
        .filter((target) => !target.startsWith(".") || !isPure(resolve(dirname(path), target)))
        .map((target) => `${relative(SOURCE, path)} → ${target}`),
    );
    expect(impure).toEqual([]);
  });

  it("keeps clocks and chance out of the core", () => {
    const forbidden =
      /\bDate\b\.|\bDate\(|performance\.|Math\.random|\bprocess\.|\bBuffer\b|\bdocument\.|\bwindow\.|\bsetTimeout\b|\bglobalThis\b/;
    const guilty = files.filter(isPure).filter((path) => {
      const code = readFileSync(path, "utf8")
        .replace(/\/\*[\s\S]*?\*\//g, "")
        .replace(/\/\/.*$/gm, "");
      return forbidden.test(code);
    });
    expect(guilty.map((path) => relative(SOURCE, path))).toEqual([]);
  });
});
