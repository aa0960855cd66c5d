import type { DirectorCommand, IpvsadmCommand } from "../control/model.ts";
import type { NameLookup } from "./endpoint.ts";
import { parseIpvsadm } from "./ipvsadm-grammar.ts";
import { refusal } from "./ipvsadm-refusal.ts";
import { UsageError } from "./usage-error.ts";

/** Rules: command lines one a line, as `ipvsadm -S -n` prints them and `ipvsadm -R` reads them. */

/**
 * The words of a line as --restore splits it: at blanks, tabs and carriage returns, without quoting; the word
 * "ipvsadm" may stand anywhere and means nothing.
 */
export function ruleWords(line: string): string[] {
  const end = line.indexOf("\0");
  return (end < 0 ? line : line.slice(0, end))
    .split(/[ \t\r\n]+/)
    .filter((word) => word !== "" && word !== "ipvsadm");
}

/** A rule and where it stands; lines count from 1. */
export interface Rule {
  line: number;
  command: RuleCommand;
}

export interface RuleError {
  line: number;
  message: string;
}

/** The commands that make sense in rules: those that change something. */
export type RuleCommand = Exclude<DirectorCommand, { kind: "list" | "save" }>;

export interface Rules {
  rules: Rule[];
  errors: RuleError[];
}

/**
 * Reads a rules file. Unlike --restore, which gives up at the first line it cannot read, this tells all errors;
 * and as ipvsadm-restore does, it skips lines that begin with "#". What this director cannot do (-m, -i) is an
 * error of its line.
 */
export function parseRules(text: string, lookup: NameLookup): Rules {
  const result: Rules = { rules: [], errors: [] };
  for (const [index, line] of text.split("\n").entries()) {
    if (line.startsWith("#")) continue;
    const words = ruleWords(line);
    if (words.length === 0) continue;
    try {
      result.rules.push({ line: index + 1, command: changeOf(parseIpvsadm(words, lookup)) });
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      result.errors.push({ line: index + 1, message: error.message.trimEnd() });
    }
  }
  return result;
}

/** The command if it changes something this director has; else a UsageError. */
function changeOf(command: IpvsadmCommand): RuleCommand {
  const reason = refusal(command);
  if (reason !== null) throw new UsageError(reason);
  if (isChange(command)) return command;
  throw new UsageError(`a rules file holds changes only: \`${command.kind}' does not belong in it`);
}

/** Whether a command changes the director (and so may go into a batch of changes). */
export function isChange(command: IpvsadmCommand): command is RuleCommand {
  switch (command.kind) {
    case "list":
    case "save":
    case "restore":
    case "help":
    case "version":
    case "startDaemon":
    case "stopDaemon":
      return false;
    default:
      return true;
  }
}
