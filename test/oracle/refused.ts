/**
 * What ipvsadm did and this director refuses: servers behind masquerading or tunnelling, the synchronization daemon.
 * Their rows are taken out of a recorded listing, and nothing else is.
 */
import { parseIpvsadm } from "../../src/cli/ipvsadm-grammar.ts";
import { refusal } from "../../src/cli/ipvsadm-refusal.ts";
import type { IpvsadmCommand } from "../../src/control/model.ts";

/** Names that stand in the recordings' listings, and what they are. */
const NUMBERS: Readonly<Record<string, string>> = {
  "rs2.example.com": "10.0.0.12",
  "vip2.example.com": "10.0.0.101",
  localhost: "127.0.0.1",
  ":domain": ":53",
  ":http": ":80",
  ":https": ":443",
  ":sip": ":5060",
  ":mdns": ":5353",
};

/** "rs2.example.com:domain" as "10.0.0.12:53", as far as the recordings have names. */
function numeric(endpoint: string): string {
  let text = endpoint;
  for (const [name, number] of Object.entries(NUMBERS)) {
    const stands = name.startsWith(":") ? text.endsWith(name) : text.startsWith(`${name}:`);
    if (stands) text = text.replace(name, number);
  }
  return text;
}

function endpoint({ address, port }: { address: string; port: number }): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function parse(argv: readonly string[]): IpvsadmCommand | undefined {
  try {
    return parseIpvsadm(argv, { host: (name) => NUMBERS[name] ?? null, port: () => null });
  } catch {
    return undefined;
  }
}

export class Refused {
  /** A synchronization daemon was asked for. */
  daemon = false;
  /** "TCP 10.0.0.100:80 10.0.0.11:80" */
  readonly #servers = new Set<string>();
  readonly #services = new Set<string>();

  /** Is it a command that must be refused? Remembers what it would have made. */
  take(argv: readonly string[]): boolean {
    const command = parse(argv);
    if (command === undefined || refusal(command) === null) return false;
    if (command.kind === "addServer" || command.kind === "editServer") {
      const { service, server } = command;
      const name = service.protocol === "fwm" ? `FWM ${service.mark | 0}` : service.protocol.toUpperCase();
      const full = service.protocol === "fwm" ? name : `${name} ${endpoint(service)}`;
      this.#services.add(full);
      this.#servers.add(`${full} ${endpoint(server)}`);
    } else {
      this.daemon = true;
    }
    return true;
  }

  /** Lines of a --restore that must not be asked for. */
  withoutRules(rules: string): string {
    const kept = rules.split("\n").filter((line) => {
      const command = parse(line.split(/\s+/).filter((word) => word !== ""));
      return command === undefined || refusal(command) === null;
    });
    return kept.join("\n");
  }

  /** A listing, or saved rules, without the refused servers' rows. */
  withoutRows(text: string): string {
    let service = "";
    const kept = text.split("\n").filter((line) => {
      const row = /^(TCP|UDP|SCTP|FWM) +(\S+)/.exec(line);
      if (row !== null) service = `${row[1]} ${numeric(row[2]!)}`;
      const server = /^ {2}-> (\S+) /.exec(line)?.[1];
      if (server === undefined) return !/^-a .* -[im] /.test(line);
      return !/ (?:Tunnel|Masq) /.test(line) && !this.#servers.has(`${service} ${numeric(server)}`);
    });
    return kept.join("\n");
  }

  /** A listing without the services that lack a server: their traffic went to those that are left. */
  withoutServices(text: string): string {
    const blocks = text.split(/^(?! {2}->)/m).filter((block) => {
      const row = /^(TCP|UDP|SCTP|FWM) +(\S+)/.exec(block);
      return row === null || !this.#services.has(`${row[1]} ${numeric(row[2]!)}`);
    });
    return blocks.join("");
  }
}
