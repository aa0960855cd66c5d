/** A frame's bytes before and after, a line of sixteen (or eight) at a time; a line that changed stands twice. */

import type { HeaderDescription } from "../../../src/wire/value/field.ts";
import { describeFrame } from "../../../src/wire/value/frame.ts";
import { h } from "../dom.ts";
import type { Frame } from "../model.ts";
import { n, t } from "../text/text.ts";

const SHOWN = 160;

/** Offsets at which the two differ; all of `after` beyond `before` counts. */
export function changedBytes(before: Uint8Array, after: Uint8Array | undefined): Set<number> {
  const changed = new Set<number>();
  if (after === undefined) return changed;
  for (let at = 0; at < Math.max(before.length, after.length); at++) {
    if (before[at] !== after[at]) changed.add(at);
  }
  return changed;
}

/** "0–5, 8" */
export function rangesText(offsets: ReadonlySet<number>): string {
  const sorted = [...offsets].sort((a, b) => a - b);
  const ranges: string[] = [];
  for (let i = 0; i < sorted.length; i++) {
    const first = sorted[i]!;
    while (i + 1 < sorted.length && sorted[i + 1] === sorted[i]! + 1) i++;
    ranges.push(first === sorted[i] ? `${first}` : `${first}–${sorted[i]}`);
  }
  return ranges.join(", ");
}

function headerAt(headers: readonly HeaderDescription[], at: number): number {
  return headers.findIndex((header) => at >= header.at && at < header.at + header.length);
}

export function bytesView({ before, after, length: total }: Frame, perLine: number): HTMLElement {
  const headers = describeFrame(before);
  const changed = changedBytes(before, after);
  const label =
    changed.size === 0
      ? t("detail.bytes.label.none", { total })
      : t("detail.bytes.label", { total, ranges: rangesText(changed) });
  const shown = Math.min(before.length, SHOWN);
  const lines: HTMLElement[] = [];
  for (let at = 0; at < shown; at += perLine) {
    const end = Math.min(shown, at + perLine);
    let differs = false;
    for (let i = at; i < end; i++) differs ||= changed.has(i);
    if (differs && after !== undefined) {
      lines.push(line(before, at, end, t("detail.came"), "came", headers, changed));
      lines.push(line(after, at, end, t("detail.went"), "went", headers, changed));
    } else {
      lines.push(line(before, at, end, "", "same", headers, changed));
    }
  }
  const more =
    total > shown ? [h("p", { class: "note" }, t("detail.more", { count: n(total - shown) }))] : [];
  // To a screen reader the dump is one picture; what it says stands field by field in the table below.
  const dump = h("div", { class: "bytes", role: "img", "aria-label": label }, ...lines);
  return h("div", {}, dump, ...more);
}

function line(
  bytes: Uint8Array,
  from: number,
  end: number,
  label: string,
  kind: "came" | "went" | "same",
  headers: readonly HeaderDescription[],
  changed: ReadonlySet<number>,
): HTMLElement {
  const cells: HTMLElement[] = [];
  for (let at = from; at < end; at++) {
    const header = headers[headerAt(headers, at)];
    const name = header === undefined ? "data" : header.name.replaceAll(" ", "-");
    const marked = kind !== "same" && changed.has(at);
    const half = (at - from) % 8 === 0 && at !== from ? " gap" : "";
    cells.push(
      h(
        "span",
        { class: `byte in-${name}${marked ? ` changed-${kind}` : ""}${half}`, "data-at": at },
        bytes[at]!.toString(16).padStart(2, "0"),
      ),
    );
  }
  return h(
    "div",
    { class: `bytes-line bytes-${kind}` },
    h("span", { class: "bytes-label" }, label),
    h("span", { class: "bytes-offset" }, from.toString(16).padStart(4, "0")),
    h("span", { class: "bytes-cells" }, ...cells),
  );
}
