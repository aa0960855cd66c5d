/** A rules file (`ipvsadm -S -n`) as services: its commands carried out in order on an empty table. */
import {
  type Protocol,
  type ServerSpec,
  type ServiceKey,
  type ServiceSpec,
  serverKeyText,
  serviceKeyText,
} from "../../control/model.ts";
import type { NameLookup } from "../endpoint.ts";
import { schedulerFlagNames } from "../ipvsadm-format.ts";
import { parseRules, type Rule, type RuleCommand } from "../rules.ts";
import {
  type Converted,
  LONGEST_PERSISTENCE,
  MOST_WEIGHT,
  type Note,
  type ServerInput,
  type ServiceInput,
} from "./converted.ts";

interface Entry {
  spec: ServiceSpec;
  readonly line: number;
  readonly servers: Map<string, { line: number; server: ServerSpec }>;
}

export function fromRules(text: string, lookup: NameLookup): Converted {
  const { rules, errors } = parseRules(text, lookup);
  const table = new Table();
  for (const rule of rules) table.carryOut(rule);
  const services = [...table.services.values()].map((entry) => table.service(entry));
  const notes = [...errors, ...table.notes].sort((a, b) => a.line - b.line);
  return { services, timeouts: table.timeouts, notes };
}

type ServerCommand = Extract<RuleCommand, { kind: "addServer" | "editServer" | "deleteServer" }>;

class Table {
  readonly services = new Map<string, Entry>();
  readonly notes: Note[] = [];
  readonly timeouts: { tcp?: number; tcpfin?: number; udp?: number } = {};

  carryOut({ line, command }: Rule): void {
    const problem = this.#problemWith(command, line);
    if (problem !== undefined) this.notes.push({ line, message: problem });
  }

  /** Carries a command out, or says why it could not be. */
  #problemWith(command: RuleCommand, line: number): string | undefined {
    switch (command.kind) {
      case "clear":
        this.services.clear();
        return undefined;
      case "addService":
      case "editService":
        return this.#put(command.service, line, command.kind === "addService");
      case "deleteService":
        return this.services.delete(serviceKeyText(command.service)) ? undefined : "no such service";
      case "addServer":
      case "editServer":
      case "deleteServer":
        return this.#server(command, line);
      case "setTimeouts":
        for (const name of ["tcp", "tcpfin", "udp"] as const) {
          if (command.timeouts[name] > 0) this.timeouts[name] = command.timeouts[name];
        }
        return undefined;
      case "zero":
        return undefined;
    }
  }

  #put(spec: ServiceSpec, line: number, isNew: boolean): string | undefined {
    const key = serviceKeyText(spec.key);
    const before = this.services.get(key);
    if (isNew === (before !== undefined)) return isNew ? "the service is there already" : "no such service";
    if (before === undefined) this.services.set(key, { spec, line, servers: new Map() });
    else before.spec = spec;
    return spec.pe === undefined ? undefined : `persistence engine ${spec.pe} is left out`;
  }

  #server(command: ServerCommand, line: number): string | undefined {
    const entry = this.services.get(serviceKeyText(command.service));
    if (entry === undefined) return "no such service";
    // Direct routing keeps the service's port, whatever the rule says.
    const key = serverKeyText({ ...command.server, port: command.service.port });
    const there = entry.servers.has(key);
    if (there === (command.kind === "addServer")) {
      return there ? "the real server is there already" : "no such real server";
    }
    if (command.kind === "deleteServer") entry.servers.delete(key);
    else entry.servers.set(key, { line, server: command.server });
    return undefined;
  }

  service({ spec, line, servers }: Entry): ServiceInput {
    const { key, scheduler, flags, netmask, onePacket } = spec;
    const persistence = this.#atMost(spec.persistence, LONGEST_PERSISTENCE, line, "persistence");
    const flagNames = flags === 0 ? [] : schedulerFlagNames(scheduler, flags).split(",");
    const whole = key.family === 4 ? "255.255.255.255" : "128";
    return {
      ...placeOf(key),
      scheduler,
      ...(flagNames.length > 0 ? { flags: flagNames as NonNullable<ServiceInput["flags"]> } : {}),
      ...(persistence > 0 ? { persistence } : {}),
      ...(persistence > 0 && netmask !== whole ? { netmask } : {}),
      ...(onePacket ? { ops: true } : {}),
      servers: [...servers.values()].map((each) => this.#serverInput(each.server, each.line)),
    };
  }

  #serverInput({ address, weight, upper, lower }: ServerSpec, line: number): ServerInput {
    return {
      address,
      weight: this.#atMost(weight, MOST_WEIGHT, line, "weight"),
      ...(upper > 0 ? { upper } : {}),
      ...(lower > 0 ? { lower } : {}),
    };
  }

  #atMost(value: number, most: number, line: number, what: string): number {
    if (value >= 0 && value <= most) return value;
    const cut = value < 0 ? 0 : most;
    this.notes.push({ line, message: `${what} ${value} became ${cut}` });
    return cut;
  }
}

function placeOf({ protocol, family, address, port, mark }: ServiceKey): Partial<ServiceInput> {
  if (protocol === ("fwm" satisfies Protocol)) {
    return family === 6 ? { protocol, mark, family } : { protocol, mark };
  }
  return protocol === "tcp" ? { address, port } : { protocol, address, port };
}
