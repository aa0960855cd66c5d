/** docs/ipvs-equality.md: every test and recording that it names is there, and nothing that must be told is missing. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const RECORDINGS = `${ROOT}test/oracle/recordings/`;
const read = (path: string): string => readFileSync(`${ROOT}${path}`, "utf8");

interface Row {
  readonly item: string;
  readonly behaviour: string;
  readonly word: string;
  readonly shown: string;
}

const rows: Row[] = read("docs/ipvs-equality.md")
  .split("\n")
  .filter((line) => line.startsWith("| ") && !line.startsWith("| |"))
  .map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
  .map(([item = "", behaviour = "", word = "", shown = ""]) => ({ item, behaviour, word, shown }));

/** Sources with the pieces of a long string put together, as a reader sees them. */
const source = (path: string): string => read(path).replace(/\\(["`])/g, "$1");

describe("the table of equality", () => {
  it("says of each behaviour whether it is equal, different and why, or nothing for a tap", () => {
    expect(rows.length).toBeGreaterThan(90);
    for (const { behaviour, word, shown } of rows) {
      expect(word, behaviour).toMatch(/^(?:equal\b|different\b.{10}|not for a tap)/);
      expect(shown, behaviour).toMatch(/`[^`]+`/);
    }
  });

  it("names tests and recordings that are there", () => {
    for (const { behaviour, shown } of rows) {
      for (const part of shown.split(" · ")) {
        const [, path = "", name] = /^`([^`]+)`(?: "(.+)")?$/.exec(part) ?? [];
        expect(path, `${behaviour}: ${part}`).not.toBe("");
        if (path.startsWith("test/")) {
          expect(existsSync(ROOT + path), path).toBe(true);
          if (name !== undefined) expect(source(path), `${path}: ${name}`).toContain(name);
        } else {
          const file = path.endsWith(".json") ? path : `${path}.json.gz`;
          expect(existsSync(RECORDINGS + file), file).toBe(true);
        }
      }
    }
  });

  it("has each of the items that the recordings were made for", () => {
    const items = new Set(rows.map(({ item }) => item));
    for (let item = 1; item <= 28; item++) expect(items.has(String(item)), `item ${item}`).toBe(true);
  });

  it("has each of the kernel's sysctls", () => {
    const recorded = gunzipSync(readFileSync(`${RECORDINGS}semantics/sysctl_defaults.json.gz`)).toString();
    const names = [...recorded.matchAll(/"key": "net\.ipv4\.vs\.(\w+)"/g)].map(([, name]) => name!);
    expect(names.length).toBeGreaterThan(25);
    const told = rows.map(({ item }) => item).join(" ");
    for (const name of names) expect(told, name).toContain(`\`${name}\``);
  });

  it("links to documents that are there", () => {
    for (const file of ["docs/ipvs-equality.md", "docs/fwmark.md"]) {
      for (const [, target] of read(file).matchAll(/\]\(([^)#]+)\)/g)) {
        expect(existsSync(`${ROOT}docs/${target}`), `${file}: ${target}`).toBe(true);
      }
    }
  });
});
