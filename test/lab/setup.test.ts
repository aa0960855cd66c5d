import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";

const ROOT = join(import.meta.dirname, "../..");

/** A clone with nothing installed and nothing built, and a PATH of its own. */
function makeClone() {
  const clone = mkdtempSync(join(tmpdir(), "dr-director-clone-"));
  onTestFinished(() => rmSync(clone, { recursive: true, force: true }));
  for (const part of ["scripts", "native", "package.json", "package-lock.json", "tsconfig.json"]) {
    cpSync(join(ROOT, part), join(clone, part), { recursive: true });
  }
  const bin = join(clone, "bin");
  mkdirSync(bin);
  const link = (name: string): void => {
    const path = execFileSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim();
    symlinkSync(path, join(bin, name));
  };
  const program = (name: string, text: string): void => {
    writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(bin, name), 0o755);
  };
  const setup = (purpose: string) =>
    spawnSync(process.execPath, ["scripts/setup.mjs", purpose], {
      cwd: clone,
      encoding: "utf8",
      env: { PATH: bin },
    });
  return { clone, link, program, setup, files: () => readdirSync(clone).sort() };
}

test("what is missing is told at once, each in one sentence with its cure, before anything is made", () => {
  const { setup, files } = makeClone();
  const before = files();
  const { status, stdout, stderr } = setup("start");
  expect(status).toBe(1);
  expect(stdout).toBe("");
  const sentences = stderr.trim().split("\n");
  expect(sentences.every((sentence) => sentence.startsWith("dr-director: "))).toBe(true);
  expect(sentences[0]).toMatch(/^dr-director: No C compiler .*: .*build-essential$/);
  for (const name of ["unshare", "nsenter", "setpriv"]) {
    expect(stderr).toMatch(
      new RegExp(`^dr-director: The program \`${name}\` was not found: .*util-linux$`, "m"),
    );
  }
  expect(files()).toEqual(before);
});

test("a compiler without the system's headers is told apart from no compiler", () => {
  const { program, setup } = makeClone();
  program("cc", "exit 1");
  expect(setup("build").stderr).toMatch(/cannot find the system's headers .*: .*build-essential$/m);
});

test("a machine that allows no network namespace is one sentence with its cure", () => {
  const { link, program, setup, files } = makeClone();
  for (const name of ["nsenter", "setpriv", "sh"]) link(name);
  program("cc", "exit 0");
  program("unshare", "echo 'unshare: unshare failed: Operation not permitted' >&2; exit 1");
  const before = files();
  const { status, stderr } = setup("start");
  expect(status).toBe(1);
  expect(stderr.trim().split("\n")).toHaveLength(1);
  expect(stderr).toMatch(/namespace/);
  expect(stderr).toMatch(/--privileged|run .* as root|sysctl -w/);
  expect(files()).toEqual(before);
});

test("a kernel without veth or bridge is told by the command that loads it", () => {
  const { link, program, setup } = makeClone();
  for (const name of ["nsenter", "setpriv"]) link(name);
  program("cc", "exit 0");
  program("unshare", "echo 'failed: ip link add drb0 type bridge' >&2; exit 3");
  expect(setup("start").stderr).toMatch(/no bridge: sudo modprobe bridge$/m);
});
