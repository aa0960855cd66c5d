/**
 * Fills an empty region from JSON lines. What refers to something comes after it, so one pass is enough; counts and
 * indexes are told anew from the rows at the end, as after a crash (recover.ts).
 */

import { hashOfRow } from "../dataplane/life.ts";
import { VERDICT_NAMES, Verdict } from "../dataplane/verdict.ts";
import {
  C_CLIENT,
  C_DESTINATION,
  C_EXPIRES,
  C_KIND,
  C_PORTS,
  C_STATUS,
  C_VIRTUAL,
  ConnectionFlag,
  type Connections,
  FAMILY6,
  ROW_SHIFT,
  TICK,
} from "../table/connections.ts";
import { ShardCount, STATS } from "../table/counters.ts";
import { shardOf } from "../table/hash.ts";
import { Header, type Region } from "../table/region.ts";
import { NONE, SCHEDULER_WORDS } from "../table/services.ts";
import { attachCommands, type Commands } from "./commands.ts";
import { parseWords, serverNumbers, serviceNumbers } from "./keys.ts";
import type { DirectorCommand, Family, ServiceSpec } from "./model.ts";
import { recoverRegion } from "./recover.ts";
import { translateDestinations } from "./scheduler-binding.ts";
import type { StateLine } from "./state-lines.ts";

/** A line that cannot be carried out: what it says and why not. */
export class StateLineError extends Error {
  override readonly name = "StateLineError";
}

type FlowLine = Extract<StateLine, { kind: "template" | "connection" }>;
type ServerLine = Extract<StateLine, { kind: "server" }>;

export interface Loaded {
  readonly services: number;
  readonly servers: number;
  readonly connections: number;
  readonly templates: number;
}

export class StateLoader {
  readonly #region: Region;
  readonly #commands: Commands;
  readonly #tick: number;
  /** `id` of the lines → row here. */
  readonly #servers = new Map<number, number>();
  readonly #templates = new Map<number, number>();
  /** Row of a service → its scheduler's words as the line says them. */
  readonly #positions = new Map<number, readonly number[]>();
  /** Real servers that were deleted, to be deleted again once their connections refer to them. */
  readonly #deleted: ServerLine[] = [];
  /** Services that were gone already while connections of theirs went on. */
  readonly #gone = new Map<string, ServiceSpec>();
  readonly #count = { services: 0, servers: 0, connections: 0, templates: 0 };
  #ended = false;

  /** `region` is empty; `now` CLOCK_MONOTONIC in ms. */
  constructor(region: Region, now: number) {
    this.#region = region;
    this.#tick = Math.floor(now / TICK) | 0;
    this.#commands = attachCommands(region, { now: () => now });
  }

  take(line: StateLine): void {
    if (this.#ended) throw new StateLineError("something follows the end");
    switch (line.kind) {
      case "timeouts":
        this.#execute({ kind: "setTimeouts", timeouts: line });
        return;
      case "service":
        this.#service(line);
        return;
      case "server":
        this.#server(line);
        return;
      case "template":
        this.#templates.set(line.id, this.#flow(this.#region.templates, line));
        this.#count.templates++;
        return;
      case "connection":
        this.#connection(line);
        return;
      case "frames":
        this.#frames(line);
        return;
      case "end":
        this.#ended = true;
        return;
      default: // the head was read before; neighbours are asked anew
    }
  }

  /** Call after the last line. Throws when the end is missing: the rest is lost. */
  finish(): Loaded {
    if (!this.#ended) throw new StateLineError("the last line is missing: the dump is not whole");
    recoverRegion(this.#region, this.#tick);
    for (const { service, server } of this.#deleted) {
      this.#execute({
        kind: "deleteServer",
        service,
        server: { address: server.address, port: server.port },
      });
    }
    for (const { key } of this.#gone.values()) this.#execute({ kind: "deleteService", service: key });
    for (const [s, words] of this.#positions) this.#position(s, words);
    return this.#count;
  }

  #execute(command: DirectorCommand): void {
    const result = this.#commands.execute(command);
    if (!result.ok) throw new StateLineError(result.error.message);
  }

  /** Last, because each real server that came had the scheduler look at its words. */
  #position(s: number, words: readonly number[]): void {
    const { services } = this.#region;
    const memory = services.memory.subarray(s * SCHEDULER_WORDS, (s + 1) * SCHEDULER_WORDS);
    memory.fill(0);
    memory.set(words.slice(0, SCHEDULER_WORDS));
    translateDestinations(services, s, (d) => this.#servers.get(d) ?? NONE);
  }

  #service({ service, departed, position }: Extract<StateLine, { kind: "service" }>): void {
    this.#execute({ kind: "addService", service: plain(service) });
    const s = this.#commands.services.find(serviceNumbers(service.key));
    this.#region.services.departed.set(departed, s * 3);
    if (position !== undefined) this.#positions.set(s, position);
    this.#count.services++;
  }

  #server(line: ServerLine): void {
    const { id, service, server, deleted, counters } = line;
    const key = serviceNumbers(service);
    if (this.#commands.services.find(key) < 0) {
      if (!deleted) throw new StateLineError("there is no such service");
      this.#bringBack(line);
    }
    this.#execute({ kind: "addServer", service, server });
    const d = this.#commands.destinations.find(
      this.#commands.services.find(key),
      serverNumbers(service.family, server),
    );
    const { shards, destinations } = this.#region;
    shards[0]!.counters.destination.set(counters, d * STATS);
    destinations.overload[d] = line.overloaded === true ? 1 : 0;
    destinations.lastWeight[d] = line.lastWeight ?? server.weight;
    this.#servers.set(id, d);
    if (deleted && !this.#gone.has(JSON.stringify(service))) this.#deleted.push(line);
    this.#count.servers++;
  }

