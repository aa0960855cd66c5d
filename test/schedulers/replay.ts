/**
 * A small replayer of the recorded scenarios, for the schedulers alone: it models just as much of a connection as
 * decides who is counted where (IPVS-FACTS 1, "TCP, client->server direction only"), with nothing of the data path's
 * code. It knows one TCP or fwmark service, no persistence, no fragments, default sysctls.
 */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { ServiceFlag } from "../../src/table/services.ts";
import { Setting } from "../../src/table/settings.ts";
import { parseIpv4, parseIpv6 } from "../../src/wire/address.ts";
import { Bench, flow, type Thresholds, v4, type Words } from "./bench.ts";

interface Step {
  op: string;
  t?: number;
  args?: string[];
  src: string;
  sport: number;
  dst: string;
  flags?: string;
  out?: string | null;
  services?: { dests: { rs: string; weight: number; active: number; inact: number }[] }[];
}

interface Recording {
  kernel: string;
  name: string;
  steps: Step[];
}

type State = "SYN_RECV" | "ESTABLISHED" | "FIN_WAIT" | "TIME_WAIT" | "CLOSE";

interface Connection {
  d: number;
  state: State;
  expires: number;
  shard: number;
}

const NEXT: Record<State, Record<"SYN" | "FIN" | "ACK" | "RST" | "NONE", State>> = {
  SYN_RECV: { SYN: "SYN_RECV", FIN: "TIME_WAIT", ACK: "ESTABLISHED", RST: "SYN_RECV", NONE: "CLOSE" },
  ESTABLISHED: { SYN: "ESTABLISHED", FIN: "FIN_WAIT", ACK: "ESTABLISHED", RST: "CLOSE", NONE: "CLOSE" },
  FIN_WAIT: { SYN: "SYN_RECV", FIN: "FIN_WAIT", ACK: "FIN_WAIT", RST: "CLOSE", NONE: "CLOSE" },
  TIME_WAIT: { SYN: "SYN_RECV", FIN: "TIME_WAIT", ACK: "TIME_WAIT", RST: "CLOSE", NONE: "CLOSE" },
  CLOSE: { SYN: "SYN_RECV", FIN: "CLOSE", ACK: "CLOSE", RST: "CLOSE", NONE: "CLOSE" },
};

const FLAG_NAMES: Record<string, number> = {
  "sh-fallback": ServiceFlag.Sched1,
  "sh-port": ServiceFlag.Sched2,
  "mh-fallback": ServiceFlag.Sched1,
  "mh-port": ServiceFlag.Sched2,
};

function isActive(state: State): boolean {
  return state === "SYN_RECV" || state === "ESTABLISHED";
}

function kindOf(flags: string): "SYN" | "FIN" | "ACK" | "RST" | "NONE" {
  if (flags.includes("R")) return "RST";
  if (flags.includes("S")) return "SYN";
  if (flags.includes("F")) return "FIN";
  return flags.includes("A") ? "ACK" : "NONE";
}

function wordsOf(text: string): { words: Words; family: 4 | 6 } {
  const address = parseIpv4(text);
  if (address !== undefined) return { words: v4(address), family: 4 };
  // The recordings write "2001:db8:1:0::1".
  const words = parseIpv6(text);
  if (words === undefined) throw new Error(`not an address: ${text}`);
  return { words, family: 6 };
}

function serverOf(text: string): { words: Words; family: 4 | 6 } {
  return wordsOf(
    /^\[(.*)\]/.exec(text)?.[1] ?? text.replace(/:\d+$/, (port) => (text.includes(".") ? "" : port)),
  );
}

function option(args: readonly string[], name: string): string | undefined {
  const at = args.indexOf(name);
  return at < 0 ? undefined : args[at + 1];
}

export function readRecording(path: string): Recording {
  return JSON.parse(gunzipSync(readFileSync(path)).toString()) as Recording;
}

export class Replay {
  readonly mismatches: string[] = [];
  /** New connections that were decided alike, the refused ones included. */
  decisions = 0;
  counted = 0;
  #bench: Bench | undefined;
  readonly #shards: number;
  readonly #kernel: string;
  readonly #connections = new Map<string, Connection>();
  readonly #timeouts = { SYN_RECV: 60, ESTABLISHED: 900, FIN_WAIT: 120, TIME_WAIT: 120, CLOSE: 10 };

  constructor(recording: Recording, shards: number) {
    this.#shards = shards;
    this.#kernel = recording.kernel;
    for (const [index, step] of recording.steps.entries()) this.#step(step, index);
  }

