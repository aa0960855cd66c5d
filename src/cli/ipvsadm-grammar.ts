import {
  type Family,
  type IpvsadmCommand,
  type ListFormat,
  type Method,
  type Protocol,
  SchedulerFlag,
  type ServerSpec,
  type ServiceKey,
  type ServiceSpec,
} from "../control/model.ts";
import { type Endpoint, type NameLookup, readEndpoint, readWhole } from "./endpoint.ts";
import { readIPv4, readIPv6 } from "./inet.ts";
import {
  COMMAND_RULES,
  type CommandName,
  OPTION_NAMES,
  type OptionName,
  type Rules,
  TUNNEL_RULES,
  WORD_BY_NAME,
  WORDS,
} from "./ipvsadm-options.ts";
import { Popt, type PoptError, type PoptFound, PoptTable } from "./popt.ts";

/** Exit codes of ipvsadm: a word it refuses itself, and a word popt or the kernel refuses. */
export const EXIT_USAGE = 2;
export const EXIT_REFUSED = 255;

/** A command line that ipvsadm would refuse: `message` (without the last newline) on stderr, then exit. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly exitCode: number;
  /** In a --restore, whether ipvsadm goes on with the next line (popt's own errors) or gives up. */
  readonly goesOn: boolean;

  constructor(message: string, exitCode: number = EXIT_USAGE, goesOn = false) {
    super(message);
    this.exitCode = exitCode;
    this.goesOn = goesOn;
  }
}

export const TRY_HELP = "Try `ipvsadm -h' or 'ipvsadm --help' for more information.";

const TABLE = new PoptTable<string>(WORDS);

const DEFAULT_SCHEDULER = "wlc";
const DEFAULT_PERSISTENCE = 360;
/** ipvsadm's largest timeout, 31 days. */
const MAX_TIMEOUT = 31 * 86_400;
const MAX_INT = 2 ** 31 - 1;
/** Scheduler and engine names are cut to what fits the kernel's 16 bytes. */
const MAX_NAME = 15;
/** IPVS's default port for tun-port and mcast-port checks. */
const MAX_PORT = 65_535;

/** What has been read so far. Everything has ipvsadm's default before its option comes. */
interface Draft {
  seen: Set<OptionName>;
  protocol: Protocol | null;
  family: Family;
  service: Endpoint;
  mark: number;
  scheduler: string;
  pe: string;
  flagNames: string;
  flags: number;
  persistence: number;
  netmask: string;
  onePacket: boolean;
  server: Endpoint;
  serverPort: number;
  method: Method;
  weight: number;
  upper: number;
  lower: number;
  tunnel: "ipip" | "gue" | "gre";
  columns: Set<OptionName>;
}

function newDraft(): Draft {
  const nowhere: Endpoint = { family: 4, address: "0.0.0.0", port: null };
  return {
    seen: new Set(),
    protocol: null,
    family: 4,
    service: nowhere,
    mark: 0,
    scheduler: DEFAULT_SCHEDULER,
    pe: "",
    flagNames: "",
    flags: 0,
    persistence: 0,
    netmask: "255.255.255.255",
    onePacket: false,
    server: nowhere,
    serverPort: 0,
    method: "route",
    weight: 1,
    upper: 0,
    lower: 0,
    tunnel: "ipip",
    columns: new Set(),
  };
}

/**
 * The meaning of ipvsadm's arguments (without the program's name). `lookup` answers names of hosts and services;
 * nothing else of the world is touched.
 *
 * @throws UsageError with ipvsadm's words and exit code
 */
