/** The recordings' files: one scenario of steps, or one list of ipvsadm command lines (recordings/README.md). */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { gunzipSync } from "node:zlib";
import { pairsOfCapture } from "./pairs.ts";

export interface Packet {
  readonly op: "pkt";
  readonly t: number;
  readonly proto: "tcp" | "udp";
  readonly src: string;
  readonly sport: number;
  readonly dst: string;
  readonly dport: number;
  readonly flags?: string;
  readonly ttl?: number;
  readonly payload_len?: number;
}

export interface RawFrame {
  readonly op: "raw";
  readonly t: number;
  readonly desc: string;
}

export interface Outcome {
  readonly out: string | null;
  readonly frames?: readonly { readonly dst_mac: string; readonly icmp_rest?: string }[];
  readonly in_hex?: string;
  readonly out_hex?: readonly string[];
  readonly conn_after?: { readonly rs: string; readonly state: string; readonly expires: number } | null;
  readonly total_active?: number;
  readonly total_inact?: number;
}

export interface ServiceCounters {
  readonly proto: string;
  readonly vip: string;
  readonly port: number;
  readonly mark?: number;
  readonly sched: string;
  readonly flags: readonly string[];
  readonly dests: readonly {
    readonly rs: string;
    readonly port: number;
    readonly forward: string;
    readonly weight: number;
    readonly active: number;
    readonly inact: number;
  }[];
}

export interface Entry {
  readonly proto: string;
  readonly client: string;
  readonly cport: number;
  readonly vip: string;
  readonly vport: number;
  readonly rs: string;
  readonly rport: number;
  readonly state: string;
  readonly expires: number;
}

export interface CommandLine {
  readonly args: readonly string[];
  readonly rc: number;
  readonly stdout: string;
  readonly stderr: string;
  /** What --restore reads. */
  readonly stdin?: string;
}

export type Step =
  | (Packet & Outcome)
  | (RawFrame & Outcome)
  | ({ readonly op: "ipvsadm"; readonly t: number } & CommandLine)
  | { readonly op: "sysctl"; readonly key: string; readonly set: string | null; readonly value: string }
  | { readonly op: "shell"; readonly cmd: string; readonly stdout: string }
  | { readonly op: "counters"; readonly t: number; readonly services: readonly ServiceCounters[] }
  | { readonly op: "conns"; readonly t: number; readonly entries: readonly Entry[] }
  | { readonly op: "sleep"; readonly t: number; readonly seconds: number }
  | { readonly op: "note"; readonly text: string }
  | { readonly op: "stats" };

export interface Scenario {
  readonly format: "ipvs-oracle/1";
  readonly kernel: string;
  readonly name: string;
  readonly description: string;
  readonly steps: readonly Step[];
}

export interface Session {
  readonly format: "ipvs-oracle-cli/1";
  readonly kernel: string;
  readonly description: string;
  readonly commands: readonly {
    readonly cmd: string;
    readonly argv: readonly string[];
    readonly rc: number;
    readonly stdout: string;
    readonly stderr: string;
    readonly stdin?: string;
    readonly note?: string;
  }[];
}

/** Frames that came to the kernel's director and those that it sent on, in order. */
export interface Pairs {
  readonly format: "pairs";
  readonly frames: readonly { readonly in: string; readonly out: string }[];
}

/** What a file turned out to hold. */
export type Recording = Scenario | Session | Pairs | { readonly format: "unknown"; readonly reason: string };

export function readRecording(path: string): Recording {
  const bytes = readFileSync(path);
  if (path.endsWith(".pcap")) return pairsOfCapture(bytes);
  const value = JSON.parse((path.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString());
  if (value.format === "ipvs-oracle/1" || value.format === "ipvs-oracle-cli/1") return value;
  if (Array.isArray(value.frames)) return { format: "pairs", frames: value.frames };
  return { format: "unknown", reason: `it holds ${Object.keys(value).join(", ")}, no steps` };
}

/** Every file of a directory and of those below it, or the file itself, in the order of their names. */
export function filesOf(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  const names = readdirSync(path, { recursive: true, encoding: "utf8" }).sort();
  return names.map((name) => join(path, name)).filter((file) => statSync(file).isFile());
}

/** Everything else in a directory (its README) is nothing to replay. */
export function isRecording(file: string): boolean {
  return /\.(?:json|json\.gz|pcap)$/.test(file);
}

export function shortName(root: string, file: string): string {
  return relative(root, file) || file;
}
