/**
 * The virtual servers of a keepalived.conf(5) as services. Direct routing alone is carried over; of everything else
 * that a virtual server or real server says there is a note with its line.
 */
import { addressesOf } from "./address-range.ts";
import {
  type Converted,
  LONGEST_PERSISTENCE,
  MOST_WEIGHT,
  type Note,
  type ServerInput,
  type ServiceInput,
} from "./converted.ts";
import { readStatements, type Statement } from "./keepalived-words.ts";

/** persistence_timeout without a number, as keepalived.conf(5) says. */
const DEFAULT_PERSISTENCE = 360;

type Flag = NonNullable<ServiceInput["flags"]>[number];
const FLAGS: readonly Flag[] = [
  "flag-1",
  "flag-2",
  "flag-3",
  "sh-port",
  "sh-fallback",
  "mh-port",
  "mh-fallback",
];

/** One (address, port) or mark that a virtual server stands for. */
type Place = Pick<ServiceInput, "address" | "port" | "mark" | "family">;

type Draft = { -readonly [K in keyof ServiceInput]: ServiceInput[K] };

export function fromKeepalived(text: string): Converted {
  return new Keepalived().read(text);
}

class Keepalived {
  readonly #notes: Note[] = [];
  readonly #services: ServiceInput[] = [];
  readonly #groups = new Map<string, Place[]>();
  readonly #timeouts: { tcp?: number; tcpfin?: number; udp?: number } = {};

  read(text: string): Converted {
    const { statements, notes } = readStatements(text);
    for (const statement of statements) {
      if (statement.words[0] === "virtual_server_group") this.#group(statement);
    }
    for (const statement of statements) this.#top(statement);
    const all = [...notes, ...this.#notes].sort((a, b) => a.line - b.line);
    return { services: this.#services, timeouts: this.#timeouts, notes: all };
  }

  #note(line: number, message: string): void {
    this.#notes.push({ line, message });
  }

  #left(statement: Statement, why = "is left out"): void {
    this.#note(statement.line, `${statement.words.join(" ")} ${why}`);
  }

