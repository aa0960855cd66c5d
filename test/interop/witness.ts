import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readIPv6Groups } from "../../src/cli/inet.ts";
import type { DirectorCommand, ServiceKey, ServiceListing, Timeouts } from "../../src/control/model.ts";

/**
 * The real ipvsadm(8) as a witness: Debian's program runs with its kernel replaced by ipvsadm-witness.c, which
 * logs what it asks for and answers from a table. So our grammar and formats are compared to the program's.
 */

const PROGRAM = "/usr/sbin/ipvsadm";

/** Whether this machine has what the witness needs. */
export const witnessAvailable = existsSync(PROGRAM) && spawnSync("cc", ["--version"]).status === 0;

export interface Testimony {
  rc: number;
  stdout: string;
  stderr: string;
  /** Changing requests, one line each, as `asWitnessed` writes them. */
  requests: string[];
}

export class Witness {
  readonly #folder = mkdtempSync(join(tmpdir(), "ipvsadm-witness-"));
  readonly #library = join(this.#folder, "witness.so");

  constructor() {
    const source = new URL("ipvsadm-witness.c", import.meta.url).pathname;
    execFileSync("cc", ["-O1", "-shared", "-fPIC", "-o", this.#library, source, "-ldl"]);
  }

  /** Runs the real program. `errno` fails every change; a table and connections answer the listings. */
  run(
    argv: readonly string[],
    given: { stdin?: string; errno?: number | string; table?: Buffer; connections?: string } = {},
  ): Testimony {
    const log = join(this.#folder, "log");
    rmSync(log, { force: true });
    const env: NodeJS.ProcessEnv = {
      ...process.env,
      LC_ALL: "C",
      LD_PRELOAD: this.#library,
      WITNESS_LOG: log,
    };
    if (given.errno !== undefined) env.WITNESS_ERRNO = String(given.errno);
    if (given.table !== undefined) {
      env.WITNESS_TABLE = join(this.#folder, "table");
      writeFileSync(env.WITNESS_TABLE, given.table);
    }
    if (given.connections !== undefined) {
      env.WITNESS_CONNECTIONS = join(this.#folder, "connections");
      writeFileSync(env.WITNESS_CONNECTIONS, given.connections);
    }
    const { status, stdout, stderr } = spawnSync(PROGRAM, argv, {
      // its messages begin with its name as called
      argv0: "ipvsadm",
      env,
      input: given.stdin ?? "",
      encoding: "utf8",
      maxBuffer: 1 << 28,
    });
    // behind an IPv4 address ipvsadm leaves what stood in memory
    const tidy = (text: string) => text.replace(/(11=0200 1=.{8}).{24}/g, `$1${"0".repeat(24)}`);
    const requests = existsSync(log) ? tidy(readFileSync(log, "utf8")).trim().split("\n") : [];
    return { rc: status ?? -1, stdout, stderr, requests };
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

const little = (value: number, bytes: number): Buffer => {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)));
  return buffer.subarray(0, bytes);
};
const big16 = (value: number): Buffer => Buffer.from([value >> 8, value & 255]);
const text = (value: string): Buffer => Buffer.from(`${value}\0`, "latin1");

function address(value: string): Buffer {
  const buffer = Buffer.alloc(16);
  if (value.includes(":")) {
    readIPv6Groups(value)!.forEach((group, i) => {
      buffer.writeUInt16BE(group, 2 * i);
    });
  } else {
    value.split(".").forEach((byte, i) => {
      buffer[i] = Number(byte);
    });
  }
  return buffer;
}

type Attribute = [type: number, value: Buffer | Attribute[]];

const PROTOCOLS = { tcp: 6, udp: 17, sctp: 132, fwm: 0 } as const;
const METHODS = { masq: 0, tunnel: 2, route: 3 } as const;
const family = (of: 4 | 6): Buffer => little(of === 6 ? 10 : 2, 2);

function serviceAttributes(
  key: ServiceKey,
  rest: { scheduler: string; flags: number; timeout: number; netmask: string; pe?: string },
): Attribute[] {
  const netmask = rest.netmask.includes(".")
    ? address(rest.netmask).subarray(0, 4)
    : little(Number(rest.netmask), 4);
  return [
    [1, family(key.family)],
    ...(key.protocol === "fwm"
      ? [[5, little(key.mark, 4)] satisfies Attribute]
      : ([
          [2, little(PROTOCOLS[key.protocol], 2)],
          [3, address(key.address)],
          [4, big16(key.port)],
        ] satisfies Attribute[])),
    [6, text(rest.scheduler)],
    ...(rest.pe === undefined ? [] : ([[11, text(rest.pe)]] satisfies Attribute[])),
    [7, Buffer.concat([little(rest.flags, 4), Buffer.from("ffffffff", "hex")])],
    [8, little(rest.timeout, 4)],
    [9, netmask],
  ];
}

const bare = (key: ServiceKey): Attribute[] =>
  serviceAttributes(key, {
    scheduler: "",
    flags: 0,
    timeout: 0,
    netmask: key.family === 6 ? "128" : "255.255.255.255",
  });

function serverAttributes(
  server: { address: string; port: number },
  rest: { method: number; weight: number; upper: number; lower: number },
): Attribute[] {
  return [
    [11, family(server.address.includes(":") ? 6 : 4)],
    [1, address(server.address)],
    [2, big16(server.port)],
    [3, little(rest.method, 4)],
    [4, little(rest.weight, 4)],
    [13, little(0, 1)],
    [14, big16(0)],
    [15, little(0, 2)],
    [5, little(rest.upper, 4)],
    [6, little(rest.lower, 4)],
  ];
}

/** The request line that the witness logs when ipvsadm carries this command out; null if it asks nothing. */
export function asWitnessed(command: DirectorCommand): string | null {
  const line = (verb: number, ...attributes: Attribute[]): string =>
    [String(verb), ...attributes.map(printed)].join(" ");
  switch (command.kind) {
    case "addService":
    case "editService": {
      const { key, persistence, onePacket, flags, scheduler, netmask, pe } = command.service;
      const bits = (persistence > 0 ? 1 : 0) | (onePacket ? 4 : 0) | flags;
      const rest = { scheduler, flags: bits, timeout: persistence, netmask };
      const attributes = serviceAttributes(key, pe === undefined ? rest : { ...rest, pe });
      return line(command.kind === "addService" ? 1 : 2, [1, attributes]);
    }
    case "deleteService":
      // ipvsadm sends default attributes along; only the key counts
      return line(3, [1, bare(command.service)]);
    case "addServer":
    case "editServer":
      return line(
        command.kind === "addServer" ? 5 : 6,
        [1, bare(command.service)],
        [2, serverAttributes(command.server, { ...command.server, method: METHODS[command.server.method] })],
      );
    case "deleteServer":
      return line(
        7,
        [1, bare(command.service)],
        [2, serverAttributes(command.server, { method: 3, weight: 1, upper: 0, lower: 0 })],
      );
    case "clear":
      return "17";
    case "zero":
      return command.service === undefined ? "16" : line(16, [1, bare(command.service)]);
    case "setTimeouts": {
      const { tcp, tcpfin, udp } = command.timeouts;
      return line(12, [4, little(tcp, 4)], [5, little(tcpfin, 4)], [6, little(udp, 4)]);
    }
    default:
      return null;
  }
}

function printed([type, value]: Attribute): string {
  return Array.isArray(value)
    ? `${type}( ${value.map(printed).join(" ")} )`
    : `${type}=${value.toString("hex")}`;
}

function encoded([type, value]: Attribute): Buffer {
  const body = Array.isArray(value) ? Buffer.concat(value.map(encoded)) : value;
  const padding = Buffer.alloc((4 - (body.length % 4)) % 4);
  return Buffer.concat([
    little(body.length + 4, 2),
    little(type | (Array.isArray(value) ? 0x8000 : 0), 2),
    body,
    padding,
  ]);
}

const stats64 = ({ stats, rates }: Pick<ServiceListing, "stats" | "rates">): Attribute[] =>
  [
    stats.conns,
    stats.inPkts,
    stats.outPkts,
    stats.inBytes,
    stats.outBytes,
    rates.cps,
    rates.inPps,
    rates.outPps,
    rates.inBps,
    rates.outBps,
  ].map((value, i): Attribute => [i + 1, little(value, 8)]);

/** A table for the witness: what a kernel with these services would answer. */
export function witnessTable(
  services: readonly ServiceListing[],
  timeouts: Timeouts = { tcp: 900, tcpfin: 120, udp: 300 },
): Buffer {
  const record = (kind: number, ...attributes: Attribute[]): Buffer => {
    const body = Buffer.concat(attributes.map(encoded));
    return Buffer.concat([little(kind, 4), little(body.length, 4), body]);
  };
  const records = [
    record(1, [1, little(0x010201, 4)], [2, little(4096, 4)]),
    record(4, [4, little(timeouts.tcp, 4)], [5, little(timeouts.tcpfin, 4)], [6, little(timeouts.udp, 4)]),
  ];
  for (const service of services) {
    const flags = (service.persistence > 0 ? 1 : 0) | (service.onePacket ? 4 : 0) | service.flags | 2;
    const rest = {
      scheduler: service.scheduler,
      flags,
      timeout: service.persistence,
      netmask: service.netmask,
    };
    const stats = stats64(service);
    records.push(
      record(2, [
        1,
        [
          ...serviceAttributes(service.key, service.pe === undefined ? rest : { ...rest, pe: service.pe }),
          [10, stats32(stats)],
          [12, stats],
        ],
      ]),
    );
    for (const server of service.servers) {
      const numbers = stats64(server);
      records.push(
        record(3, [
          2,
          [
            ...serverAttributes(server, { ...server, method: METHODS[server.method] }),
            [7, little(server.activeConns, 4)],
            [8, little(server.inactiveConns, 4)],
            [9, little(server.persistentConns, 4)],
            [10, stats32(numbers)],
            [12, numbers],
          ],
        ]),
      );
    }
  }
  return Buffer.concat(records);
}

/** The older statistics attribute, which ipvsadm insists on: 32-bit counts but for bytes. */
function stats32(stats: Attribute[]): Attribute[] {
  return stats.map(([type, value]): Attribute => {
    const number = value as Buffer;
    return type === 4 || type === 5 ? [type, number] : [type, number.subarray(0, 4)];
  });
}
