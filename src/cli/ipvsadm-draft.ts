import type { Family, Method, Protocol } from "../control/model.ts";
import { type Endpoint, type NameLookup, readEndpoint, readWhole } from "./endpoint.ts";
import { readIPv4, readIPv6 } from "./inet.ts";
import { type OptionName, WORD_BY_NAME } from "./ipvsadm-options.ts";
import type { PoptFound } from "./popt.ts";
import { UsageError } from "./usage-error.ts";

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
export interface Draft {
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

export function newDraft(): Draft {
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

/** One option, in the order of the command line, because what it means may depend on those before it. */
export function takeOption(draft: Draft, found: PoptFound<string>, lookup: NameLookup): void {
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

export function readTimeout(text: string, min = 0): number {
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