  #step(step: Step, index: number): void {
    if (step.t !== undefined) this.#expire(step.t);
    if (step.op === "ipvsadm") this.#command(step.args ?? []);
    else if (step.op === "pkt") this.#packet(step, index);
    else if (step.op === "counters") this.#compareCounts(step, index);
  }

  #command(args: readonly string[]): void {
    const [verb] = args;
    if (verb === "--set") this.#timeouts.FIN_WAIT = Number(args[2]);
    if (verb === "-A") this.#addService(args);
    const bench = this.#bench;
    const server = option(args, "-r");
    if (bench === undefined || server === undefined) return;
    const { words } = serverOf(server);
    const weight = Number(option(args, "-w") ?? 1);
    const thresholds: Thresholds = {
      upper: Number(option(args, "-x") ?? 0),
      lower: Number(option(args, "-y") ?? 0),
    };
    if (verb === "-a") bench.add(words, weight, thresholds);
    if (verb === "-e") bench.edit(this.#row(words), weight, thresholds);
    if (verb === "-d") bench.remove(this.#row(words));
  }

  #addService(args: readonly string[]): void {
    const family = option(args, "-t")?.startsWith("[") ? 6 : 4;
    let flags = 0;
    for (const name of option(args, "-b")?.split(",") ?? []) flags |= FLAG_NAMES[name]!;
    this.#bench = new Bench(option(args, "-s")!, { shards: this.#shards, family, flags });
    const old = this.#kernel === "6.1.176";
    this.#bench.region.settings[Setting.overhead_257] = old ? 0 : 1;
  }

  #row(words: Words): number {
    const { destinations } = this.#bench!.region;
    const d = this.#bench!.members.find((m) =>
      words.every((w, i) => destinations.address[m * 4 + i] === w >>> 0),
    );
    if (d === undefined) throw new Error("no such destination");
    return d;
  }

  #packet(step: Step, index: number): void {
    const { flags, out } = step;
    if (flags === undefined) return;
    const d = this.#forward(step, flags);
    const expected = out?.startsWith("rs") ? out : undefined;
    const actual = d < 0 ? undefined : this.#nameOf(d);
    if (flags === "S") this.decisions++;
    if (actual !== expected)
      this.mismatches.push(`step ${index}: ${step.src} ${flags} -> ${actual}, kernel ${out}`);
  }

  /** Where the frame goes: a row, or -1. */
  #forward(step: Step, flags: string): number {
    const bench = this.#bench!;
    const kind = kindOf(flags);
    const key = `${step.src} ${step.sport} ${step.dst}`;
    let connection = this.#connections.get(key);
    if (connection !== undefined && kind === "SYN" && ["TIME_WAIT", "CLOSE"].includes(connection.state)) {
      this.#end(key, connection);
      connection = undefined;
    }
    if (connection !== undefined) {
      if (!bench.live(connection.d)) return -1;
      this.#enter(connection, NEXT[connection.state][kind], step.t ?? 0);
      return connection.d;
    }
    return kind === "SYN" ? this.#open(key, step) : -1;
  }

  #open(key: string, step: Step): number {
    const bench = this.#bench!;
    const client = wordsOf(step.src);
    const now = step.t ?? 0;
    const shard = (step.sport * 7919) % this.#shards;
    const wanted = flow(client.words, wordsOf(step.dst).words, client.family, step.sport, now * 1000);
    const d = bench.schedule(wanted, shard);
    if (d < 0) return d;
    bench.count(d, 1, 0, shard);
    this.#connections.set(key, { d, state: "SYN_RECV", expires: now + this.#timeouts.SYN_RECV, shard });
    return d;
  }

  #enter(connection: Connection, state: State, now: number): void {
    const moved = Number(isActive(state)) - Number(isActive(connection.state));
    this.#bench!.count(connection.d, moved, -moved, connection.shard);
    connection.state = state;
    connection.expires = now + this.#timeouts[state];
  }

  #end(key: string, { d, state, shard }: Connection): void {
    this.#connections.delete(key);
    this.#bench!.count(d, isActive(state) ? -1 : 0, isActive(state) ? 0 : -1, shard);
  }

  #expire(now: number): void {
    for (const [key, connection] of this.#connections) {
      if (connection.expires <= now) this.#end(key, connection);
    }
  }

  /** A real server's number in its address: 10.0.0.(10 + N), 2001:db8::(10 + N) written in decimal. */
  #nameOf(d: number): string {
    const { address } = this.#bench!.region.destinations;
    const v6 = address[d * 4 + 2] !== 0xffff;
    const last = address[d * 4 + 3]!;
    return `rs${(v6 ? Number(last.toString(16)) : last & 0xff) - 10}`;
  }

  #compareCounts(step: Step, index: number): void {
    const bench = this.#bench!;
    const expected = step.services?.[0]?.dests.map((dest) => `${dest.weight} ${dest.active}+${dest.inact}`);
    const { weight } = bench.region.destinations;
    const actual = bench.members.map((d) => `${weight[d]} ${bench.active(d)}+${bench.inactive(d)}`);
    this.counted++;
    if (expected !== undefined && expected.join(", ") !== actual.join(", ")) {
      this.mismatches.push(`step ${index}: counts ${actual.join(", ")}, kernel ${expected.join(", ")}`);
    }
  }
}
