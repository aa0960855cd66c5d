/** Every command whose reader has gone ends without a word, with the exit code of a program that SIGPIPE ended. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { built } from "../../src/lab/built.ts";
import { run } from "../../src/lab/program.ts";
import { World } from "../dataplane/world.ts";
import { serveWorld } from "../helpers/api.ts";
import { makeFolder } from "../helpers/world.ts";

/** The pipe's reader is gone before the program starts. */
const DEAF = `(sleep 0.3; exec "$0" "$@"; ) | { exec <&-; }; printf "%s" "\${PIPESTATUS[0]}"`;

function toNobody(program: string, words: readonly string[], env: Record<string, string> = {}) {
  const argv = ["bash", "-c", DEAF, process.execPath, built(`cli/${program}.js`), ...words];
  return run(argv, { timeout: 60_000, env });
}

describe("a command whose reader has gone", () => {
  test.each([
    ["dr-director", ["--help"]],
    ["dr-director", ["run", "--help"]],
    ["dr-director", ["convert", "FILE"]],
    ["dr-director", ["simulate", "-s", "rr", "--json"]],
    ["dr-director", ["lab", "--fault", "list"]],
    ["dr-director", ["lab", "--lesson", "list"]],
    ["dradm", ["--help"]],
    ["dradm", ["--version"]],
  ])("%s %j", async (program, words) => {
    const file = join(makeFolder(), "rules");
    writeFileSync(file, "-A -t 10.0.0.1:80\n");
    const argv = words.map((word) => (word === "FILE" ? file : word));
    const { stdout, stderr } = await toNobody(program, argv);
    expect(stderr).toBe("");
    // Who prints its help ends before it hears of it.
    expect(stdout).toMatch(words.includes("--help") ? /^(0|141)$/ : /^141$/);
  });

  test.each([
    ["dr-director", ["simulate", "-s", "rr"]],
    ["dr-director", ["lab", "--fault", "list"]],
    ["dr-director", ["proc", "ip_vs"]],
    ["dradm", ["-L", "-n"]],
    ["dradm", ["--help"]],
  ])("%s %j onto a full disk: one sentence", async (program, words) => {
    const socket = await serveWorld(new World());
    const argv = [
      "sh",
      "-c",
      'exec "$0" "$@" >/dev/full',
      process.execPath,
      built(`cli/${program}.js`),
      ...words,
    ];
    const { code, stderr } = await run(argv, { env: { DR_DIRECTOR_SOCKET: socket } });
    expect(stderr).toMatch(
      /^(dr-director|dradm): standard output: ENOSPC: no space left on device, write\n$/,
    );
    expect(code).toBe(1);
  });

  test.each([
    ["dr-director", ["top", "--once"]],
    ["dr-director", ["export"]],
    ["dr-director", ["proc", "ip_vs"]],
    ["dradm", ["-L", "-n"]],
    ["dradm", ["-L", "-n", "-c"]],
    ["dradm", ["-S", "-n"]],
    ["dradm-save", ["-n"]],
  ])("%s %j of a director", async (program, words) => {
    const world = new World();
    world.send(new Uint8Array(60));
    const socket = await serveWorld(world);
    const outcome = await toNobody(program, words, { DR_DIRECTOR_SOCKET: socket });
    expect(outcome).toMatchObject({ stdout: "141", stderr: "" });
  });
});
