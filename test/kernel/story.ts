/**
 * A director in memory that is spoken to as an administrator speaks to kernel IPVS, and whose clients have names like
 * "10.7.0.1:1000". The world is the recordings' (test/oracle/recordings/README.md): rs1 … rs10, VIPs 10.0.0.100,
 * 10.0.0.101 and 2001:db8::100.
 */
import { expect } from "vitest";
import { listConnections } from "../../src/control/connection-listing.ts";
import { type MarkRule, setMarks } from "../../src/control/marks.ts";
import type { ServerListing } from "../../src/control/model.ts";
import { VERDICT_NAMES } from "../../src/dataplane/verdict.ts";
import { Setting, type SettingName } from "../../src/table/settings.ts";
import { run } from "../cli/world.ts";
import { servicesOf } from "../oracle/compare.ts";
import { describe as describeFrame } from "../oracle/frames.ts";
import { frameOf } from "../oracle/packets.ts";
import { World } from "../oracle/world.ts";

export const VIP = "10.0.0.100";
export const WEB = `${VIP}:80`;

/** "10.7.0.1:1000" or "[2001:db8::1]:1000". */
function endpoint(text: string): { address: string; port: number } {
  const at = text.lastIndexOf(":");
  return { address: text.slice(0, at).replace(/^\[|\]$/g, ""), port: Number(text.slice(at + 1)) };
}

export class Story {
  readonly world: World;

  constructor(options: { kernel?: string; shards?: number } = {}) {
    this.world = new World(options.kernel ?? "6.1.192", options.shards);
  }

  /** Command lines as after `ipvsadm`, each of which must succeed. What the last one printed. */
  async ipvsadm(...lines: readonly string[]): Promise<string> {
    let stdout = "";
    for (const line of lines) {
      const said = await this.run(line);
      expect(said.stderr, line).toBe("");
      stdout = said.stdout;
    }
    return stdout;
  }

  run(line: string): ReturnType<typeof run> {
    return run(this.world.commands, line.split(" "));
  }

  /** A TCP or UDP service on `vip` with rs1 … rsN, whose weights are given. */
  async service(line: string, weights: readonly number[] = [1, 1, 1]): Promise<void> {
    await this.ipvsadm(`-A ${line}`);
    const key = line.split(" ").slice(0, 2).join(" ");
    const six = key.includes("[") || line.includes(" -6");
    for (const [i, weight] of weights.entries()) {
      const server = six ? `2001:db8::${11 + i}` : `10.0.0.${11 + i}`;
      const of = line.includes(" -6") ? `${key} -6` : key;
      await this.ipvsadm(`-a ${of} -r ${server} -g -w ${weight}`);
    }
  }

  sysctl(name: SettingName, value: number): void {
    this.world.region.settings[Setting[name]] = value;
  }

  marks(...rules: readonly MarkRule[]): void {
    setMarks(this.world.region, rules);
  }

  pass(seconds: number): void {
    this.world.advance(this.world.t + seconds);
  }

  tcp(from: string, flags: string, to = WEB): string {
    return this.#packet("tcp", from, to, flags);
  }

  udp(from: string, to = `${VIP}:53`): string {
    return this.#packet("udp", from, to);
  }

  #packet(proto: "tcp" | "udp", from: string, to: string, flags?: string): string {
    const source = endpoint(from);
    const destination = endpoint(to);
    const packet = {
      op: "pkt" as const,
      t: 0,
      proto,
      src: source.address,
      sport: source.port,
      dst: destination.address,
      dport: destination.port,
      ...(flags === undefined ? {} : { flags }),
    };
    return this.frame(frameOf(packet));
  }

  /** Where a frame went: "rs3", "director:icmp-3-3", or the name of its verdict when nothing was sent. */
  frame(bytes: Uint8Array): string {
    const { sent, verdict } = this.world.inject(bytes);
    return sent.map(describeFrame).join(" ") || VERDICT_NAMES[verdict]!;
  }

  /** The connection table as text: "TCP 10.7.0.1:1000 10.0.0.100:80 rs3 ESTABLISHED 900", sorted. */
  connections(): string[] {
    const rows = [...listConnections(this.world.region, this.world.now)];
    return rows
      .map((row) => {
        const ends = `${row.client}:${row.cport} ${row.virtual}:${row.vport}`;
        return `${row.protocol} ${ends} ${serverName(row.server)}:${row.rport} ${row.state} ${row.expiresSeconds}`;
      })
      .sort();
  }

  /** Active and inactive connections by real server: { rs3: "1+0", … }, all services together. */
  counts(): Record<string, string> {
    const counts = this.#sums((server) => [server.activeConns, server.inactiveConns]);
    return Object.fromEntries(Object.entries(counts).map(([name, sums]) => [name, sums.join("+")]));
  }

  /** Packets and bytes by real server, all services together. */
  traffic(): Record<string, number[]> {
    return this.#sums(({ stats }) => [stats.inPkts, stats.inBytes]);
  }

  #sums(numbers: (server: ServerListing) => number[]): Record<string, number[]> {
    const sums: Record<string, number[]> = {};
    for (const server of servicesOf(this.world).flatMap(({ servers }) => servers)) {
      const name = serverName(server.address);
      sums[name] = numbers(server).map((n, i) => n + (sums[name]?.[i] ?? 0));
    }
    return sums;
  }

  /** InPkts of every real server. */
  packets(): Record<string, number> {
    return Object.fromEntries(Object.entries(this.traffic()).map(([name, [packets]]) => [name, packets!]));
  }

  /** How many frames ended in each verdict, over all shards. */
  verdicts(): Partial<Record<string, number>> {
    const sums: Partial<Record<string, number>> = {};
    for (const { counters } of this.world.region.shards) {
      for (const [v, name] of VERDICT_NAMES.entries()) sums[name] = (sums[name] ?? 0) + counters.verdict[v]!;
    }
    return sums;
  }
}

/** "10.0.0.13" and "2001:db8::13" are rs3. */
function serverName(address: string): string {
  const last = Number(address.split(/[.:]/).at(-1));
  return `rs${last - 10}`;
}