export function parseIpvsadm(argv: readonly string[], lookup: NameLookup): IpvsadmCommand {
  if (argv.length === 0) return { kind: "list", what: "services", format: PLAIN_FORMAT };
  const popt = new Popt<string>(argv, TABLE);
  const first = popt.next();
  const command = first === null || "problem" in first ? undefined : commandOf(first);
  if (first === null || "problem" in first || command === undefined) {
    throw new UsageError(TRY_HELP, EXIT_REFUSED);
  }
  if (command === "help") return { kind: "help" };
  if (command === "version") return { kind: "version" };
  const state = command.endsWith("-daemon") ? daemonState(command, first.argument ?? "") : "master";
  const draft = newDraft();
  for (let found = popt.next(); found !== null; found = popt.next()) {
    if ("problem" in found) throw refusedByPopt(found);
    takeOption(draft, found, lookup);
  }
  const plain = [...popt.plain];
  const timeouts = command === "set" ? plain.splice(0, 3) : [];
  if (command === "set" && timeouts.length < 3)
    throw new UsageError("--set option requires 3 timeout values");
  if (command === "set" && plain.length === 0) {
    return finish(
      command,
      draft,
      state,
      timeouts.map((text) => readTimeout(text)),
    );
  }
  if (plain.length > 0) {
    for (const timeout of timeouts) readTimeout(timeout);
    throw new UsageError(`unexpected argument ${plain[0]}`);
  }
  return finish(command, draft, state, []);
}

export const PLAIN_FORMAT: ListFormat = { numeric: false, columns: "plain", exact: false, nosort: false };

function commandOf(found: PoptFound<string>): CommandName | undefined {
  return WORD_BY_NAME.get(found.name)?.command;
}

/** popt refuses a word: ipvsadm says which and why, and in a --restore goes on with the next line. */
function refusedByPopt(error: PoptError): UsageError {
  return new UsageError(`${error.word}: ${error.problem}`, EXIT_REFUSED, true);
}

function daemonState(command: CommandName, text: string): "master" | "backup" {
  if (text === "master" || text === "backup") return text;
  throw new UsageError(
    command === "start-daemon"
      ? "illegal start-daemon parameter specified"
      : "illegal start_daemon specified",
  );
}

/** One option, in the order of the command line, because what it means may depend on those before it. */
function takeOption(draft: Draft, found: PoptFound<string>, lookup: NameLookup): void {
  const word = WORD_BY_NAME.get(found.name)!;
  if (word.command !== undefined) throw new UsageError(`invalid option \`${found.word}'`);
  if (word.option !== undefined) {
    if (draft.seen.has(word.option)) throw new UsageError(`multiple '${word.option}' options specified`);
    draft.seen.add(word.option);
  }
  const text = found.argument ?? "";
  const reader = READERS[found.name];
  if (reader !== undefined) reader(draft, text, found.argument, lookup);
}

type Reader = (draft: Draft, text: string, argument: string | null, lookup: NameLookup) => void;

