import { lookup as lookupHost, lookupService } from "node:dns/promises";
import { readFileSync } from "node:fs";
import type { NameLookup } from "./endpoint.ts";
import type { NameWriter } from "./ipvsadm-format.ts";

type Transport = "tcp" | "udp" | "sctp";

/** services(5), both ways. As in getservbyname(3) and getservbyport(3), the first line that fits wins. */
export class ServiceNames {
  readonly #ports = new Map<string, number>();
  readonly #names = new Map<string, string>();

  constructor(text: string) {
    for (const line of text.split("\n")) {
      const [name, where, ...aliases] = line.replace(/#.*/, "").trim().split(/\s+/);
      const match = /^(\d{1,5})\/(\w+)$/.exec(where ?? "");
      if (name === undefined || match === null) continue;
      const port = Number(match[1]);
      const at = `${port}/${match[2]}`;
      if (!this.#names.has(at)) this.#names.set(at, name);
      for (const each of [name, ...aliases]) {
        const key = `${each}/${match[2]}`;
        if (!this.#ports.has(key)) this.#ports.set(key, port);
      }
    }
  }

  port(name: string, protocol: Transport): number | null {
    return this.#ports.get(`${name}/${protocol}`) ?? null;
  }

  name(port: number, protocol: Transport): string | null {
    return this.#names.get(`${port}/${protocol}`) ?? null;
  }
}

/** The machine's names: /etc/services, and hosts by its resolver. Everything found or not found is remembered. */
export class SystemNames {
  #services: ServiceNames | null = null;
  readonly #addresses = new Map<string, string | null>();
  readonly #hosts = new Map<string, string | null>();

  /** Runs a parser until it knows every host name it asks for: the resolver is asynchronous, a parser is not. */
  async withLookup<T>(parse: (lookup: NameLookup) => T): Promise<T> {
    for (;;) {
      const unknown = new Set<string>();
      const lookup: NameLookup = {
        port: (name, protocol) => this.services.port(name, protocol),
        host: (name) => {
          const known = this.#addresses.get(name);
          if (known === undefined) unknown.add(name);
          return known ?? null;
        },
      };
      let result: { value: T } | { error: unknown };
      try {
        result = { value: parse(lookup) };
      } catch (error) {
        result = { error };
      }
      if (unknown.size === 0) {
        if ("error" in result) throw result.error;
        return result.value;
      }
      for (const name of unknown) this.#addresses.set(name, await resolve(name));
    }
  }

  /** The names of these addresses, and of all ports. */
  async namesFor(addresses: Iterable<string>): Promise<NameWriter> {
    const missing = [...new Set(addresses)].filter((address) => !this.#hosts.has(address));
    await Promise.all(
      missing.map(async (address) => {
        this.#hosts.set(address, await reverse(address));
      }),
    );
    return {
      host: (address) => this.#hosts.get(address) ?? null,
      port: (port, protocol) => this.services.name(port, protocol),
    };
  }

  get services(): ServiceNames {
    this.#services ??= new ServiceNames(readServices());
    return this.#services;
  }
}

function readServices(): string {
  try {
    return readFileSync("/etc/services", "utf8");
  } catch {
    // a machine without the file has no names
    return "";
  }
}

async function resolve(name: string): Promise<string | null> {
  // what the resolver cannot take, it need not be asked
  if (!/^[\x21-\x7e]{1,253}$/.test(name)) return null;
  try {
    return (await lookupHost(name, { family: 4 })).address;
  } catch {
    return null;
  }
}

async function reverse(address: string): Promise<string | null> {
  try {
    return (await lookupService(address, 0)).hostname;
  } catch {
    return null;
  }
}
