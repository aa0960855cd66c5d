import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  type CommandExecutor,
  type ConnectionListing,
  type DirectorCommand,
  type Listing,
  NO_RATES,
  NO_STATS,
  type ServiceListing,
} from "../../src/control/model.ts";
import { HOSTS, newCommands, run } from "./world.ts";

/**
 * Every command line recorded from the real ipvsadm on a real kernel, in order: same output, same complaints, same
 * exit code. Traffic is not replayed here (test/oracle does that), so counters and connections are taken from the
 * recording; real servers reached by masquerading or tunnelling are refused, so their rows are left out of it.
 */

interface Step {
  cmd?: string;
  argv: string[];
  rc: number;
  stdout: string;
  stderr: string;
  stdin?: string;
}

const FOLDER = new URL("../oracle/recordings/cli/", import.meta.url);
const NOT_OURS = /^(?: {2}->.* (?:Tunnel|Masq) .*|-a .* -[im] .*)\n/gm;

for (const file of readdirSync(FOLDER)) {
  const { description, commands } = JSON.parse(readFileSync(new URL(file, FOLDER), "utf8")) as {
    description: string;
    commands: Step[];
  };
  describe(`${file}: ${description}`, async () => {
    const director = new WithCounters(newCommands());
    for (const [at, step] of commands.entries()) {
      if (step.cmd === undefined) continue;
      it(`${at} ${step.cmd}`, async () => {
        const argv = step.cmd!.startsWith("ipvsadm-save") ? ["-S", ...step.argv] : step.argv;
        if (/^-a .* -[im]( |$)/.test(argv.join(" "))) {
          const { rc, stdout, stderr } = await run(director, argv);
          expect({ rc, stdout }).toEqual({ rc: 2, stdout: "" });
          expect(stderr).toMatch(/^dr-director forwards by direct routing only: .*\n$/);
          return;
        }
        const expected = withoutRefused(step.stdout);
        director.expectNext(expected, argv);
        const printed = await run(director, argv, step.stdin);
        const refused = step.stdin?.match(NOT_OURS)?.length ?? 0;
        if (refused > 0) {
          expect(printed.rc).toBe(2);
          expect(printed.stderr.match(/^dr-director forwards by direct routing only: /gm)).toHaveLength(
            refused,
          );
          return;
        }
        // a kernel's own order depends on a secret: only where ours is the same, the order of services is too
        const tidy =
          argv.includes("--nosort") && file === "list_formats.json" ? byService : (text: string) => text;
        expect({ ...printed, stdout: tidy(printed.stdout) }).toEqual({
          rc: step.rc,
          stdout: tidy(expected),
          stderr: step.stderr,
        });
      });
    }
  });
}

/** The recording without rows that only masquerading and tunnelling could make. */
function withoutRefused(stdout: string): string {
  const text = stdout.replace(NOT_OURS, "");
  // most columns do not tell the method: the recordings' only such servers are known by their addresses
  return text
    .replace(/^ {2}-> (?:10\.0\.0\.14:80|10\.0\.0\.12:5353|rs2\.example\.com:mdns) .*\n/gm, "")
    .replace(/(^UDP {2}10\.0\.0\.100:(?:53|domain) .*\n) {2}-> 10\.0\.0\.11:.*\n/gm, "$1");
}

/** The listing's services in alphabetical order, their servers as they are. */
function byService(stdout: string): string {
  return stdout
    .split(/^(?! {2}->)/m)
    .sort()
    .join("");
}

/** The director's commands, with the numbers that the recording's traffic made. */
class WithCounters implements CommandExecutor {
  readonly #director: CommandExecutor;
  #rows = new Map<string, number[]>();
  #connections: ConnectionListing[] = [];
  #columns = "plain";

  constructor(director: CommandExecutor) {
    this.#director = director;
  }