const READERS: Readonly<Record<string, Reader>> = {
  "tcp-service": (draft, text, _, lookup) => takeService(draft, "tcp", text, lookup),
  "udp-service": (draft, text, _, lookup) => takeService(draft, "udp", text, lookup),
  "sctp-service": (draft, text, _, lookup) => takeService(draft, "sctp", text, lookup),
  "fwmark-service": (draft, text) => {
    const mark = readWhole(text, 1, 2 ** 32 - 1);
    if (mark === null) throw new UsageError(`invalid fwmark value \`${text}' specified`);
    draft.protocol = "fwm";
    draft.mark = mark;
  },
  ipv6: (draft) => {
    // ipvsadm ends this message with a newline of its own
    if (draft.protocol !== "fwm") throw new UsageError("-6 used before -f\n");
    draft.family = 6;
    draft.netmask = "128";
  },
  scheduler: (draft, text) => {
    draft.scheduler = text.slice(0, MAX_NAME) || DEFAULT_SCHEDULER;
  },
  pe: (draft, text) => {
    draft.pe = text.slice(0, MAX_NAME);
  },
  persistent: (draft, _, argument) => {
    draft.persistence = argument === null ? DEFAULT_PERSISTENCE : readTimeout(argument, 1);
  },
  netmask: takeNetmask,
  ops: (draft) => {
    draft.onePacket = true;
  },
  "sched-flags": (draft, text) => {
    draft.flagNames = text;
  },
  "real-server": takeServer,
  gatewaying: (draft) => {
    draft.method = "route";
  },
  ipip: (draft) => {
    draft.method = "tunnel";
  },
  masquerading: (draft) => {
    draft.method = "masq";
  },
  weight: (draft, text) => {
    draft.weight = readNumber(text, 0, MAX_INT, "illegal weight specified");
  },
  "u-threshold": (draft, text) => {
    draft.upper = readNumber(text, 0, MAX_INT, "illegal u_threshold specified");
  },
  "l-threshold": (draft, text) => {
    draft.lower = readNumber(text, 0, MAX_INT, "illegal l_threshold specified");
  },
  "tun-type": (draft, text) => {
    if (text !== "ipip" && text !== "gue" && text !== "gre")
      throw new UsageError("illegal tunnel type specified");
    draft.tunnel = text;
  },
  "tun-port": (_, text) => void readNumber(text, 1, MAX_PORT, "illegal tunnel port specified"),
  syncid: (_, text) => void readNumber(text, 0, 255, "illegal syncid specified"),
  "sync-maxlen": (_, text) => void readNumber(text, 1, MAX_PORT - 20 - 8, "illegal sync-maxlen specified"),
  "mcast-port": (_, text) => void readNumber(text, 1, MAX_PORT, "illegal mcast-port specified"),
  "mcast-ttl": (_, text) => void readNumber(text, 1, 255, "illegal mcast-ttl specified"),
  "mcast-group": (_, text) => {
    if (text.includes(":") ? readIPv6(text) === null : readIPv4(text) === null) {
      throw new UsageError(`invalid IPv${text.includes(":") ? 6 : 4} mcast-group \`${text}'`);
    }
  },
};

function takeService(draft: Draft, protocol: "tcp" | "udp" | "sctp", text: string, lookup: NameLookup): void {
  draft.protocol = protocol;
  const endpoint = readEndpoint(text, protocol, lookup);
  if (endpoint === null) throw new UsageError("illegal virtual server address[:port] specified");
  draft.service = endpoint;
  draft.family = endpoint.family;
  if (endpoint.family === 6) draft.netmask = "128";
}

function takeNetmask(draft: Draft, text: string): void {
  if (draft.family === 6) {
    const length = atoi(text);
    if (length < 1 || length > 128) throw new UsageError("illegal ipv6 netmask specified");
    draft.netmask = String(length);
    return;
  }
  const mask = readIPv4(text);
  if (mask === null) throw new UsageError("illegal virtual server persistent mask specified");
  draft.netmask = mask;
}

function takeServer(draft: Draft, text: string, _: string | null, lookup: NameLookup): void {
  const endpoint = readEndpoint(text, draft.protocol, lookup);
  if (endpoint === null) throw new UsageError("illegal real server address[:port] specified");
  draft.server = endpoint;
  // the service's port as far as it is known by now
  draft.serverPort = endpoint.port ?? draft.service.port ?? 0;
}

function readNumber(text: string, min: number, max: number, complaint: string): number {
  const value = readWhole(text, min, max);
  if (value === null) throw new UsageError(complaint);
  return value;
}

function readTimeout(text: string, min = 0): number {
  return readNumber(text, min, MAX_TIMEOUT, `invalid timeout value \`${text}' specified`);
}

/** atoi(3): leading white space and digits, the rest ignored, 32 bits of it. */
function atoi(text: string): number {
  const match = /^[ \t\n\v\f\r]*([+-]?\d{1,20})/.exec(text);
  if (match === null) return 0;
  const limit = 2n ** 63n;
  const value = BigInt(match[1]!);
  const clamped = value >= limit ? limit - 1n : value < -limit ? -limit : value;
  return Number(BigInt.asIntN(32, clamped));
}

