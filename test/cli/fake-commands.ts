import {
  type CommandErrorCode,
  type CommandExecutor,
  type CommandResult,
  type ConnectionListing,
  type DirectorCommand,
  NO_RATES,
  NO_STATS,
  type ServerKey,
  type ServerListing,
  type ServerSpec,
  type ServiceKey,
  type ServiceListing,
  type ServiceSpec,
  serverKeyText,
  serviceKeyText,
  type Timeouts,
} from "../../src/control/model.ts";

const SCHEDULERS = new Set(["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh"]);

/** The kernel's table as far as its command line shows it; counters are set by the test, not by traffic. */
export class FakeDirector implements CommandExecutor {
  /** Newest first, as the kernel keeps them. */
  services: ServiceListing[] = [];
  connections: ConnectionListing[] = [];
  timeouts: Timeouts = { tcp: 900, tcpfin: 120, udp: 300 };
  /** Deleted servers with connections left, which come back with their counts. */
  readonly #trash = new Map<string, ServerListing>();

  execute(command: DirectorCommand): CommandResult {
    switch (command.kind) {
      case "addService":
        return this.#addService(command.service);
      case "editService":
        return this.#editService(command.service);
      case "deleteService":
        return this.#deleteService(command.service);
      case "clear":
        for (const service of [...this.services]) this.#deleteService(service.key);
        return { ok: true };
      case "addServer":
      case "editServer":
      case "deleteServer":
        return this.#changeServer(command);
      case "zero":
        return this.#zero(command.service);
      case "setTimeouts": {
        const { tcp, tcpfin, udp } = command.timeouts;
        const now = this.timeouts;
        this.timeouts = { tcp: tcp || now.tcp, tcpfin: tcpfin || now.tcpfin, udp: udp || now.udp };
        return { ok: true };
      }
      case "save":
        return this.#listServices(undefined);
      case "list":
        if (command.what === "connections") {
          return { ok: true, listing: { kind: "connections", connections: this.connections } };
        }
        if (command.what === "timeouts") {
          return { ok: true, listing: { kind: "timeouts", timeouts: this.timeouts } };
        }
        if (command.what === "daemons") return { ok: true, listing: { kind: "daemons" } };
        return this.#listServices(command.service);
    }
  }

  find(key: ServiceKey): ServiceListing | undefined {
    const text = serviceKeyText(key);
    return this.services.find((service) => serviceKeyText(service.key) === text);
  }

  #addService(spec: ServiceSpec): CommandResult {
    if (this.find(spec.key) !== undefined) return fail("EEXIST");
    if (!SCHEDULERS.has(spec.scheduler) || spec.pe !== undefined) return fail("ENOENT");
    this.services.unshift({ ...spec, stats: { ...NO_STATS }, rates: { ...NO_RATES }, servers: [] });
    return { ok: true };
  }

  #editService(spec: ServiceSpec): CommandResult {
    const service = this.find(spec.key);
    if (service === undefined) return fail("ESRCH");
    if (!SCHEDULERS.has(spec.scheduler) || spec.pe !== undefined) return fail("ENOENT");
    Object.assign(service, spec);
    return { ok: true };
  }

  #deleteService(key: ServiceKey): CommandResult {
    const service = this.find(key);
    if (service === undefined) return fail("ESRCH");
    for (const server of service.servers) this.#discard(key, server);
    this.services = this.services.filter((other) => other !== service);
    return { ok: true };
  }

  #discard(key: ServiceKey, server: ServerListing): void {
    if (server.activeConns + server.inactiveConns === 0) return;
    const { activeConns, inactiveConns } = server;
    this.#trash.set(`${serviceKeyText(key)} ${serverKeyText(server)}`, { ...server, activeConns, inactiveConns });
  }

  #changeServer(command: Extract<DirectorCommand, { server: ServerKey }>): CommandResult {
    const service = this.find(command.service);
    if (service === undefined) return fail("ESRCH");
    const name = serverKeyText(command.server);
    const at = service.servers.findIndex((server) => serverKeyText(server) === name);
    if (command.kind === "deleteServer") {
      if (at < 0) return fail("ENOENT");
      this.#discard(service.key, service.servers[at]!);
      service.servers.splice(at, 1);
      return { ok: true };
    }
    if (command.server.lower > command.server.upper) return fail("ERANGE");
    if (command.kind === "editServer") {
      if (at < 0) return fail("ENOENT");
      Object.assign(service.servers[at]!, command.server);
      return { ok: true };
    }
    if (at >= 0) return fail("EEXIST");
    if (!isUnicast(command.server.address)) return fail("EINVAL");
    const trashed = this.#trash.get(`${serviceKeyText(service.key)} ${name}`);
    service.servers.unshift(newServer(command.server, trashed));
    return { ok: true };
  }

  #zero(key: ServiceKey | undefined): CommandResult {
    const services = key === undefined ? this.services : this.services.filter((service) => service === this.find(key));
    if (key !== undefined && services.length === 0) return fail("ESRCH");
    for (const service of services) {
      for (const each of [service, ...service.servers]) {
        each.stats = { ...NO_STATS };
        each.rates = { ...NO_RATES };
      }
    }
    return { ok: true };
  }

  #listServices(key: ServiceKey | undefined): CommandResult {
    const one = key === undefined ? undefined : this.find(key);
    if (key !== undefined && one === undefined) return fail("ESRCH");
    const services = one === undefined ? this.services : [one];
    return { ok: true, listing: { kind: "services", info: { version: "1.2.1", size: 4096 }, services } };
  }
}

function newServer(spec: ServerSpec, trashed: ServerListing | undefined): ServerListing {
  return {
    ...spec,
    activeConns: trashed?.activeConns ?? 0,
    inactiveConns: trashed?.inactiveConns ?? 0,
    persistentConns: 0,
    stats: { ...NO_STATS },
    rates: { ...NO_RATES },
  };
}

/** In the recordings' world 10.0.0.0/24 is the director's own network, so its last address is a broadcast. */
function isUnicast(address: string): boolean {
  if (address.includes(":")) return address !== "::" && !address.startsWith("ff");
  return address !== "0.0.0.0" && address !== "10.0.0.255" && Number(address.split(".")[0]) < 224;
}

function fail(code: CommandErrorCode): CommandResult {
  return { ok: false, error: { code, message: code } };
}
