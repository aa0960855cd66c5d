import type { IpvsadmCommand, ListFormat, ServerSpec, ServiceKey, ServiceSpec } from "../control/model.ts";
import type { NameLookup } from "./endpoint.ts";
import { checkRules, readFlags } from "./ipvsadm-check.ts";
import { type Draft, newDraft, readTimeout, takeOption } from "./ipvsadm-draft.ts";
import {
  COMMAND_RULES,
  type CommandName,
  OPTION_NAMES,
  type OptionName,
  TUNNEL_RULES,
  WORD_BY_NAME,
  WORDS,
} from "./ipvsadm-options.ts";
import { Popt, type PoptError, type PoptFound, PoptTable } from "./popt.ts";
import { EXIT_REFUSED, TRY_HELP, UsageError } from "./usage-error.ts";

const TABLE = new PoptTable<string>(WORDS);

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
