import type { DirectorCommand, IpvsadmCommand, ServiceListing } from "../control/model.ts";
import {
  type DirectorClient,
  DirectorUnreachable,
  type ListAnswer,
  type ListCommand,
} from "./director-client.ts";
import type { NameLookup } from "./endpoint.ts";
import { errorMessage } from "./ipvsadm-errors.ts";
import {
  connectionLine,
  connectionsHeader,
  type NameWriter,
  NUMERIC,
  saveLines,
  serviceLines,
  servicesHeader,
  timeoutsLine,
} from "./ipvsadm-format.ts";
import { PLAIN_FORMAT, parseIpvsadm } from "./ipvsadm-grammar.ts";
import { refusal } from "./ipvsadm-refusal.ts";
import { bucketOrder, sortServers, sortServices } from "./ipvsadm-sort.ts";
import { isChange, ruleWords } from "./rules.ts";
import { EXIT_REFUSED, EXIT_USAGE, TRY_HELP, UsageError } from "./usage-error.ts";

/** What running a command line needs of the world. */
export interface Surroundings {
  director: DirectorClient;
  /** Runs a parser that looks names up; it may be called again once names it asked for are known. */
  withLookup<T>(parse: (lookup: NameLookup) => T): Promise<T>;
  /** Names for these addresses (all that a piece of listing holds), for listings without -n. */
  namesFor(addresses: Iterable<string>): Promise<NameWriter>;
  /** Resolves when more may be written. */
  print(text: string): Promise<void>;
  complain(text: string): void;
  /** Lines of standard input, for --restore. */
  lines(): AsyncIterable<string>;
  help(): string;
  version(): string;
}

/** A list that fails exits with 1, unlike everything else. */
const EXIT_NO_LIST = 1;
/** Changes of a --restore that go in one request. */
const BATCH = 25_000;
/** Rows formatted before they are written. */
const CHUNK = 65_536;

/** Stops everything with this code; the message has been printed. */
class Exit extends Error {
  readonly code: number;
  constructor(code: number) {
    super();
    this.code = code;
  }
}

/** Runs a command line; the exit code. Everything is printed as ipvsadm prints it. */
export async function runIpvsadm(argv: readonly string[], world: Surroundings): Promise<number> {
  try {
    const command = await read(argv, world);
    if (command.kind === "restore") return await restore(world);
    return isChange(command) ? await change(command, world) : await show(command, world);
  } catch (error) {
    if (error instanceof Exit) return error.code;
    if (error instanceof UsageError) {
      world.complain(`${error.message}\n`);
      return error.exitCode;
    }
    if (error instanceof DirectorUnreachable) {
      world.complain(`${error.message}\n`);
      return EXIT_USAGE;
    }
    throw error;
  }
}

async function read(argv: readonly string[], world: Surroundings): Promise<IpvsadmCommand> {
  const command = await world.withLookup((lookup) => parseIpvsadm(argv, lookup));
  const reason = refusal(command);
  // in a --restore the rest is still worth having, as when a kernel lacks something
  if (reason !== null) throw new UsageError(reason, EXIT_USAGE, true);
  return command;
}

async function change(command: DirectorCommand, world: Surroundings): Promise<number> {
  const [error] = await world.director.change([command]);
  if (error === null || error === undefined) return 0;
  world.complain(`${errorMessage(command.kind, error)}\n`);
  return EXIT_REFUSED;
}

/**
 * Lines of standard input, each a command. A line that the director refuses is complained of and the next one
 * follows, as does one with an option popt does not know; any other bad line ends it. The exit code is the last
 * line's, as with ipvsadm; but if a line asked for what this director cannot do, it is never 0.
 */