  expectNext(stdout: string, argv: readonly string[]): void {
    this.#columns =
      ["stats", "rate", "thresholds", "persistent-conn"].find((name) => argv.includes(`--${name}`)) ??
      "plain";
    const connections = stdout.startsWith("IPVS connection entries");
    this.#connections = connections ? stdout.split("\n").slice(2, -1).map(readConnection) : [];
    this.#rows.clear();
    let service = "";
    for (const line of connections ? [] : stdout.split("\n")) {
      const row = /^(?:( {2}-> )|(TCP|UDP|SCTP|FWM) +)(\S+)( IPv6)?(.*)$/.exec(line);
      if (row === null) continue;
      const name = numeric(row[3]!) + (row[4] ?? "");
      if (row[1] === undefined) service = `${row[2]} ${name}`;
      this.#rows.set(
        row[1] === undefined ? service : `${service} ${name}`,
        (row[5]!.match(/\d+(?= |$)/g) ?? []).map(Number),
      );
    }
  }

  execute(command: DirectorCommand): ReturnType<CommandExecutor["execute"]> {
    const result = this.#director.execute(command);
    if (!result.ok || result.listing === undefined) return result;
    return { ok: true, listing: this.#counted(result.listing) };
  }

  #counted(listing: Listing): Listing {
    if (listing.kind === "connections") return { ...listing, connections: this.#connections };
    if (listing.kind !== "services") return listing;
    return { ...listing, services: Array.from(listing.services, (service) => this.#numbered(service)) };
  }

  #numbered(service: ServiceListing): ServiceListing {
    const { key } = service;
    const name =
      key.protocol === "fwm"
        ? `FWM ${key.mark}${key.family === 6 ? " IPv6" : ""}`
        : `${key.protocol.toUpperCase()} ${endpoint(key)}`;
    const servers = service.servers.map((server) => {
      const numbers = this.#rows.get(`${name} ${endpoint(server)}`) ?? [];
      const [active = 0, inactive = 0] = numbers.slice(-2);
      const persistent = this.#columns === "persistent-conn" ? (numbers[1] ?? 0) : 0;
      return {
        ...server,
        activeConns: active,
        inactiveConns: inactive,
        persistentConns: persistent,
        ...this.#flow(numbers),
      };
    });
    return { ...service, servers, ...this.#flow(this.#rows.get(name) ?? []) };
  }

  #flow(n: readonly number[]): Pick<ServiceListing, "stats" | "rates"> {
    const [a = 0, b = 0, c = 0, d = 0, e = 0] = n;
    return {
      stats:
        this.#columns === "stats" ? { conns: a, inPkts: b, outPkts: c, inBytes: d, outBytes: e } : NO_STATS,
      rates: this.#columns === "rate" ? { cps: a, inPps: b, outPps: c, inBps: d, outBps: e } : NO_RATES,
    };
  }
}

const PORTS: Readonly<Record<string, string>> = {
  http: "80",
  https: "443",
  domain: "53",
  mdns: "5353",
  sip: "5060",
};

/** An address and port as the recording prints them, in numbers. */
function numeric(text: string): string {
  const match = /^(.*):(\w+)$/.exec(text);
  if (match === null) return text;
  const host = Object.entries(HOSTS).find(([, name]) => name === match[1])?.[0] ?? match[1]!;
  return `${host}:${PORTS[match[2]!] ?? match[2]}`;
}

function endpoint({ address, port }: { address: string; port: number }): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function readConnection(row: string): ConnectionListing {
  const [protocol, time, state, ...ends] = row.split(/\s+/);
  const [client, virtual, server] = ends.map((end) => {
    const match = /^\[?(.*?)\]?:(\d+)$/.exec(end)!;
    return { address: match[1]!, port: Number(match[2]) };
  });
  const [minutes, seconds] = time!.split(":").map(Number);
  return {
    protocol: protocol!,
    expiresSeconds: minutes! * 60 + seconds!,
    state: state!,
    client: client!.address,
    cport: client!.port,
    virtual: virtual!.address,
    vport: virtual!.port,
    server: server!.address,
    rport: server!.port,
  };
}
