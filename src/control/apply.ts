/** Carries a config's services out as a difference, and says in words what was refused. */
import { schedulerNames } from "../schedulers/registry.ts";
import type { Commands } from "./commands.ts";
import type { Config } from "./config.ts";
import { desiredOf, difference } from "./difference.ts";
import type { CommandError, CommandExecutor, DirectorCommand, ServiceKey, ServiceListing } from "./model.ts";

/** A command of a config or rules file that the director refused. */
export interface Refused {
  readonly command: DirectorCommand;
  readonly error: CommandError;
}

/** The commands that lead from how things are to what the config says. */
export function planConfig(commands: Commands, config: Config): DirectorCommand[] {
  const listing = commands.list("services");
  const services: ServiceListing[] = listing.kind === "services" ? [...listing.services] : [];
  return difference({ services, timeouts: commands.timeouts() }, desiredOf(config));
}

/** Carries commands out one by one, going on after a refusal. */
export function carryOut(executor: CommandExecutor, commands: readonly DirectorCommand[]): Refused[] {
  const refused: Refused[] = [];
  for (const command of commands) {
    const result = executor.execute(command);
    if (!result.ok) refused.push({ command, error: result.error });
  }
  return refused;
}

function serviceOf(command: DirectorCommand): ServiceKey | undefined {
  if (!("service" in command) || command.service === undefined) return undefined;
  return "key" in command.service ? command.service.key : command.service;
}

/** A sentence about what could not be done, for the one who wrote the file. */
export function refusalText({ command, error }: Refused): string {
  const key = serviceOf(command);
  const at = key?.address.includes(":") ? `[${key.address}]` : key?.address;
  const service =
    key === undefined
      ? ""
      : key.protocol === "fwm"
        ? ` fwm ${key.mark}`
        : ` ${key.protocol} ${at}:${key.port}`;
  const server = "server" in command ? ` server ${command.server.address}` : "";
  const hint = error.message.includes("no scheduler") ? ` (known: ${schedulerNames().join(", ")})` : "";
  return `${command.kind}${service}${server}: ${error.message}${hint}`;
}
