import { SchedulerFlag } from "../control/model.ts";
import { OPTION_NAMES, type OptionName, type Rules } from "./ipvsadm-options.ts";
import { UsageError } from "./usage-error.ts";

/** Options against a table of rules: the first one missing, out of place or doubled is complained of. */
export function checkRules(rules: Rules, seen: ReadonlySet<OptionName>, owner: string, what: string): void {
  let only: OptionName | null = null;
  for (const name of OPTION_NAMES) {
    if (what !== "command" && !(name.startsWith("tun-") && name !== "tun-type" && name !== "tun-info"))
      continue;
    if (!seen.has(name)) {
      if (!rules.required.includes(name)) continue;
      throw new UsageError(`You need to supply the '${name}' option for the '${owner}' ${what}`);
    }
    if (rules.exclusive.includes(name)) {
      if (only !== null) {
        throw new UsageError(
          `The option '${name}' conflicts with the '${only}' option in the '${owner}' ${what}`,
        );
      }
      only = name;
    } else if (!rules.allowed.includes(name) && !rules.required.includes(name)) {
      throw new UsageError(`Illegal '${name}' option with the '${owner}' ${what}`);
    }
  }
}

/** Flag names: those of one scheduler are refused with another, flag-1 to flag-3 go with any. */
const FLAG_NAMES: Readonly<Record<string, { scheduler?: string; bit: number }>> = {
  "flag-1": { bit: SchedulerFlag.First },
  "flag-2": { bit: SchedulerFlag.Second },
  "flag-3": { bit: SchedulerFlag.Third },
  "sh-fallback": { scheduler: "sh", bit: SchedulerFlag.First },
  "sh-port": { scheduler: "sh", bit: SchedulerFlag.Second },
  "mh-fallback": { scheduler: "mh", bit: SchedulerFlag.First },
  "mh-port": { scheduler: "mh", bit: SchedulerFlag.Second },
};

export function readFlags(text: string, scheduler: string): number {
  const names = text.split(",").filter((name) => name !== "");
  // ipvsadm itself crashes on "," alone
  if (text !== "" && names.length === 0) throw new UsageError(`invalid scheduler flag \`${text}'`);
  let flags = 0;
  for (const name of names) {
    const flag = Object.hasOwn(FLAG_NAMES, name) ? FLAG_NAMES[name] : undefined;
    if (flag === undefined) throw new UsageError(`invalid scheduler flag \`${name}'`);
    if (flag.scheduler !== undefined && flag.scheduler !== scheduler) {
      throw new UsageError(`incompatible scheduler flag \`${name}'`);
    }
    flags |= flag.bit;
  }
  return flags;
}
