import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { register } from "../../src/cli/commands/check.ts";

let folder: string;
let out: string;
let err: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "dr-director-check-"));
  out = "";
  err = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    out += text;
    return true;
  });
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    err += text;
    return true;
  });
});

afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
  process.exitCode = undefined;
});

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

async function check(...words: string[]): Promise<number> {
  const program = new Command();
  register(program);
  await program.parseAsync(["check", ...words], { from: "user" });
  return Number(process.exitCode);
}

describe("dr-director check", () => {
  test("a right file is right", async () => {
    expect(await check("examples/dr-director.yaml")).toBe(0);
    expect([out, err]).toEqual(["examples/dr-director.yaml: right\n", ""]);
  });

  test("every error of every file, with its place, and exit code 1", async () => {
    const one = file("one.yaml", "shards: many\nttl: up\n");
    const two = file("two.yaml", "services:\n  - {address: 10.0.0.1, port: 80, scheduler: rrr}\n");
    expect(await check(one, "examples/dr-director.yaml", two)).toBe(1);
    const lines = err.trimEnd().split("\n");
    expect(lines[0]).toBe(`${one}:1:9: shards: expected a number, found "many"`);
    expect(lines[1]).toMatch(`${one}:2:6: ttl: expected one of keep, decrement`);
    expect(lines[2]).toMatch(`${two}:2:46: services[0].scheduler: expected one of rr, wrr`);
    expect(lines.length).toBe(3);
    expect(out).toBe("examples/dr-director.yaml: right\n");
  });

  test("a scheduler of one's own is known with --scheduler", async () => {
    const module = file("mine.mjs", "export default { name: 'checked-mine', schedule: () => -1 };");
    const config = file("d.yaml", "services: [{address: 10.0.0.1, port: 80, scheduler: checked-mine}]\n");
    expect(await check(config, "--quiet")).toBe(1);
    expect(await check(config, "--quiet", "--scheduler", module)).toBe(0);
    expect(out).toBe("");
  });

  test("a file that is not there is told", async () => {
    expect(await check(join(folder, "nowhere.yaml"))).toBe(1);
    expect(err).toMatch(/nowhere\.yaml: ENOENT/);
  });
});