async function restore(world: Surroundings): Promise<number> {
  const pending: DirectorCommand[] = [];
  let code = 0;
  let unsupported = false;
  const flush = async (): Promise<void> => {
    if (pending.length === 0) return;
    const errors = await world.director.change(pending);
    for (const [i, error] of errors.entries()) {
      if (error !== null) world.complain(`${errorMessage(pending[i]!.kind, error)}\n`);
    }
    code = errors.at(-1) === null ? 0 : EXIT_REFUSED;
    pending.length = 0;
  };
  for await (const line of world.lines()) {
    const words = ruleWords(line);
    if (words.length === 0) continue;
    let command: IpvsadmCommand;
    try {
      command = await read(words, world);
      // a --restore within a --restore
      if (command.kind === "restore") throw new UsageError(TRY_HELP, EXIT_REFUSED);
    } catch (error) {
      await flush();
      if (!(error instanceof UsageError) || !error.goesOn) throw error;
      world.complain(`${error.message}\n`);
      code = error.exitCode;
      unsupported ||= code === EXIT_USAGE;
      continue;
    }
    if (isChange(command)) {
      pending.push(command);
      if (pending.length >= BATCH) await flush();
      continue;
    }
    await flush();
    code = await show(command, world);
    if (code !== 0 || command.kind === "help" || command.kind === "version") return code;
  }
  await flush();
  return code === 0 && unsupported ? EXIT_USAGE : code;
}

async function show(command: IpvsadmCommand, world: Surroundings): Promise<number> {
  if (command.kind === "help") await world.print(world.help());
  else if (command.kind === "version") await world.print(world.version());
  else if (command.kind === "list" || command.kind === "save") return list(command, world);
  return 0;
}

async function list(command: ListCommand, world: Surroundings): Promise<number> {
  const answer = await world.director.list(command);
  switch (answer.kind) {
    case "error":
      world.complain(`${errorMessage(command.kind, answer.error)}\n`);
      return EXIT_NO_LIST;
    case "timeouts":
      await world.print(timeoutsLine(answer.timeouts));
      return 0;
    case "daemons":
      return 0;
    case "connections":
      await printConnections(answer, command, world);
      return 0;
    case "services":
      await printServices(answer, command, world);
      return 0;
  }
}

type Answer<Kind> = Extract<ListAnswer, { kind: Kind }>;

async function printServices(
  answer: Answer<"services">,
  command: ListCommand,
  world: Surroundings,
): Promise<void> {
  const format = command.kind === "save" ? { ...PLAIN_FORMAT, numeric: command.numeric } : command.format;
  const one = command.kind === "list" && command.service !== undefined;
  const services: ServiceListing[] = [];
  for await (const service of answer.services) services.push(service);
  if (command.kind === "list") await world.print(servicesHeader(format.columns, one ? null : answer.info));
  const rows = format.nosort ? bucketOrder(services) : sortServices(services);
  let text = "";
  for (const service of rows) {
    const row = format.nosort ? service : { ...service, servers: sortServers(service.servers) };
    const names = format.numeric ? NUMERIC : await world.namesFor(addressesOf(row));
    text += command.kind === "save" ? saveLines(row, names) : serviceLines(row, format, names);
    if (text.length >= CHUNK) {
      await world.print(text);
      text = "";
    }
  }
  await world.print(text);
}

function* addressesOf(service: ServiceListing): Iterable<string> {
  if (service.key.protocol !== "fwm") yield service.key.address;
  for (const server of service.servers) yield server.address;
}

async function printConnections(
  answer: Answer<"connections">,
  command: ListCommand,
  world: Surroundings,
): Promise<void> {
  const format = command.kind === "save" ? PLAIN_FORMAT : command.format;
  let text = connectionsHeader(format.columns);
  for await (const entry of answer.connections) {
    const names = format.numeric
      ? NUMERIC
      : await world.namesFor([entry.client, entry.virtual, entry.server]);
    text += connectionLine(entry, format.columns, names);
    if (text.length >= CHUNK) {
      await world.print(text);
      text = "";
    }
  }
  await world.print(text);
}