/** The checks ipvsadm makes after the last option, in its order, and the command that comes of it. */
function finish(
  command: CommandName,
  draft: Draft,
  state: "master" | "backup",
  timeouts: number[],
): IpvsadmCommand {
  draft.flags = readFlags(draft.flagNames, draft.scheduler);
  checkRules(COMMAND_RULES[command as keyof typeof COMMAND_RULES], draft.seen, command, "command");
  switch (command) {
    case "add-service":
    case "edit-service":
      return { kind: command === "add-service" ? "addService" : "editService", service: serviceOf(draft) };
    case "delete-service":
      return { kind: "deleteService", service: keyOf(draft) };
    case "add-server":
    case "edit-server":
      return serverCommand(command, draft);
    case "delete-server": {
      const server = { address: draft.server.address, port: draft.serverPort };
      return { kind: "deleteServer", service: keyOf(draft), server };
    }
    case "flush":
      return { kind: "clear" };
    case "zero":
      return draft.seen.has("service-address") ? { kind: "zero", service: keyOf(draft) } : { kind: "zero" };
    case "set":
      return {
        kind: "setTimeouts",
        timeouts: { tcp: timeouts[0]!, tcpfin: timeouts[1]!, udp: timeouts[2]! },
      };
    case "list":
      return listCommand(draft);
    case "save":
      return { kind: "save", numeric: draft.seen.has("numeric") };
    case "restore":
      return { kind: "restore" };
    default:
      return { kind: command === "start-daemon" ? "startDaemon" : "stopDaemon", state };
  }
}

/** Options against a table of rules: the first one missing, out of place or doubled is complained of. */
function checkRules(rules: Rules, seen: ReadonlySet<OptionName>, owner: string, what: string): void {
  let only: OptionName | null = null;
  for (const name of OPTION_NAMES) {
    if (what !== "command" && !(name.startsWith("tun-") && name !== "tun-type" && name !== "tun-info"))
      continue;
    if (!seen.has(name)) {
      if (!rules.required.includes(name)) continue;
      throw new UsageError(`You need to supply the '${name}' option for the '${owner}' ${what}`);
    }
    if (rules.exclusive.includes(name)) {
      if (only !== null) {
        throw new UsageError(
          `The option '${name}' conflicts with the '${only}' option in the '${owner}' ${what}`,
        );
      }
      only = name;
    } else if (!rules.allowed.includes(name) && !rules.required.includes(name)) {
      throw new UsageError(`Illegal '${name}' option with the '${owner}' ${what}`);
    }
  }
}

function keyOf(draft: Draft): ServiceKey {
  if (draft.protocol === "fwm") {
    const address = draft.family === 6 ? "::" : "0.0.0.0";
    return { protocol: "fwm", family: draft.family, address, port: 0, mark: draft.mark };
  }
  const { address, family, port } = draft.service;
  return { protocol: draft.protocol ?? "tcp", family, address, port: port ?? 0, mark: 0 };
}

function serviceOf(draft: Draft): ServiceSpec {
  const key = keyOf(draft);
  if (key.protocol !== "fwm" && key.port === 0 && draft.persistence === 0) {
    throw new UsageError("Zero port specified for non-persistent service");
  }
  if (draft.onePacket && key.protocol !== "udp" && key.protocol !== "fwm") {
    throw new UsageError("One-Packet Scheduling is only for UDP virtual services");
  }
  const service: ServiceSpec = {
    key,
    scheduler: draft.scheduler,
    flags: draft.flags,
    persistence: draft.persistence,
    netmask: draft.netmask,
    onePacket: draft.onePacket,
  };
  return draft.pe === "" ? service : { ...service, pe: draft.pe };
}

/** Flag names: those of one scheduler are refused with another, flag-1 to flag-3 go with any. */
const FLAG_NAMES: Readonly<Record<string, { scheduler?: string; bit: number }>> = {
  "flag-1": { bit: SchedulerFlag.First },
  "flag-2": { bit: SchedulerFlag.Second },
  "flag-3": { bit: SchedulerFlag.Third },
  "sh-fallback": { scheduler: "sh", bit: SchedulerFlag.First },
  "sh-port": { scheduler: "sh", bit: SchedulerFlag.Second },
  "mh-fallback": { scheduler: "mh", bit: SchedulerFlag.First },
  "mh-port": { scheduler: "mh", bit: SchedulerFlag.Second },
};

