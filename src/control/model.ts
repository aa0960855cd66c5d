/**
 * The words that dradm, the API and the director's commands share: services, servers, listings and the
 * commands themselves, as plain JSON-able data. Nothing here does anything; see commands.ts for what does.
 *
 * Addresses are text in inet_ntop(3) form ("10.0.0.100", "2001:db8::100"), ports and weights are numbers,
 * counters are numbers exact to 2^53, times are whole seconds.
 */

export type Protocol = "tcp" | "udp" | "sctp" | "fwm";
export type Family = 4 | 6;

/**
 * What names a virtual service. With `protocol: "fwm"` the mark (unsigned, 1..2^32-1) and the family name it,
 * `address` is "0.0.0.0" or "::" and `port` is 0. Otherwise `mark` is 0.
 */
export interface ServiceKey {
  protocol: Protocol;
  family: Family;
  address: string;
  port: number;
  mark: number;
}

/** Scheduler flags, the kernel's bits (IP_VS_SVC_F_SCHED1..3); their names depend on the scheduler. */
export const SchedulerFlag = { First: 0x08, Second: 0x10, Third: 0x20 } as const;

/** What -A and -E say about a service. */
export interface ServiceSpec {
  key: ServiceKey;
  /** Name as after `ipvsadm -s`. Not checked here: the director knows which exist (else ENOENT). */
  scheduler: string;
  /** Union of SchedulerFlag bits. */
  flags: number;
  /** Persistence timeout in seconds, 0 = not persistent. */
  persistence: number;
  /** Persistence granularity: dotted mask for IPv4 ("255.255.255.255"), prefix length in text for IPv6 ("128"). */
  netmask: string;
  /** One-packet scheduling (-o, UDP only). */
  onePacket: boolean;
  /** Persistence engine (--pe), absent = none. */
  pe?: string;
}

/** Forwarding method; only "route" is carried out by this director, the others exist to be refused and printed. */
export type Method = "route" | "tunnel" | "masq";

/** What names a destination within its service. */
export interface ServerKey {
  address: string;
  port: number;
}

/** What -a and -e say about a destination. */
export interface ServerSpec extends ServerKey {
  weight: number;
  method: Method;
  /** Upper and lower connection threshold, 0 = none. `lower > upper` is ERANGE. */
  upper: number;
  lower: number;
}

/** Counters since start or since --zero. */
export interface Stats {
  conns: number;
  inPkts: number;
  outPkts: number;
  inBytes: number;
  outBytes: number;
}

/** The kernel estimator's averages, per second, rounded as the kernel rounds. */
export interface Rates {
  cps: number;
  inPps: number;
  outPps: number;
  inBps: number;
  outBps: number;
}

/** A destination with its numbers. Lists hold them in the kernel's order: newest-added first. */
export interface ServerListing extends ServerSpec {
  activeConns: number;
  inactiveConns: number;
  persistentConns: number;
  stats: Stats;
  rates: Rates;
}

/** A service with its numbers and its destinations. Lists hold services newest-added first. */
export interface ServiceListing extends ServiceSpec {
  stats: Stats;
  rates: Rates;
  servers: ServerListing[];
}

/** One connection entry; cport 0 = persistence template. `state` as ipvsadm prints it ("SYN_RECV", "UDP"). */
export interface ConnectionListing {
  /** "TCP", "UDP", "SCTP", or "IP" for a fwmark template. */
  protocol: string;
  /** Whole seconds left, rounded down. */
  expiresSeconds: number;
  state: string;
  client: string;
  cport: number;
  virtual: string;
  vport: number;
  server: string;
  rport: number;
  /** Persistence engine's name and data, if the service has one. */
  pe?: { name: string; data: string };
}

/** Connection timeouts in seconds. In a `setTimeouts` command 0 keeps the present value. */
export interface Timeouts {
  tcp: number;
  tcpfin: number;
  udp: number;
}

/** The listing's first line: "IP Virtual Server version 1.2.1 (size=4096)". */
export interface DirectorInfo {
  version: string;
  /** Buckets of the connection table. */
  size: number;
}

