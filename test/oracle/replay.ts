/**
 * Replays one recorded scenario against the real thing: dradm's grammar, the commands, the data path and its tables,
 * with the scenario's clock. Whatever the kernel was seen to do is compared; recordings/README.md says how.
 */
import { VERDICT_NAMES, Verdict } from "../../src/dataplane/verdict.ts";
import { Setting, type SettingName } from "../../src/table/settings.ts";
import { formatAddress, parseAddress } from "../../src/wire/address.ts";
import { run } from "../cli/world.ts";
import {
  compareConnections,
  compareCounters,
  entriesOf,
  flowOf,
  isForgiven,
  type OurEntry,
  type Slack,
  servicesOf,
} from "./compare.ts";
import { Datagrams } from "./datagrams.ts";
import { compareForwarded, compareOwn, describe } from "./frames.ts";
import { compareListing } from "./listings.ts";
import { frameOf, hexBytes } from "./packets.ts";
import type { Outcome, Packet, RawFrame, Scenario, Step } from "./scenario.ts";
import { runShell } from "./shell.ts";
import { Timers } from "./timers.ts";
import { Unsaid } from "./unsaid.ts";
import { World } from "./world.ts";

export interface Result {
  /** Comparisons that were made: a packet's way, an entry, a snapshot, a command's answer. */
  decisions: number;
  /** Those that came out otherwise, in words. */
  readonly mismatches: string[];
  /** Steps that say nothing about a director on a tap. */
  skipped: number;
  /** Why the scenario, or the rest of it, could not be replayed. */
  notCovered: string | undefined;
}

/** Left to the host's stack. */
const LEFT_ALONE: readonly number[] = [
  Verdict.NotIp,
  Verdict.NotOurs,
  Verdict.NoConnection,
  Verdict.NotScheduled,
];

class Replay {
  readonly result: Result = { decisions: 0, mismatches: [], skipped: 0, notCovered: undefined };
  readonly #world: World;
  readonly #timers: Timers;
  readonly #unsaid = new Unsaid();
  readonly #datagrams = new Datagrams(this.#unsaid);
  /** By how many ms an entry's time may be off: all recordings but those of 6.1.192 are in real time. */
  readonly #slack: number;
  #index = 0;
  #lastPacket = Number.NEGATIVE_INFINITY;

  constructor(scenario: Scenario, shards: number) {
    this.#world = new World(scenario.kernel, shards);
    this.#timers = new Timers(this.#world);
    this.#slack = scenario.kernel === "6.1.192" ? 50 : 1000;
  }

  async run(steps: readonly Step[]): Promise<Result> {
    for (const [index, step] of steps.entries()) {
      this.#index = index;
      await this.#step(step);
      if (this.result.notCovered !== undefined) break;
    }
    return this.result;
  }

  async #step(step: Step): Promise<void> {
    const world = this.#world;
    switch (step.op) {
      case "pkt":
      case "raw":
        return this.#packet(step);
      case "ipvsadm":
        this.#timers.advance(step.t);
        return this.#command(step);
      case "sysctl":
        return this.#sysctl(step.key, step.set, step.value);
      case "shell":
        // What else an administrator does to the machine (routes, links, other netfilter rules) says nothing to a tap.
        if (!runShell(world, step.cmd)) this.result.skipped++;
        return;
      case "sleep":
        this.#timers.advance(step.t);
        return;
      case "counters":
        this.#timers.advance(step.t);
        return this.#check(compareCounters(world, step.services, this.#forgiven()));
      case "conns": {
        this.#timers.advance(step.t);
        const allow = { t: world.t, unsaid: this.#unsaid.flows(), late: this.#timers.lateTemplates() };
        return this.#check(compareConnections(entriesOf(world, this.#slack), step.entries, allow));
      }
      case "note":
        return this.#note(step.text);
      case "stats":
        return;
      default:
        this.result.skipped++;
    }
  }

  #forgiven(): Slack {
    return { late: this.#timers.late(), unsaid: this.#unsaid.perServer() };
  }