function readFlags(text: string, scheduler: string): number {
  const names = text.split(",").filter((name) => name !== "");
  // ipvsadm itself crashes on "," alone
  if (text !== "" && names.length === 0) throw new UsageError(`invalid scheduler flag \`${text}'`);
  let flags = 0;
  for (const name of names) {
    const flag = Object.hasOwn(FLAG_NAMES, name) ? FLAG_NAMES[name] : undefined;
    if (flag === undefined) throw new UsageError(`invalid scheduler flag \`${name}'`);
    if (flag.scheduler !== undefined && flag.scheduler !== scheduler) {
      throw new UsageError(`incompatible scheduler flag \`${name}'`);
    }
    flags |= flag.bit;
  }
  return flags;
}

function serverCommand(command: "add-server" | "edit-server", draft: Draft): IpvsadmCommand {
  const service = keyOf(draft);
  if (draft.method !== "tunnel" && draft.server.family !== service.family) {
    throw new UsageError("Different address family is allowed only for tunneling servers");
  }
  const tunnelled = OPTION_NAMES.some((name) => /^tun-(?!info)/.test(name) && draft.seen.has(name));
  if (tunnelled && draft.method !== "tunnel")
    throw new UsageError("Tunnel options conflict with forward method");
  if (draft.method === "tunnel")
    checkRules(TUNNEL_RULES[draft.tunnel], draft.seen, draft.tunnel, "tunnel type");
  const server: ServerSpec = {
    address: draft.server.address,
    // without translation the port cannot change: ipvsadm replaces another one without a word
    port: draft.method === "masq" || service.protocol === "fwm" ? draft.serverPort : service.port,
    weight: draft.weight,
    method: draft.method,
    upper: draft.upper,
    lower: draft.lower,
  };
  return { kind: command === "add-server" ? "addServer" : "editServer", service, server };
}

function listCommand(draft: Draft): IpvsadmCommand {
  const { seen } = draft;
  const columns = COLUMN_OPTIONS.find(([name]) => seen.has(name))?.[1] ?? "plain";
  const what = seen.has("connection")
    ? "connections"
    : seen.has("timeout")
      ? "timeouts"
      : seen.has("daemon")
        ? "daemons"
        : "services";
  const clash = ["stats", "rate", "thresholds"].some((name) => seen.has(name as OptionName));
  const persistent = seen.has("persistent-conn");
  if (what !== "services" && (clash || (persistent && what !== "connections"))) {
    throw new UsageError("options conflicts in the list command");
  }
  const format: ListFormat = {
    numeric: seen.has("numeric"),
    columns,
    exact: seen.has("exact"),
    nosort: seen.has("nosort"),
  };
  const list: IpvsadmCommand = { kind: "list", what, format };
  return seen.has("service-address") ? { ...list, service: keyOf(draft) } : list;
}

/** Which columns win if several are asked for. */
const COLUMN_OPTIONS: readonly (readonly [OptionName, ListFormat["columns"]])[] = [
  ["stats", "stats"],
  ["rate", "rate"],
  ["thresholds", "thresholds"],
  ["persistent-conn", "persistent"],
  ["tun-info", "tunnel"],
];

/** Why this director cannot carry a command out, in a sentence; null if it can. */
export function refusal(command: IpvsadmCommand): string | null {
  if (command.kind === "startDaemon" || command.kind === "stopDaemon") {
    return `dr-director has no connection synchronization daemon: --${command.kind === "startDaemon" ? "start" : "stop"}-daemon is not supported`;
  }
  if (command.kind !== "addServer" && command.kind !== "editServer") return null;
  if (command.server.method === "masq") {
    return "dr-director forwards by direct routing only: masquerading (-m) is not supported, use -g";
  }
  if (command.server.method === "tunnel") {
    return "dr-director forwards by direct routing only: tunnelling (-i) is not supported, use -g";
  }
  return null;
}