  /** A service that had been deleted while its connections went on stands for as long as they are entered. */
  #bringBack({ service }: ServerLine): void {
    const whole = service.family === 4 ? "255.255.255.255" : "128";
    const spec = {
      key: service,
      scheduler: "rr",
      flags: 0,
      persistence: 1,
      netmask: whole,
      onePacket: false,
    };
    this.#execute({ kind: "addService", service: spec });
    this.#gone.set(JSON.stringify(service), spec);
  }

  #connection(line: Extract<StateLine, { kind: "connection" }>): void {
    const { shards, header } = this.#region;
    // The row is laid out in the first shard's table to tell its hash, and moves if that is not its home.
    const first = shards[0]!.connections;
    const row = this.#flow(first, line);
    const home = shards[shardOf(hashOfRow(first, row, header[Header.Seed]!), shards.length)]!.connections;
    const parent = line.template === undefined ? undefined : this.#templates.get(line.template);
    const place = home === first ? row : this.#flow(home, line);
    if (home !== first) first.free(row);
    home.parent[place] = parent === undefined ? 0 : parent + 1;
    this.#count.connections++;
  }

  /** Writes a row as its shard would have, but for links and counts. */
  #flow(table: Connections, line: FlowLine): number {
    const d = this.#servers.get(line.server);
    if (d === undefined) throw new StateLineError(`there is no server line with the id ${line.server}`);
    const client = words(line.family, line.client);
    const virtual = words(line.family, line.virtual);
    const row = table.take();
    if (row < 0) throw new StateLineError(`the table has no room for more than ${table.capacity} rows`);
    const at = row << ROW_SHIFT;
    table.rows.set(client, at + C_CLIENT);
    table.rows.set(virtual, at + C_VIRTUAL);
    table.rows[at + C_PORTS] = (line.cport << 16) | line.vport;
    table.rows[at + C_KIND] = line.protocol | (line.family === 6 ? FAMILY6 : 0);
    table.rows[at + C_DESTINATION] = d;
    table.rows[at + C_EXPIRES] = (this.#tick + Math.round(line.expires / TICK)) | 0;
    table.timeout[row] = Math.round(line.timeout / TICK);
    table.mark[row] = line.mark;
    table.serverPort[row] = line.rport;
    const links = ConnectionFlag.Hashed | ConnectionFlag.HalfOpen;
    table.rows[at + C_STATUS] = (line.status & ~links) | ConnectionFlag.Live;
    return row;
  }

  #frames({ verdicts, counts }: Extract<StateLine, { kind: "frames" }>): void {
    const { counters } = this.#region.shards[0]!;
    let received = 0;
    for (const name of VERDICT_NAMES) {
      const value = verdicts[name] ?? 0;
      counters.verdict[Verdict[name]] = value;
      received += value;
    }
    for (const [name, row] of Object.entries(ShardCount)) counters.shard[row] = counts[name] ?? 0;
    counters.shard[ShardCount.Received] = received;
  }
}

function words(family: Family, text: string): Int32Array {
  return Int32Array.from(parseWords(family, text), (word) => word | 0);
}

/** Without keys that are there but undefined. */
function plain(service: Extract<StateLine, { kind: "service" }>["service"]): ServiceSpec {
  const { pe, ...rest } = service;
  return pe === undefined ? rest : { ...rest, pe };
}
