/** From one way to write services down to another. */
import { type Config, ConfigError, parseConfig } from "../../control/config.ts";
import type { NameLookup } from "../endpoint.ts";
import { ConvertError, type Converted, type Note } from "./converted.ts";
import { fromRules } from "./from-rules.ts";
import { fromKeepalived } from "./keepalived.ts";
import { toRules } from "./to-rules.ts";
import { toYaml } from "./to-yaml.ts";

export const FORMATS = ["rules", "yaml", "keepalived"] as const;
export type Format = (typeof FORMATS)[number];

/** What a file is by what it says: the first line that tells decides. */
export function guessFormat(text: string): Format {
  if (/^\s*(virtual_server|virtual_server_group|vrrp_instance|global_defs)\b/m.test(text))
    return "keepalived";
  return /^\s*(ipvsadm\s+)?-(A|a|C|-add-se|-set)/m.test(text) ? "rules" : "yaml";
}

export interface Conversion {
  readonly text: string;
  readonly notes: readonly Note[];
}

/** Throws ConvertError or ConfigError when the input cannot be read. `file` names it in messages. */
export function convert(
  text: string,
  file: string,
  ways: { from: Format; to: "yaml" | "rules" },
  lookup: NameLookup,
): Conversion {
  if (ways.from === "yaml") {
    const config = parseConfig(text, file);
    if (ways.to === "yaml") throw new ConvertError("it is a config file already");
    return { text: toRules(config), notes: lostFromConfig(config, text) };
  }
  const converted = ways.from === "rules" ? fromRules(text, lookup) : fromKeepalived(text);
  const yaml = toYaml(converted);
  const config = checked(yaml, converted);
  return { text: ways.to === "yaml" ? yaml : toRules(config), notes: converted.notes };
}

/** What came out is a config like any other, and is held to the same rules. */
function checked(yaml: string, { services }: Converted): Config {
  try {
    return parseConfig(yaml, "the result");
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const [{ key, message } = { key: "", message: "" }] = error.problems;
    const service = services[Number(/^services\[(\d+)\]/.exec(key)?.[1])];
    const named =
      service === undefined ? "" : ` (${service.address ?? `mark ${service.mark}`} ${service.port ?? ""})`;
    throw new ConvertError(`${key}${named.trimEnd()}: ${message}`);
  }
}

/** Keys of a config that have no rule, by the line where each stands. */
function lostFromConfig(config: Config, text: string): Note[] {
  const lines = text.split("\n");
  const known = ["services", "timeouts"];
  const notes: Note[] = [];
  for (const [index, line] of lines.entries()) {
    const key = /^["']?([A-Za-z]+)["']?\s*:/.exec(line)?.[1];
    if (key !== undefined && key in config && !known.includes(key)) {
      notes.push({ line: index + 1, message: `${key} has no rule and is left out` });
    }
    if (/\bmac["']?\s*:/.test(line) && key === undefined) {
      notes.push({ line: index + 1, message: "a real server's mac has no rule and is left out" });
    }
  }
  return notes;
}