  #check(differences: readonly string[]): void {
    this.result.decisions++;
    if (differences.length > 0) this.result.mismatches.push(`step ${this.#index}: ${differences.join("; ")}`);
  }

  async #command(step: Extract<Step, { op: "ipvsadm" }>): Promise<void> {
    const said = await run(this.#world.commands, step.args, step.stdin);
    const differences: string[] = [];
    if (said.rc !== step.rc) differences.push(`exit code ${said.rc}, recorded ${step.rc}`);
    if (said.stderr !== step.stderr) differences.push(`stderr "${said.stderr}", recorded "${step.stderr}"`);
    const settled = this.#world.t - this.#lastPacket > 2;
    differences.push(
      ...compareListing(step.args, said.stdout, step.stdout, {
        settled,
        doubled: this.#datagrams.doubled,
        slack: Math.ceil(this.#slack / 1000),
        unsaid: this.#unsaid.flows(),
      }),
    );
    this.#check(differences.map((each) => `ipvsadm ${step.args.join(" ")}: ${each}`));
  }

  #sysctl(key: string, set: string | null, value: string): void {
    const name = /^net\.ipv4\.vs\.(\w+)$/.exec(key)?.[1];
    if (name === undefined || !Object.hasOwn(Setting, name)) return;
    const cell = Setting[name as SettingName];
    const { settings } = this.#world.region;
    if (set !== null) settings[cell] = Number(set);
    // The kernel moves a defence itself between 1 (wait) and 2 (on), as its memory runs short.
    if (isDefence(name) && settings[cell] !== 3 && "12".includes(value)) settings[cell] = Number(value);
    if (name === "drop_entry" && settings[cell]! > 0)
      this.result.notCovered = "drop_entry draws lots from here on";
    this.#check(String(settings[cell]) === value ? [] : [`${key} is ${settings[cell]}, recorded ${value}`]);
  }

  #note(text: string): void {
    const many = /^(\d+) UDP packets, IP length (\d+)$/.exec(text);
    if (many === null) return;
    const [service] = servicesOf(this.#world);
    const frame = frameOf({
      op: "pkt",
      t: this.#world.t,
      proto: "udp",
      src: "10.9.0.1",
      sport: 1000,
      dst: service!.key.address,
      dport: service!.key.port,
      payload_len: Number(many[2]) - 28,
    });
    for (let i = 0; i < Number(many[1]); i++) this.#world.inject(frame);
    this.#lastPacket = this.#world.t;
  }

  /**
   * A frame for an address that the machine does not have is routed on and never seen by the kernel's IPVS. A tap takes
   * what comes to its MAC, so such a step is none of ours.
   *
   * A step that got no answer was recorded after 30 ms of waiting for one: the frame came before that. */
  #packet(step: (Packet | RawFrame) & Outcome): void {
    const frame = frameOfStep(step);
    if (frame === undefined || (step.op === "pkt" && !this.#world.hasAddress(step.dst))) {
      this.result.skipped++;
      return;
    }
    const waited = step.out === null;
    if (!waited) this.#timers.advance(step.t);
    this.#lastPacket = this.#world.t;
    const { sent, verdict } = this.#world.inject(frame);
    this.#timers.advance(step.t);
    const where = step.op === "pkt" ? `${step.src}:${step.sport} ${step.flags ?? step.proto}` : step.desc;
    const differences = [
      ...(this.#datagrams.compare(frame, sent, step) ?? this.#compareOut(step, sent, verdict)),
      ...this.#compareAfter(step),
    ];
    this.#check(differences.map((each) => `${where}: ${each}`));
  }

  #compareOut(step: (Packet | RawFrame) & Outcome, sent: readonly Uint8Array[], verdict: number): string[] {
    const got = sent.map(describe).join(", ") || "nothing";
    const told = `${got} (${VERDICT_NAMES[verdict]})`;
    const { out } = step;
    if (out === undefined) return [];
    if (out?.startsWith("rs")) {
      if (got !== out) return [`${told}, recorded ${out}`];
      const hex = step.out_hex?.[0];
      const difference = hex === undefined ? "" : compareForwarded(sent[0]!, hex);
      return difference === "" ? [] : [`forwarded, but ${difference}`];
    }
    const byHost = out === "director:tcp-rst" || out === "gw:forwarded" || isHostsIcmp(step);
    if (byHost && got === "nothing" && LEFT_ALONE.includes(verdict)) return [];
    if (out === null) return got === "nothing" ? [] : [`${told}, recorded nothing`];
    if (out.startsWith("director:icmp")) return this.#compareIcmp(out, step, sent, told);
    return [`${told}, recorded ${out}`];
  }

  #compareIcmp(out: string, step: Outcome, sent: readonly Uint8Array[], told: string): string[] {
    if (sent.length !== 1 || describe(sent[0]!) !== out) return [`${told}, recorded ${out}`];
    const hex = step.out_hex?.[0];
    const difference = hex === undefined ? "" : compareOwn(sent[0]!, hex);
    return difference === "" ? [] : [`${out}, but ${difference}`];
  }

  /** The client's entry and the sums of counts after a packet. */
  #compareAfter(step: (Packet | RawFrame) & Outcome): string[] {
    if (step.op !== "pkt") return [];
    const flow = flowOf({
      client: canonical(step.src),
      cport: step.sport,
      vip: canonical(step.dst),
      vport: step.dport,
    });
    if (step.conn_after === undefined && step.out !== "director:tcp-rst") return [];
    const [ours] = entriesOf(this.#world, this.#slack)
      .filter((entry) => flowOf(entry) === flow)
      .sort((a, b) => b.most - a.most);
    if (step.out === "director:tcp-rst" && ours !== undefined) this.#unsaid.add(flow, ours.rs);
    if (step.conn_after === undefined) return [];
    const unsaid = this.#unsaid.flows().has(flow);
    return [...(unsaid ? [] : compareEntry(ours, step.conn_after)), ...this.#compareSums(step)];
  }

  #compareSums(step: Outcome): string[] {
    if (step.total_active === undefined || step.total_inact === undefined) return [];
    const servers = servicesOf(this.#world).flatMap((service) => service.servers);
    const forgiven = this.#forgiven();
    const late = { active: 0, inactive: 0 };
    let unsaid = 0;
    const ours = { active: 0, inactive: 0 };
    for (const server of servers) {
      ours.active += server.activeConns;
      ours.inactive += server.inactiveConns;
      late.active += forgiven.late.get(server.address)?.active ?? 0;
      late.inactive += forgiven.late.get(server.address)?.inactive ?? 0;
      unsaid += forgiven.unsaid.get(server.address) ?? 0;
    }
    const recorded = { active: step.total_active, inactive: step.total_inact };
    if (isForgiven(recorded, ours, late, unsaid)) return [];
    return [`counts ${ours.active} + ${ours.inactive}, recorded ${recorded.active} + ${recorded.inactive}`];
  }
}