  #top(statement: Statement): void {
    const keyword = statement.words[0]!;
    if (keyword === "virtual_server") this.#virtualServer(statement);
    else if (keyword === "global_defs") this.#globals(statement);
    else if (keyword === "vrrp_instance") {
      const how = "who has the virtual addresses is not in a config of services (see `vips`)";
      this.#left(statement, `is left out: ${how}`);
    } else if (keyword !== "virtual_server_group" && !keyword.startsWith("include")) this.#left(statement);
  }

  #globals(statement: Statement): void {
    for (const each of statement.block ?? []) {
      if (each.words[0] !== "lvs_timeouts") continue;
      for (let i = 1; i + 1 < each.words.length; i += 2) {
        const name = each.words[i] as "tcp" | "tcpfin" | "udp";
        const seconds = this.#number(each, each.words[i + 1], 0, 2 ** 31 - 1);
        if (["tcp", "tcpfin", "udp"].includes(name) && seconds !== undefined) this.#timeouts[name] = seconds;
      }
    }
    const others = (statement.block ?? []).filter(({ words }) => words[0] !== "lvs_timeouts");
    if (others.length > 0) {
      this.#note(statement.line, `global_defs: left out: ${others.map(({ words }) => words[0]).join(", ")}`);
    }
  }

  #group(statement: Statement): void {
    const places = (statement.block ?? []).flatMap((each) => this.#places(each, each.words));
    this.#groups.set(statement.words[1] ?? "", places);
  }

  /** "10.0.0.100 80", "10.0.0.1-9 80", "fwmark 7", "group web" as what they stand for. */
  #places(statement: Statement, words: readonly string[]): Place[] {
    const [first = "", second, third] = words;
    if (first === "fwmark") {
      const mark = this.#number(statement, second, 1, 2 ** 32 - 1);
      return mark === undefined ? [] : [third === "inet6" ? { mark, family: 6 } : { mark }];
    }
    if (first === "group") {
      const places = this.#groups.get(second ?? "");
      if (places === undefined) this.#note(statement.line, `there is no virtual_server_group ${second}`);
      return places ?? [];
    }
    const addresses = addressesOf(first);
    const port = second === undefined ? 0 : this.#number(statement, second, 0, 65_535);
    if (typeof addresses === "string") this.#note(statement.line, addresses);
    else if (port !== undefined) return addresses.map((address) => ({ address, port }));
    return [];
  }

  #virtualServer(statement: Statement): void {
    const places = this.#places(statement, statement.words.slice(1));
    const draft: Draft = { scheduler: "wlc", flags: [] };
    const servers: Statement[] = [];
    let method: string | undefined;
    for (const each of statement.block ?? []) {
      const [keyword, value] = each.words;
      if (keyword === "lvs_method" || keyword === "lb_kind") method = value;
      else if (keyword === "real_server") servers.push(each);
      else this.#setting(each, draft);
    }
    const direct = servers.filter((server) => this.#isDirect(server, method));
    if (direct.length === 0 && servers.length > 0) return;
    if (direct.length === 0 && method !== "DR") {
      this.#left(statement, "is left out: it has no direct routing");
      return;
    }
    for (const place of places) this.#service(statement, place, draft, direct);
  }

  #service(statement: Statement, place: Place, draft: Draft, servers: readonly Statement[]): void {
    const service: Draft = { ...draft, ...place };
    if (place.mark !== undefined) service.protocol = "fwm";
    const found = servers
      .map((server) => this.#realServer(server, place))
      .filter((each) => each !== undefined);
    if (place.mark !== undefined && (service.family ?? found[0]?.address.includes(":"))) service.family = 6;
    if (place.mark === undefined) delete service.family;
    if (service.port === 0 && (service.persistence ?? 0) === 0) {
      this.#left(statement, "is left out: every port of an address needs persistence_timeout");
      return;
    }
    if (service.netmask !== undefined && service.persistence === undefined) delete service.netmask;
    if (service.flags?.length === 0) delete service.flags;
    this.#services.push({ ...service, servers: found });
  }

  /** One line of a virtual server that is no real server. */
  #setting(statement: Statement, draft: Draft): void {
    const [keyword = "", value] = statement.words;
    switch (keyword) {
      case "lvs_sched":
      case "lb_algo":
        if (value !== undefined) draft.scheduler = value;
        return;
      case "protocol":
        draft.protocol = (value ?? "tcp").toLowerCase() as "tcp";
        return;
      case "ops":
        draft.ops = true;
        return;
      case "persistence_timeout":
        draft.persistence =
          value === undefined
            ? DEFAULT_PERSISTENCE
            : (this.#number(statement, value, 0, LONGEST_PERSISTENCE) ?? DEFAULT_PERSISTENCE);
        return;
      case "persistence_granularity":
        if (value !== undefined) draft.netmask = value;
        return;
      case "ip_family":
        if (value === "inet6") draft.family = 6;
        return;
      default:
        if (FLAGS.includes(keyword as Flag)) draft.flags = [...(draft.flags ?? []), keyword as Flag];
        else this.#left(statement);
    }
  }

  #isDirect(server: Statement, inherited: string | undefined): boolean {
    const own = server.block?.find(({ words }) => words[0] === "lvs_method" || words[0] === "lb_kind");
    const method = own?.words[1] ?? inherited ?? "NAT (the default)";
    if (method === "DR") return true;
    this.#note(
      server.line,
      `${server.words.join(" ")} is left out: it is forwarded to by ${method}, and this director does direct routing only`,
    );
    return false;
  }

  #realServer(statement: Statement, place: Place): ServerInput | undefined {
    const [, text = "", portText] = statement.words;
    const addresses = addressesOf(text);
    if (typeof addresses === "string") return void this.#once(statement.line, addresses);
    const server: { -readonly [K in keyof ServerInput]: ServerInput[K] } = { address: addresses[0]! };
    const port = portText === undefined ? undefined : Number(portText);
    if (port !== undefined && place.mark === undefined && port !== place.port) {
      this.#once(
        statement.line,
        `port ${port} of ${text}: direct routing keeps the service's port, ${place.port}`,
      );
    }
    for (const each of statement.block ?? []) {
      const [keyword, value] = each.words;
      const number = (most: number) => this.#number(each, value, 0, most);
      if (keyword === "weight") server.weight = number(MOST_WEIGHT) ?? 1;
      else if (keyword === "uthreshold") server.upper = number(2 ** 31 - 1) ?? 0;
      else if (keyword === "lthreshold") server.lower = number(2 ** 31 - 1) ?? 0;
      else if (keyword !== "lvs_method" && keyword !== "lb_kind") {
        this.#once(each.line, `${each.words.join(" ")} is left out`);
      }
    }
    return server;
  }

  /** A real server of a group is read once for each of its services, but told of once. */
  #once(line: number, message: string): void {
    if (!this.#notes.some((note) => note.line === line && note.message === message))
      this.#note(line, message);
  }

  #number(statement: Statement, text: string | undefined, least: number, most: number): number | undefined {
    const value = Number(text);
    if (text !== undefined && /^\d+$/.test(text) && value >= least && value <= most) return value;
    this.#once(
      statement.line,
      `${statement.words.join(" ")}: expected a number from ${least} to ${most}, found ${text ?? "nothing"}`,
    );
    return undefined;
  }
}
