/** A plan for people: what is added, changed and taken away, as a difference is usually shown. */
import type {
  DirectorCommand,
  ServerSpec,
  ServiceKey,
  ServiceListing,
  ServiceSpec,
  Timeouts,
} from "../control/model.ts";
import { serverKeyText, serviceKeyText } from "../control/model.ts";
import { schedulerFlagNames } from "./ipvsadm-format.ts";

export type Mark = "+" | "-" | "~" | " ";

export interface PlanLine {
  readonly mark: Mark;
  /** 0 for services and timeouts, 1 for their real servers. */
  readonly depth: 0 | 1;
  readonly text: string;
}

/** A service as `tcp 10.0.0.100:80`, `fwm 7`, `fwm 7 IPv6`. */
export function serviceName({ protocol, address, port, mark, family }: ServiceKey): string {
  if (protocol === "fwm") return `fwm ${mark}${family === 6 ? " IPv6" : ""}`;
  return `${protocol} ${family === 6 ? `[${address}]` : address}:${port}`;
}

type Values = readonly (readonly [name: string, value: string])[];

function serviceValues(service: ServiceSpec): Values {
  const { scheduler, flags, persistence, netmask, onePacket } = service;
  return [
    ["scheduler", scheduler],
    ["flags", schedulerFlagNames(scheduler, flags) || "none"],
    ["persistence", String(persistence)],
    ["netmask", netmask],
    ["ops", onePacket ? "yes" : "no"],
  ];
}

const serverValues = ({ weight, upper, lower }: ServerSpec): Values => [
  ["weight", String(weight)],
  ["upper", String(upper)],
  ["lower", String(lower)],
];

const NOTHING_SPECIAL: Readonly<Record<string, readonly string[]>> = {
  flags: ["none"],
  persistence: ["0"],
  netmask: ["255.255.255.255", "128"],
  ops: ["no"],
  upper: ["0"],
  lower: ["0"],
};

/** "scheduler rr persistence 300": what is not as always. */
const described = (values: Values): string =>
  values
    .filter(([name, value]) => NOTHING_SPECIAL[name]?.includes(value) !== true)
    .map(([name, value]) => `${name} ${value}`)
    .join(" ");

/** "weight 1 → 3": what differs. */
function changed(before: Values | undefined, after: Values): string {
  const old = new Map(before);
  return after
    .filter(([name, value]) => before === undefined || old.get(name) !== value)
    .map(([name, value]) => `${name} ${before === undefined ? "" : `${old.get(name)} → `}${value}`)
    .join(", ");
}

/** Lines in the commands' order; a service that itself stays as it is stands once above what changes in it. */
export function planLines(
  commands: readonly DirectorCommand[],
  services: readonly ServiceListing[],
  timeouts?: Timeouts,
): PlanLine[] {
  const present = new Map(services.map((service) => [serviceKeyText(service.key), service]));
  const lines: PlanLine[] = [];
  let above = "";
  for (const command of commands) {
    if (command.kind === "setTimeouts") lines.push(...timeoutLines(command.timeouts, timeouts));
    if (!("service" in command) || command.service === undefined) continue;
    const key = "key" in command.service ? command.service.key : command.service;
    const text = serviceKeyText(key);
    const actual = present.get(text);
    if ("server" in command && above !== text) lines.push({ mark: " ", depth: 0, text: serviceName(key) });
    above = text;
    lines.push(...lineOf(command, actual));
  }
  return lines;
}

function lineOf(command: DirectorCommand, actual: ServiceListing | undefined): PlanLine[] {
  switch (command.kind) {
    case "addService":
      return [line("+", 0, serviceName(command.service.key), described(serviceValues(command.service)))];
    case "editService": {
      const before = actual === undefined ? undefined : serviceValues(actual);
      return [
        line("~", 0, serviceName(command.service.key), changed(before, serviceValues(command.service))),
      ];
    }
    case "deleteService": {
      const servers = actual?.servers ?? [];
      const gone = servers.map((server) => line("-", 1, server.address));
      return [line("-", 0, serviceName(command.service)), ...gone];
    }
    case "addServer":
      return [line("+", 1, command.server.address, described(serverValues(command.server)))];
    case "editServer": {
      const key = serverKeyText(command.server);
      const server = actual?.servers.find((each) => serverKeyText(each) === key);
      const before = server === undefined ? undefined : serverValues(server);
      return [line("~", 1, command.server.address, changed(before, serverValues(command.server)))];
    }
    case "deleteServer":
      return [line("-", 1, command.server.address)];
    default:
      return [];
  }
}

const line = (mark: Mark, depth: 0 | 1, ...words: string[]): PlanLine => ({
  mark,
  depth,
  text: words.filter((word) => word !== "").join(" "),
});

function timeoutLines(wanted: Timeouts, actual: Timeouts | undefined): PlanLine[] {
  return (["tcp", "tcpfin", "udp"] as const)
    .filter((name) => wanted[name] !== 0)
    .map((name) => {
      const before = actual === undefined ? "" : `${actual[name]} → `;
      return line("~", 0, `timeout ${name} ${before}${wanted[name]}`);
    });
}

const COLOURS: Readonly<Record<Mark, string>> = { "+": "32", "-": "31", "~": "33", " ": "0" };

/** The lines and a last one that counts them; `colour` for terminals. */
export function planText(lines: readonly PlanLine[], colour: boolean): string {
  const paint = (mark: Mark, text: string): string =>
    colour ? `\x1b[${COLOURS[mark]}m${text}\x1b[0m` : text;
  const shown = lines.map(({ mark, depth, text }) => paint(mark, `${mark} ${"  ".repeat(depth)}${text}`));
  const count = (mark: Mark): number => lines.filter((each) => each.mark === mark).length;
  const sum =
    lines.length === 0
      ? "nothing to change"
      : `${shown.length > 0 ? "\n" : ""}${count("+")} to add, ${count("~")} to change, ${count("-")} to delete`;
  return `${[...shown, sum].join("\n")}\n`;
}
