import type { DirectorClient, ListAnswer, ListCommand } from "../../src/cli/director-client.ts";
import { runIpvsadm, type Surroundings } from "../../src/cli/ipvsadm-run.ts";
import { ServiceNames } from "../../src/cli/names.ts";
import type { AddressBook } from "../../src/control/addresses.ts";
import { attachCommands, type Commands } from "../../src/control/commands.ts";
import type { CommandError, CommandExecutor, DirectorCommand } from "../../src/control/model.ts";
import { BUILT_IN } from "../../src/schedulers/built-in.ts";
import { createRegion, regionBytes } from "../../src/table/region.ts";

/** dradm and the director's commands in one process, in the world of the recordings: no socket, no files, no DNS. */

const SIZES = { shards: 1, services: 64, destinations: 256, connections: 64, templates: 64, neighbours: 64 };

/** The recordings' director is 10.0.0.1/24 and has these on its loopback. */
const ADDRESSES: AddressBook = {
  isLocal: (a) => a[0] === 0 && [0x0a000001, 0x0a000064, 0x0a000065].includes(a[3]),
  isBroadcast: (a) => a[3] === 0x0a0000ff,
};

export function newCommands(): Commands {
  const region = createRegion(new ArrayBuffer(regionBytes(SIZES)), SIZES, 1, 0);
  // the recordings' kernel had no twos
  const schedulers = (name: string) => BUILT_IN.find((one) => one.name === name && name !== "twos");
  return attachCommands(region, { now: () => 0, addresses: ADDRESSES, schedulers, info: { size: 4096 } });
}

/** Out of Debian's /etc/services, whose names the recorded listings show. */
const SERVICES = [
  "ftp-data 20/tcp",
  "ftp 21/tcp",
  "ssh 22/tcp",
  "telnet 23/tcp",
  "smtp 25/tcp mail",
  "domain 53/tcp",
  "domain 53/udp",
  "tftp 69/udp",
  "http 80/tcp www",
  "pop3 110/tcp pop-3",
  "ntp 123/udp",
  "imap2 143/tcp imap",
  "snmp 161/udp",
  "https 443/tcp",
  "https 443/udp",
  "isakmp 500/udp",
  "syslog 514/udp",
  "imaps 993/tcp",
  "mysql 3306/tcp",
  "sip 5060/tcp",
  "sip 5060/udp",
  "mdns 5353/udp",
  "http-alt 8080/tcp webcache",
].join("\n");
export const HOSTS: Readonly<Record<string, string>> = {
  "10.0.0.12": "rs2.example.com",
  "10.0.0.101": "vip2.example.com",
  "127.0.0.1": "localhost",
};

/** What a command line prints, and its exit code. */
export interface Printed {
  rc: number;
  stdout: string;
  stderr: string;
}

/** What goes to the director and what comes back is turned into JSON and back, as on the socket. */
class DirectClient implements DirectorClient {
  readonly #director: CommandExecutor;
  constructor(director: CommandExecutor) {
    this.#director = director;
  }

  async change(commands: readonly DirectorCommand[]): Promise<(CommandError | null)[]> {
    return (sent(commands) as DirectorCommand[]).map((command) => {
      const result = this.#director.execute(command);
      return result.ok ? null : result.error;
    });
  }

  async list(command: ListCommand): Promise<ListAnswer> {
    const result = this.#director.execute(sent(command) as ListCommand);
    if (!result.ok) return { kind: "error", error: result.error };
    const listing = result.listing!;
    if (listing.kind === "services") return { ...listing, services: stream(listing.services) };
    return listing.kind === "connections"
      ? { ...listing, connections: stream(listing.connections) }
      : listing;
  }
}

const sent = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

async function* stream<T>(rows: Iterable<T>): AsyncGenerator<T> {
  for (const row of rows) yield sent(row) as T;
}

const services = new ServiceNames(SERVICES);

/** Runs a command line as dradm does. */
export async function run(director: CommandExecutor, argv: readonly string[], stdin = ""): Promise<Printed> {
  const printed: Printed = { rc: 0, stdout: "", stderr: "" };
  const host = (name: string): string | null =>
    Object.entries(HOSTS).find(([, known]) => known === name)?.[0] ?? null;
  const world: Surroundings = {
    director: new DirectClient(director),
    withLookup: async (parse) => parse({ host, port: (name, protocol) => services.port(name, protocol) }),
    namesFor: async () => ({
      host: (address) => HOSTS[address] ?? null,
      port: (port, protocol) => services.name(port, protocol),
    }),
    print: async (text) => void (printed.stdout += text),
    complain: (text) => void (printed.stderr += text),
    lines: () => stream(stdin.split("\n")),
    help: () => "help\n",
    version: () => "version\n",
  };
  printed.rc = await runIpvsadm(argv, world);
  return printed;
}