/** The recordings write some IPv6 addresses at length. */
function canonical(address: string): string {
  return formatAddress(parseAddress(address)!);
}

/** The entry of a packet's flow after it; one that is over may be there or not. */
function compareEntry(
  ours: OurEntry | undefined,
  recorded: NonNullable<Outcome["conn_after"]> | null,
): string[] {
  const gone = ours === undefined || ours.least === 0;
  if (recorded === null ? gone : recorded.expires === 0 && gone) return [];
  if (recorded !== null && ours?.rs === recorded.rs && ours.state === recorded.state) {
    if (recorded.expires >= ours.least && recorded.expires <= ours.most) return [];
  }
  const said = ours === undefined ? "none" : `${ours.rs} ${ours.state} ${ours.least}`;
  const told = recorded === null ? "none" : `${recorded.rs} ${recorded.state} ${recorded.expires}`;
  return [`entry ${said}, recorded ${told}`];
}

/**
 * ICMP that only the host's own stack sends: it has no such protocol, no such port, answers a timestamp, an echo to an
 * address that is no VIP, finds a parameter wrong, or waited for pieces in vain.
 */
const HOSTS_ICMP = /^director:(?:icmp-(?:0-0|3-2|11-1|12-\d+|14-0)|icmp6-(?:129-0|3-1|4-\d+))$/;

function isHostsIcmp(step: (Packet | RawFrame) & Outcome): boolean {
  if (HOSTS_ICMP.test(step.out ?? "")) return true;
  const noPort = step.out === "director:icmp-3-3" || step.out === "director:icmp6-1-4";
  return noPort && step.op === "pkt" && step.proto === "udp";
}

function isDefence(name: string): boolean {
  return name === "drop_packet" || name === "drop_entry" || name === "secure_tcp";
}

/** The step's frame: as recorded, or made from its fields; undefined when they describe none that we can make. */
function frameOfStep(step: (Packet | RawFrame) & Outcome): Uint8Array | undefined {
  if (step.in_hex !== undefined) return hexBytes(step.in_hex);
  return step.op === "pkt" && (step.proto === "tcp" || step.proto === "udp") ? frameOf(step) : undefined;
}

/** Scenarios that nobody can replay, and why. */
function reasonAgainst({ steps }: Scenario): string | undefined {
  const draws = steps.some((step) => step.op === "ipvsadm" && step.rc === 0 && step.args.includes("twos"));
  return draws ? "twos draws lots; its distribution has a test of its own" : undefined;
}

export async function replayScenario(scenario: Scenario, shards = 1): Promise<Result> {
  const reason = reasonAgainst(scenario);
  if (reason !== undefined) return { decisions: 0, mismatches: [], skipped: 0, notCovered: reason };
  return new Replay(scenario, shards).run(scenario.steps);
}
