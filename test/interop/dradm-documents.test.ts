import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/** The man pages by mandoc's and groff's judgement, the completions by their shells'. */

const ROOT = new URL("../../", import.meta.url).pathname;
const has = (program: string): boolean => spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;

describe("man pages", () => {
  const pages = readdirSync(join(ROOT, "docs/man")).filter((name) => name.startsWith("dradm"));

  it.skipIf(!has("mandoc")).each(pages)("mandoc has nothing against %s", (page) => {
    const { stdout } = spawnSync("mandoc", ["-T", "lint", "-W", "style", join(ROOT, "docs/man", page)], {
      encoding: "utf8",
    });
    // the pages it refers to need not be installed
    expect(
      stdout.split("\n").filter((line) => line !== "" && !line.includes("referenced manual not found")),
    ).toEqual([]);
  });

  it.skipIf(!has("man")).each(pages)("groff has nothing against %s", (page) => {
    const { stderr, status } = spawnSync(
      "man",
      ["--warnings", "-l", "-Tutf8", "-Z", join(ROOT, "docs/man", page)],
      { encoding: "utf8" },
    );
    expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
  });
});

describe.skipIf(!has("bash"))("bash completion", () => {
  const folder = mkdtempSync(join(tmpdir(), "dradm-completion-"));
  beforeAll(() => {
    const rules = [
      "-A -t 10.0.0.100:80 -s rr",
      "-a -t 10.0.0.100:80 -r 10.0.0.11:80 -g -w 1",
      "-A -f 7 -6 -s rr",
      "-A -u 10.0.0.100:53 -s rr",
      "-a -u 10.0.0.100:53 -r 10.0.0.12:53 -g -w 1",
    ];
    writeFileSync(
      join(folder, "dradm"),
      `#!/bin/sh\nprintf '%s\\n' ${rules.map((rule) => `'${rule}'`).join(" ")}\n`,
    );
    chmodSync(join(folder, "dradm"), 0o755);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const complete = (...words: string[]): string[] => {
    const script = `source ${ROOT}packaging/completion/dradm.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _dradm; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const env = { ...process.env, PATH: `${folder}:${process.env.PATH}` };
    return execFileSync("bash", ["--norc", "-c", script, "bash", ...words], { encoding: "utf8", env })
      .split("\n")
      .filter((line) => line !== "");
  };

  it("offers commands, then what goes with them", () => {
    expect(complete("dradm", "--ad")).toEqual(["--add-service", "--add-server"]);
    expect(complete("dradm", "-L", "--st")).toEqual(["--stats"]);
    expect(complete("dradm", "-A", "--w")).toEqual([]);
    expect(complete("dradm", "-a", "--w")).toEqual(["--weight"]);
    expect(complete("dradm", "-A", "-t", "1.2.3.4:80", "-s", "l")).toEqual(["lc", "lblc", "lblcr"]);
  });

  it("offers the services and real servers that there are", () => {
    expect(complete("dradm", "-D", "-t", "")).toEqual(["10.0.0.100:80"]);
    expect(complete("dradm", "-Z", "-f", "")).toEqual(["7"]);
    expect(complete("dradm", "-d", "-u", "10.0.0.100:53", "-r", "")).toEqual(["10.0.0.12:53"]);
    expect(complete("dradm", "-e", "-t", "10.0.0.100:80", "-r", "")).toEqual(["10.0.0.11:80"]);
    expect(complete("dradm", "-D", "-f", "7", "-")).toEqual(["-6", "--ipv6"]);
  });

  it.skipIf(!has("shellcheck"))("has nothing that shellcheck minds", () => {
    const { stdout } = spawnSync(
      "shellcheck",
      ["-s", "bash", join(ROOT, "packaging/completion/dradm.bash")],
      { encoding: "utf8" },
    );
    expect(stdout).toBe("");
  });

  it.skipIf(!has("zsh"))("zsh can read its own", () => {
    expect(spawnSync("zsh", ["-n", join(ROOT, "packaging/completion/_dradm")]).status).toBe(0);
  });
});