/** How a listing is to look (-n, --stats, …); the director only needs `what` and `service`, the rest is dradm's. */
export interface ListFormat {
  numeric: boolean;
  /** Columns: the plain ones, --stats, --rate, --thresholds, --persistent-conn or --tun-info. */
  columns: "plain" | "stats" | "rate" | "thresholds" | "persistent" | "tunnel";
  exact: boolean;
  nosort: boolean;
}

/** Everything ipvsadm's command line can ask for. */
export type IpvsadmCommand =
  | { kind: "addService"; service: ServiceSpec }
  | { kind: "editService"; service: ServiceSpec }
  | { kind: "deleteService"; service: ServiceKey }
  | { kind: "clear" }
  | { kind: "addServer"; service: ServiceKey; server: ServerSpec }
  | { kind: "editServer"; service: ServiceKey; server: ServerSpec }
  | { kind: "deleteServer"; service: ServiceKey; server: ServerKey }
  | { kind: "zero"; service?: ServiceKey }
  | { kind: "setTimeouts"; timeouts: Timeouts }
  | {
      kind: "list";
      what: "services" | "connections" | "timeouts" | "daemons";
      /** Only this service (ESRCH if there is none such). */
      service?: ServiceKey;
      format: ListFormat;
    }
  | { kind: "save"; numeric: boolean }
  | { kind: "restore" }
  | { kind: "startDaemon"; state: "master" | "backup" }
  | { kind: "stopDaemon"; state: "master" | "backup" }
  | { kind: "help" }
  | { kind: "version" };

/** The commands that a director carries out; the others end in dradm (restore becomes a batch of these). */
export type DirectorCommand = Exclude<
  IpvsadmCommand,
  { kind: "restore" | "help" | "version" | "startDaemon" | "stopDaemon" }
>;

/** What `list` and `save` answer (`save` answers as a list of services does). */
export type Listing =
  | { kind: "services"; info: DirectorInfo; services: Iterable<ServiceListing> }
  | { kind: "connections"; connections: Iterable<ConnectionListing> }
  | { kind: "timeouts"; timeouts: Timeouts }
  | { kind: "daemons" };

/**
 * Why a command failed, named as the kernel's errno is: EEXIST (service or destination there already),
 * ESRCH (no such service), ENOENT (no such destination; for addService/editService: no such scheduler or
 * persistence engine), EINVAL (address not unicast, …), ERANGE (lower above upper threshold), EAFNOSUPPORT,
 * ENOMEM (tables full), EOPNOTSUPP (this director cannot do that), EPERM.
 */
export type CommandErrorCode =
  | "EEXIST"
  | "ESRCH"
  | "ENOENT"
  | "EINVAL"
  | "ERANGE"
  | "EAFNOSUPPORT"
  | "ENOMEM"
  | "EOPNOTSUPP"
  | "EPERM";

export interface CommandError {
  code: CommandErrorCode;
  /** A sentence for people; dradm prints ipvsadm's own words where ipvsadm has some for this code. */
  message: string;
}

export type CommandResult = { ok: true; listing?: Listing } | { ok: false; error: CommandError };

/** What the API needs of the director: one command at a time, each whole or not at all. */
export interface CommandExecutor {
  execute(command: DirectorCommand): CommandResult;
}

export const NO_STATS: Readonly<Stats> = { conns: 0, inPkts: 0, outPkts: 0, inBytes: 0, outBytes: 0 };
export const NO_RATES: Readonly<Rates> = { cps: 0, inPps: 0, outPps: 0, inBps: 0, outBps: 0 };

/** One string per service, usable as a Map key. */
export function serviceKeyText(key: ServiceKey): string {
  return key.protocol === "fwm"
    ? `fwm/${key.family}/${key.mark}`
    : `${key.protocol}/${key.address}/${key.port}`;
}

/** One string per destination of a service. */
export function serverKeyText(key: ServerKey): string {
  return `${key.address}/${key.port}`;
}
