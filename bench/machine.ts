/** What the numbers were taken on. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { ROOT } from "./places.ts";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memory: string;
  readonly kernel: string;
  readonly node: string;
  readonly v8: string;
  readonly commit: string;
  /** Programs the peers are made of, with their versions; "not installed" where they are not. */
  readonly programs: Readonly<Record<string, string>>;
  readonly date: string;
  /** 1-minute load average when the run began: on a busy machine only ratios mean something. */
  readonly load: number;
}

function firstLine(command: string, ...argv: string[]): string {
  try {
    const text = execFileSync(command, argv, {
      encoding: "utf8",
      cwd: ROOT,
      stdio: ["ignore", "pipe", "pipe"],
    });
    return text.split("\n")[0]!.trim();
  } catch {
    return "not installed";
  }
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    kernel: release(),
    node: process.versions.node,
    v8: process.versions.v8,
    commit: firstLine("git", "rev-parse", "--short", "HEAD"),
    programs: {
      cc: firstLine(process.env.CC || "cc", "--version"),
      nft: firstLine("nft", "--version"),
      haproxy: firstLine("haproxy", "-v"),
      wrk: firstLine("sh", "-c", "wrk -v 2>&1 || true"),
    },
    date: new Date().toISOString(),
    load: Number(readFileSync("/proc/loadavg", "utf8").split(" ")[0]),
  };
}
