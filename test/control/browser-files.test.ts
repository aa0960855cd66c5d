/** What the page loads is plain modules: nothing of Node's, no package, however deep. */
import { readFileSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import { expect, it } from "vitest";

const SOURCE = resolve(import.meta.dirname, "../../src");

/** Imports that are left when TypeScript has taken the types away. */
function importsOf(path: string): string[] {
  const text = readFileSync(path, "utf8");
  const statements = text.matchAll(/^(?:import|export)\s+(?!type\b)([^;]*?)\s*from\s+"([^"]+)"/gm);
  return [...statements]
    .filter(([, names]) => !/^\{(?:\s*type\s[^,}]*,?)+\s*\}$/.test(names!))
    .map(([, , target]) => target!);
}

function closureOf(entry: string): Map<string, string[]> {
  const seen = new Map<string, string[]>();
  const waiting = [resolve(SOURCE, entry)];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (seen.has(path)) continue;
    const targets = importsOf(path);
    seen.set(path, targets);
    for (const target of targets) if (target.startsWith(".")) waiting.push(resolve(dirname(path), target));
  }
  return seen;
}

it.each([
  "control/offline.ts",
  "dataplane/player.ts",
  "dataplane/replay.ts",
  "dataplane/recording.ts",
  "dataplane/explain.ts",
  "wire/capture-reader.ts",
  "wire/pcapng-writer.ts",
])("%s runs in a browser", (entry) => {
  const foreign = [...closureOf(entry)].flatMap(([path, targets]) =>
    targets
      .filter((target) => !target.startsWith("."))
      .map((target) => `${relative(SOURCE, path)} → ${target}`),
  );
  expect(foreign).toEqual([]);
});
