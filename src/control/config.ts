/**
 * Reads a config file, YAML or JSON (which is YAML). Every error says where it is and what was expected there, and
 * all of them are told at once.
 */
import { type Document, isMap, isPair, isScalar, LineCounter, type Node, parseDocument } from "yaml";
import type { z } from "zod";
import { complaints } from "./config-rules.ts";
import { type Config, configSchema } from "./config-schema.ts";

export type { Config, MarkConfig, ServerConfig, ServiceConfig, VipConfig } from "./config-schema.ts";

export interface ConfigProblem {
  /** From 1. */
  readonly line: number;
  readonly column: number;
  /** "services[0].port"; empty for the file as a whole. */
  readonly key: string;
  /** A sentence without its end: "expected an integer, found \"http\"". */
  readonly message: string;
}

export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly file: string;
  readonly problems: readonly ConfigProblem[];

  constructor(file: string, problems: readonly ConfigProblem[]) {
    super(problems.map((problem) => formatProblem(file, problem)).join("\n"));
    this.file = file;
    this.problems = problems;
  }
}

/** "director.yaml:7:11: services[0].port: expected …", as compilers print and editors read it. */
export function formatProblem(file: string, { line, column, key, message }: ConfigProblem): string {
  return `${file}:${line}:${column}: ${key === "" ? "" : `${key}: `}${message}`;
}

type Path = readonly PropertyKey[];

/**
 * Turns a file's text into a whole config with its defaults filled in; throws ConfigError with every problem. Only
 * with `schedulers`, the names that exist, are the services' schedulers looked at.
 */
export function parseConfig(text: string, file: string, schedulers?: readonly string[]): Config {
  refuseOtherEncodings(text, file);
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: true,
    version: "1.2",
  });
  if (document.errors.length > 0) {
    throw new ConfigError(
      file,
      document.errors.map((error) => {
        const { line, col } = lines.linePos(error.pos[0]);
        return { line, column: col, key: "", message: error.message };
      }),
    );
  }
  const value = plainValue(document, file);
  const place = (path: Path, ofKey = false): Pick<ConfigProblem, "line" | "column" | "key"> => {
    const { line, col } = lines.linePos(offsetOf(document, path, ofKey));
    return { line, column: col, key: keyText(path) };
  };
  const parsed = configSchema.safeParse(value);
  const problems = parsed.success
    ? [...complaints(parsed.data, schedulers)].map(({ path, expected }) => ({
        ...place(path),
        message: `expected ${expected}`,
      }))
    : parsed.error.issues.flatMap((issue) =>
        describeIssue(issue, value).map((found) => ({
          ...place(found.path, found.ofKey),
          message: found.message,
        })),
      );
  if (problems.length > 0 || !parsed.success) {
    throw new ConfigError(
      file,
      problems.sort((a, b) => a.line - b.line || a.column - b.column),
    );
  }
  return parsed.data;
}

/** What was read of bytes that are no UTF-8 stands as U+FFFD: such a name would be looked for and never found. */
function refuseOtherEncodings(text: string, file: string): void {
  const before = text.slice(0, text.indexOf("\uFFFD") + 1).split("\n");
  if (before[0] === "") return;
  const place = { line: before.length, column: before.at(-1)!.length, key: "" };
  throw new ConfigError(file, [{ ...place, message: "expected UTF-8, found a byte that is none" }]);
}

function plainValue(document: Document.Parsed, file: string): unknown {
  try {
    return document.toJS() ?? {};
  } catch (error) {
    // An alias that refers to nothing, or aliases of aliases that would fill the memory.
    throw new ConfigError(file, [{ line: 1, column: 1, key: "", message: (error as Error).message }]);
  }
}

/** The config of no file: every default. */
export function defaultConfig(): Config {
  return configSchema.parse({});
}

function keyText(path: Path): string {
  return path
    .map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`))
    .join("")
    .replace(/^\./, "");
}

/** Where the value of `path` begins (or its key); of a missing one, where the thing begins that should have it. */
function offsetOf(document: Document.Parsed, path: Path, ofKey: boolean): number {
  const last = path[path.length - 1];
  const parent = document.getIn(path.slice(0, -1), true);
  const node = document.getIn(path, true) as Node | undefined;
  const empty = isScalar(node) && node.value === null;
  if (node?.range != null && !empty && !ofKey) return node.range[0];
  if (isMap(parent)) {
    const pair = parent.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === last);
    if (isScalar(pair?.key) && pair.key.range != null) return pair.key.range[0];
  }
  if (path.length > 0) return offsetOf(document, path.slice(0, -1), false);
  return 0;
}

/** As `document.getIn`, but on the plain value. */
function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (at, part) => (at === null || at === undefined ? undefined : (at as Record<PropertyKey, unknown>)[part]),
    value,
  );
}

function show(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "an empty value";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping";
  return JSON.stringify(value);
}

const TYPES: Readonly<Record<string, string>> = {
  object: "a mapping of keys",
  record: "a mapping of keys",
  array: "a list",
  string: "text",
  number: "a number",
  int: "an integer",
  boolean: "true or false",
};

function expectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return TYPES[issue.expected] ?? issue.expected;
    case "invalid_value":
      return `one of ${issue.values.map(String).join(", ")}`;
    case "too_small":
      return issue.origin === "string" ? `at least ${issue.minimum} characters` : `${issue.minimum} or more`;
    case "too_big":
      return issue.origin === "string"
        ? `at the most ${issue.maximum} characters`
        : `${issue.maximum} or less`;
    default:
      return issue.message;
  }
}

interface Finding {
  readonly path: Path;
  readonly message: string;
  /** The complaint is about the key itself, not about its value. */
  readonly ofKey: boolean;
}

function describeIssue(issue: z.core.$ZodIssue, value: unknown): Finding[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      path: [...issue.path, key],
      message: `unknown key, expected one of ${knownKeys(issue.path).join(", ")}`,
      ofKey: true,
    }));
  }
  const found = show(valueAt(value, issue.path));
  return [{ path: issue.path, message: `expected ${expectation(issue)}, found ${found}`, ofKey: false }];
}

/** The keys that the schema has at a path. */
function knownKeys(path: Path): readonly string[] {
  let schema: unknown = configSchema;
  for (const part of [...path, undefined]) {
    schema = unwrap(schema);
    if (part === undefined) break;
    const inner = schema as { shape?: Record<string, unknown>; element?: unknown };
    schema = typeof part === "number" ? inner.element : inner.shape?.[String(part)];
  }
  return Object.keys((schema as { shape?: object } | undefined)?.shape ?? {});
}

/** Takes defaults and optionals off a schema. */
function unwrap(schema: unknown): unknown {
  let at = schema as { def?: { innerType?: unknown } } | undefined;
  while (at?.def?.innerType !== undefined) at = at.def.innerType as typeof at;
  return at;
}
