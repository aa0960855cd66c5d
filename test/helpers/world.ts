/** What the tests that meet the world share: labs that are always closed, and programs that may be missing. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished, type TestContext } from "vitest";
import { Lab } from "../../src/lab/lab.ts";
import type { LabOptions } from "../../src/lab/topology.ts";

/** A lab that is gone when the test is over, however it ends. */
export async function makeLab(options: LabOptions = {}): Promise<Lab> {
  const lab = await Lab.create(options);
  onTestFinished(() => lab.close());
  return lab;
}

/** An empty folder that is gone when the test is over. */
export function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "dr-director-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function has(program: string): boolean {
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
  try {
    execFileSync("sh", ["-c", `command -v ${program}`], { env, stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Skips the test, with its reason, when one of these programs is not installed. */
export function needs(context: TestContext, ...programs: string[]): void {
  const missing = programs.filter((program) => !has(program));
  context.skip(missing.length > 0, `not installed: ${missing.join(", ")}; .ci/setup installs it`);
}

export const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Waits until `look` gives something, at most `timeout` milliseconds. */
export async function eventually<T>(
  what: string,
  look: () => T | undefined | Promise<T | undefined>,
  timeout = 5_000,
): Promise<T> {
  const end = performance.now() + timeout;
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    if (performance.now() > end) throw new Error(`${what}: not within ${timeout} ms`);
    await sleep(10);
  }
}

/** Frames as text that a failed comparison shows in one line each. */
export const hexOf = (frames: readonly { bytes: Uint8Array }[]): string[] =>
  frames.map(({ bytes }) => Buffer.from(bytes).toString("hex"));
