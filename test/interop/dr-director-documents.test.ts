/** Man pages and completions of dr-director: made of what the program and the schema say, good by their readers. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { makeFolder, needs } from "../helpers/world.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const PAGES = ["dr-director.8", "dr-director.yaml.5"];

test("they say what program and schema say today (else: node scripts/documents.mjs)", () => {
  const run = spawnSync(process.execPath, [join(ROOT, "scripts/documents.mjs"), "--check"], {
    encoding: "utf8",
  });
  expect({ status: run.status, said: run.stdout + run.stderr }).toEqual({ status: 0, said: "" });
});

describe.each(PAGES)("%s", (page) => {
  const path = join(ROOT, "docs/man", page);

  test("mandoc has nothing against it", (context) => {
    needs(context, "mandoc");
    const { stdout } = spawnSync("mandoc", ["-T", "lint", "-W", "style", path], { encoding: "utf8" });
    // The pages it refers to need not be installed.
    expect(
      stdout.split("\n").filter((line) => line !== "" && !line.includes("referenced manual not found")),
    ).toEqual([]);
  });

  test("groff has nothing against it", (context) => {
    needs(context, "man");
    const { stderr, status } = spawnSync("man", ["--warnings", "-l", "-Tutf8", "-Z", path], {
      encoding: "utf8",
    });
    expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
  });
});

test("every key of the example config is in dr-director.yaml(5)", () => {
  const page = readFileSync(join(ROOT, "docs/man/dr-director.yaml.5"), "utf8");
  const example = readFileSync(join(ROOT, "examples/dr-director.yaml"), "utf8");
  const keys = [...example.matchAll(/^\s*(?:- )?([a-zA-Z]+):/gm)].map((match) => match[1]!);
  expect(keys.length).toBeGreaterThan(5);
  for (const key of keys) expect(page).toMatch(new RegExp(`^\\.It Cm ${key} :`, "m"));
});

describe("bash completion", () => {
  const script = join(ROOT, "packaging/completion/dr-director.bash");

  function complete(words: string[], cwd = ROOT): string[] {
    const ask = `source ${script}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _dr_director; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return execFileSync("bash", ["--norc", "-c", ask, "bash", ...words], { encoding: "utf8", cwd })
      .split("\n")
      .filter((line) => line !== "");
  }

  test("offers commands, their options, choices and files", (context) => {
    needs(context, "bash");
    expect(complete(["dr-director", "con"])).toEqual(["convert"]);
    expect(complete(["dr-director", "run", "--met"])).toEqual(["--metrics"]);
    expect(complete(["dr-director", "run", "--ring", ""])).toEqual(["packet", "xdp", "xdp!"]);
    expect(complete(["dr-director", "proc", "ip_vs_"])).toEqual(["ip_vs_stats"]);
    const folder = makeFolder();
    mkdirSync(join(folder, "director.d"));
    writeFileSync(join(folder, "director.yaml"), "");
    expect(complete(["dr-director", "run", "--config", "dir"], folder).sort()).toEqual([
      "director.d",
      "director.yaml",
    ]);
    expect(complete(["dr-director", "plan", "director.y"], folder)).toEqual(["director.yaml"]);
  });

  test("has nothing that shellcheck minds", (context) => {
    needs(context, "shellcheck");
    expect(spawnSync("shellcheck", ["-s", "bash", script], { encoding: "utf8" }).stdout).toBe("");
  });
});

test("zsh completes from its own", (context) => {
  needs(context, "zsh");
  const script = join(ROOT, "packaging/completion/_dr-director");
  expect(spawnSync("zsh", ["-n", script]).status).toBe(0);
  // A terminal of zsh's own: what it inserts after a tab is what it completes.
  const ask = `zmodload zsh/zpty; zpty z zsh -f
    z() { zpty -w z "$1"; }
    z "PS1=; fpath=(${join(ROOT, "packaging/completion")} \\$fpath); autoload -U compinit; compinit -u -D; echo ready"
    zpty -r z out "*ready*ready*"
    zpty -w -n z $'dr-director conv\\t --from keep\\t--str\\t'; sleep 1; zpty -r z out "*strict*" && echo $out`;
  const run = spawnSync("zsh", ["-fc", ask], { encoding: "utf8", timeout: 20_000 });
  expect(run.stdout).toMatch(/dr-director convert.*--from keepalived.*--strict/s);
});
