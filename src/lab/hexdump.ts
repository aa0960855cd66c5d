/** Two frames as hex, one above the other, with the bytes that differ marked. */
import type { Style } from "./style.ts";

const ROW = 16;

function row(bytes: Uint8Array, at: number, changed: ReadonlySet<number>, style: Style): string {
  const words: string[] = [];
  for (let i = at; i < at + ROW; i++) {
    const text = i < bytes.length ? bytes[i]!.toString(16).padStart(2, "0") : "  ";
    words.push(changed.has(i) && i < bytes.length ? style.marked(text) : text);
  }
  return `${at.toString(16).padStart(4, "0")}  ${words.slice(0, 8).join(" ")}  ${words.slice(8).join(" ")}`;
}

/** A line of carets under the bytes that changed; empty when none in this row did. */
function carets(at: number, changed: ReadonlySet<number>): string {
  const marks = Array.from({ length: ROW }, (_, i) => (changed.has(at + i) ? "^^" : "  "));
  return `      ${marks.slice(0, 8).join(" ")}  ${marks.slice(8).join(" ")}`.trimEnd();
}

/** Rows of `before` and `after` where something changed; the equal rest once. */
export function hexDifference(
  before: Uint8Array,
  after: Uint8Array,
  changedAt: readonly number[],
  style: Style,
): string[] {
  const changed = new Set(changedAt);
  const lines: string[] = [];
  const length = Math.max(before.length, after.length);
  for (let at = 0; at < length; at += ROW) {
    const differs = changedAt.some((i) => i >= at && i < at + ROW);
    if (!differs) {
      lines.push(`  both    ${style.faint(row(after, at, changed, style))}`);
      continue;
    }
    lines.push(`  before  ${row(before, at, changed, style)}`, `  after   ${row(after, at, changed, style)}`);
    lines.push(`          ${style.faint(carets(at, changed))}`);
  }
  return lines;
}
