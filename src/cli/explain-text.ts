/** An explanation on a terminal: its words, the headers, the bytes before and after. Pure text. */
import type { Explanation } from "../dataplane/explanation.ts";
import { hexDifference } from "../lab/hexdump.ts";
import type { Style } from "../lab/style.ts";
import type { HeaderDescription } from "../wire/value/field.ts";

/** Lines of what the scheduler asked. */
const LOOKS = 16;

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

function headerLines(header: HeaderDescription, style: Style): string[] {
  const width = Math.max(0, ...header.fields.map((field) => field.name.length));
  return [
    `  ${style.bold(header.name)} ${style.faint(`at ${header.at}, ${header.length} bytes`)}`,
    ...header.fields.map(({ name, value, meaning }) => {
      const told = meaning === "" ? "" : style.faint(`  ${meaning}`);
      return `    ${name.padEnd(width)}  ${value}${told}`;
    }),
  ];
}

/** One line a real server, as long as the scheduler goes on asking about the same one. */
function lookLines({ scheduling }: Explanation, style: Style): string[] {
  if (scheduling === null || scheduling.looks.length === 0) return [];
  const lines: { server: string; asked: string[] }[] = [];
  for (const { server, asked, answer } of scheduling.looks) {
    if (lines.at(-1)?.server !== server) lines.push({ server, asked: [] });
    lines.at(-1)!.asked.push(`${asked} ${answer}`);
  }
  const width = Math.max(...lines.map(({ server }) => server.length));
  const shown = lines
    .slice(0, LOOKS)
    .map(({ server, asked }) => `  ${server.padEnd(width)}  ${asked.join(", ")}`);
  if (lines.length > LOOKS) shown.push(`  … and ${lines.length - LOOKS} more looks`);
  return ["", style.bold("What the scheduler asked, in order"), ...shown];
}

export function explanationText(told: Explanation, style: Style): string {
  const lines = told.words.map((line) => {
    const colon = line.startsWith(" ") ? -1 : line.indexOf(":");
    if (colon < 0) return line;
    const head = line.slice(0, colon);
    const good = told.verdict.name === "Forwarded" ? style.good : style.bad;
    return `${head.startsWith("Verdict") ? good(head) : style.bold(head)}${line.slice(colon)}`;
  });
  lines.push(...lookLines(told, style), "", style.bold("Headers, as read"));
  lines.push(...told.frame.headers.flatMap((header) => headerLines(header, style)));
  const before = bytesOf(told.frame.bytes);
  for (const { what, bytes, changed } of told.sent) {
    const after = bytesOf(bytes);
    lines.push("", style.bold(what === "forwarded" ? "Bytes before and after" : "The answer's bytes"));
    lines.push(...hexDifference(what === "forwarded" ? before : after, after, changed, style));
  }
  if (told.sent.length === 0) {
    lines.push("", style.bold("Bytes"), ...hexDifference(before, before, [], style));
  }
  if (told.notes.length > 0) lines.push("", ...told.notes.map((note) => style.faint(`Note: ${note}`)));
  return `${lines.join("\n")}\n`;
}
