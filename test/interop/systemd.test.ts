/** The unit files by systemd's own judgement. It reads them offline; nothing is installed or started. */
import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { makeFolder, needs } from "../helpers/world.ts";

const PACKAGING = new URL("../../packaging/", import.meta.url).pathname;
const UNITS = readdirSync(join(PACKAGING, "systemd")).filter((name) => name.endsWith(".service"));

/** The units with a program that is there. */
function unitsIn(folder: string): string[] {
  return UNITS.map((name) => {
    const text = readFileSync(join(PACKAGING, "systemd", name), "utf8");
    const path = join(folder, name.replace("@", "@eth0"));
    writeFileSync(path, text.replace("/usr/bin/dr-director", process.execPath));
    return path;
  });
}

describe("systemd-analyze", () => {
  let units: string[];
  beforeEach((context) => {
    needs(context, "systemd-analyze");
    units = unitsIn(makeFolder());
  });

  test("verify has nothing to say", () => {
    expect(units).toHaveLength(2);
    for (const unit of units) {
      const { stdout, stderr, status } = spawnSync("systemd-analyze", ["verify", "--man=no", unit], {
        encoding: "utf8",
      });
      expect({ stdout, stderr, status }, unit).toEqual({ stdout: "", stderr: "", status: 0 });
    }
  });

  test("security finds the exposure low", () => {
    for (const unit of units) {
      const run = spawnSync("systemd-analyze", ["security", "--offline=true", "--threshold=25", unit], {
        encoding: "utf8",
      });
      expect(run.status, run.stdout + run.stderr).toBe(0); // below 2.5 of 10
      const bounds = run.stdout.split("\n").filter((line) => /^✗ CapabilityBoundingSet/.test(line));
      expect(bounds).toHaveLength(2); // CAP_NET_ADMIN, CAP_NET_RAW
    }
  });
});

test("user and folders come about as sysusers.d and tmpfiles.d say", (context) => {
  needs(context, "systemd-sysusers", "systemd-tmpfiles");
  const root = makeFolder();
  const file = (kind: string) => join(PACKAGING, `${kind}.d`, "dr-director.conf");
  execFileSync("mkdir", ["-p", join(root, "etc"), join(root, "run")]);
  execFileSync("systemd-sysusers", [`--root=${root}`, "-"], { input: readFileSync(file("sysusers")) });
  const user = /^dr-director:[^:]*:(\d+):(\d+):/m.exec(readFileSync(join(root, "etc/passwd"), "utf8"));
  execFileSync("systemd-tmpfiles", [`--root=${root}`, "--create", "-"], {
    input: readFileSync(file("tmpfiles")),
  });
  const { uid, gid, mode } = statSync(join(root, "run/dr-director"));
  expect([uid, gid, mode & 0o7777]).toEqual([Number(user![1]), Number(user![2]), 0o750]);
});

test("the settings of sysctl.d are there to be set", (context) => {
  needs(context, "sysctl");
  const folder = join(PACKAGING, "sysctl.d");
  for (const name of readdirSync(folder)) {
    const copy = join(makeFolder(), name);
    copyFileSync(join(folder, name), copy);
    for (const [, key] of readFileSync(copy, "utf8").matchAll(/^([a-z][\w.]*) = \S+$/gm)) {
      // A network namespace of a user namespace does not show all of net.core.
      if (!existsSync(`/proc/sys/${key!.replaceAll(".", "/")}`) && key!.startsWith("net.core.")) continue;
      expect(spawnSync("sysctl", ["-n", key!]).status, key).toBe(0);
    }
  }
});
