import type { Takes } from "./popt.ts";

/**
 * ipvsadm(8)'s commands and options, and which go together. Learned from the program's own answers to every
 * pair of them; the interop test asks it again.
 */

/** Option names as ipvsadm's messages call them, in the order in which it looks at them. */
export const OPTION_NAMES = [
  "numeric",
  "connection",
  "service-address",
  "scheduler",
  "persistent",
  "netmask",
  "real-server",
  "forwarding-method",
  "weight",
  "u-threshold",
  "l-threshold",
  "mcast-interface",
  "timeout",
  "daemon",
  "stats",
  "rate",
  "thresholds",
  "persistent-conn",
  "nosort",
  "syncid",
  "exact",
  "ops",
  "pe",
  "sched-flags",
  "mcast-group",
  "mcast-port",
  "mcast-ttl",
  "sync-maxlen",
  "tun-info",
  "tun-type",
  "tun-port",
  "tun-nocsum",
  "tun-csum",
  "tun-remcsum",
] as const;
export type OptionName = (typeof OPTION_NAMES)[number];

/** Command names as ipvsadm's messages call them. */
export type CommandName =
  | "add-service"
  | "edit-service"
  | "delete-service"
  | "flush"
  | "list"
  | "add-server"
  | "delete-server"
  | "edit-server"
  | "start-daemon"
  | "stop-daemon"
  | "restore"
  | "save"
  | "zero"
  | "set"
  | "help"
  | "version";

/** Words of the command line: long spelling → letter, argument, and what it is (a command, or an option's name). */
export interface Word {
  name: string;
  short?: string;
  takes: Takes;
  command?: CommandName;
  option?: OptionName;
}

function command(name: string, of: CommandName, short?: string, takes: Takes = "none"): Word {
  return short === undefined ? { name, takes, command: of } : { name, short, takes, command: of };
}

function option(name: string, of: OptionName | null, takes: Takes, short?: string): Word {
  const word: Word = { name, takes };
  if (of !== null) word.option = of;
  if (short !== undefined) word.short = short;
  return word;
}

const COMMAND_WORDS: readonly Word[] = [
  command("add-service", "add-service", "A"),
  command("edit-service", "edit-service", "E"),
  command("delete-service", "delete-service", "D"),
  command("clear", "flush", "C"),
  command("list", "list", "L"),
  // the second letter of the same command; its long spelling cannot be typed
  command("list\0", "list", "l"),
  command("add-server", "add-server", "a"),
  command("edit-server", "edit-server", "e"),
  command("delete-server", "delete-server", "d"),
  command("zero", "zero", "Z"),
  command("set", "set"),
  command("start-daemon", "start-daemon", undefined, "required"),
  command("stop-daemon", "stop-daemon", undefined, "required"),
  command("restore", "restore", "R"),
  command("save", "save", "S"),
  command("help", "help", "h"),
  command("version", "version", "v"),
];

const OPTION_WORDS: readonly Word[] = [
  option("tcp-service", "service-address", "required", "t"),
  option("udp-service", "service-address", "required", "u"),
  option("sctp-service", "service-address", "required"),
  option("fwmark-service", "service-address", "required", "f"),
  option("ipv6", null, "none", "6"),
  option("scheduler", "scheduler", "required", "s"),
  option("pe", "pe", "required"),
  option("persistent", "persistent", "optional", "p"),
  option("netmask", "netmask", "required", "M"),
  option("real-server", "real-server", "required", "r"),
  option("gatewaying", "forwarding-method", "none", "g"),
  option("ipip", "forwarding-method", "none", "i"),
  option("masquerading", "forwarding-method", "none", "m"),
  option("tun-type", "tun-type", "required"),
  option("tun-port", "tun-port", "required"),
  option("tun-nocsum", "tun-nocsum", "none"),
  option("tun-csum", "tun-csum", "none"),
  option("tun-remcsum", "tun-remcsum", "none"),
  option("weight", "weight", "required", "w"),
  option("u-threshold", "u-threshold", "required", "x"),
  option("l-threshold", "l-threshold", "required", "y"),
  option("connection", "connection", "none", "c"),
  option("timeout", "timeout", "none"),
  option("daemon", "daemon", "none"),
  option("stats", "stats", "none"),
  option("rate", "rate", "none"),
  option("thresholds", "thresholds", "none"),
  option("persistent-conn", "persistent-conn", "none"),
  option("tun-info", "tun-info", "none"),
  option("nosort", "nosort", "none"),
  option("sort", null, "none"),
  option("exact", "exact", "none"),
  option("ops", "ops", "none", "o"),
  option("numeric", "numeric", "none", "n"),
  option("sched-flags", "sched-flags", "required", "b"),
  option("mcast-interface", "mcast-interface", "required"),
  option("mcast-group", "mcast-group", "required"),
  option("mcast-port", "mcast-port", "required"),
  option("mcast-ttl", "mcast-ttl", "required"),
  option("syncid", "syncid", "required"),
  option("sync-maxlen", "sync-maxlen", "required"),
];

export const WORDS: readonly Word[] = [...COMMAND_WORDS, ...OPTION_WORDS];
export const WORD_BY_NAME: ReadonlyMap<string, Word> = new Map(WORDS.map((word) => [word.name, word]));

/** What a command needs, takes, and takes only one of. Everything else is illegal with it. */
export interface Rules {
  required: readonly OptionName[];
  allowed: readonly OptionName[];
  exclusive: readonly OptionName[];
}

const rules = (
  required: OptionName[] = [],
  allowed: OptionName[] = [],
  exclusive: OptionName[] = [],
): Rules => ({ required, allowed, exclusive });

const SERVICE_RULES = rules(
  ["service-address"],
  ["scheduler", "persistent", "netmask", "ops", "pe", "sched-flags"],
);
const SERVER_RULES = rules(
  ["service-address", "real-server"],
  [
    "forwarding-method",
    "weight",
    "u-threshold",
    "l-threshold",
    "tun-type",
    "tun-port",
    "tun-nocsum",
    "tun-csum",
    "tun-remcsum",
  ],
);

export const COMMAND_RULES: Readonly<Record<Exclude<CommandName, "help" | "version">, Rules>> = {
  "add-service": SERVICE_RULES,
  "edit-service": SERVICE_RULES,
  "delete-service": rules(["service-address"]),
  flush: rules(),
  list: rules(
    [],
    ["numeric", "stats", "rate", "thresholds", "persistent-conn", "nosort", "syncid", "exact", "tun-info"],
    ["connection", "service-address", "timeout", "daemon"],
  ),
  "add-server": SERVER_RULES,
  "edit-server": SERVER_RULES,
  "delete-server": rules(["service-address", "real-server"]),
  "start-daemon": rules(
    [],
    ["mcast-interface", "syncid", "mcast-group", "mcast-port", "mcast-ttl", "sync-maxlen"],
  ),
  "stop-daemon": rules([], ["syncid"]),
  restore: rules(),
  save: rules([], ["numeric"]),
  zero: rules([], ["service-address"]),
  set: rules(),
};

/** The same for the tunnel options by --tun-type. */
export const TUNNEL_RULES: Readonly<Record<"ipip" | "gue" | "gre", Rules>> = {
  ipip: rules(),
  gue: rules(["tun-port"], [], ["tun-nocsum", "tun-csum", "tun-remcsum"]),
  gre: rules([], [], ["tun-nocsum", "tun-csum"]),
};
