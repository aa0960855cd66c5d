/** Every header field of a frame: what it is called, what it says, what it means, and whether it changed. */

import type { Field, HeaderDescription } from "../../../src/wire/value/field.ts";
import { describeFrame } from "../../../src/wire/value/frame.ts";
import { h } from "../dom.ts";
import type { Frame, FrameKind } from "../model.ts";
import { currentLanguage, t, tOr } from "../text/text.ts";

export function fieldsView({ before, after, kind }: Frame, bytes: HTMLElement): HTMLElement {
  const headers = describeFrame(before);
  const went = after === undefined ? [] : describeFrame(after);
  const tables = headers.map((header, i) => headerTable(header, went[i], kind));
  const view = h("div", { class: "headers" }, ...tables);
  const light = (event: Event): void => mark(bytes, view, event.target as HTMLElement);
  view.addEventListener("mouseover", light);
  view.addEventListener("focusin", light);
  view.addEventListener("mouseleave", () => mark(bytes, view, undefined));
  bytes.addEventListener("mouseover", (event) => markField(view, bytes, event.target as HTMLElement));
  bytes.addEventListener("mouseleave", () => mark(bytes, view, undefined));
  view.addEventListener("keydown", walk);
  return view;
}

function headerTable(
  header: HeaderDescription,
  went: HeaderDescription | undefined,
  kind: FrameKind,
): HTMLElement {
  const name = header.name.replaceAll(" ", "-");
  const others = new Map(went?.fields.map((field) => [field.key, field.value]));
  const rows = header.fields.map((field) => row(field, others.get(field.key), kind));
  const changed = header.fields.some((field) => differs(field, others.get(field.key)));
  const folded = header.name === "data" || header.name === "padding";
  const table = h(
    "table",
    { class: "fields" },
    h("colgroup", {}, h("col", { class: "col-field" }), h("col", { class: "col-value" }), h("col")),
    h(
      "thead",
      { class: "hidden" },
      h(
        "tr",
        {},
        h("th", { scope: "col" }, t("detail.field")),
        h("th", { scope: "col" }, t("detail.value")),
        h("th", { scope: "col" }, t("detail.meaning")),
      ),
    ),
    h("tbody", {}, ...rows),
  );
  return h(
    "details",
    { class: `header in-${name}`, open: !folded },
    h(
      "summary",
      {},
      h("span", { class: "header-name" }, tOr(`header.${header.name}`, header.name)),
      changed && h("span", { class: "badge" }, t("detail.field.changed")),
      h("span", { class: "header-place" }, `${header.at}–${header.at + header.length - 1}`),
    ),
    table,
  );
}

function differs(field: Field, other: string | undefined): boolean {
  return other !== undefined && other !== field.value;
}

function row(field: Field, other: string | undefined, kind: FrameKind): HTMLElement {
  const changed = differs(field, other);
  const value = changed
    ? [
        h("span", { class: "value-came" }, field.value),
        h("span", { class: "value-arrow" }, " → "),
        h("strong", { class: "value-went" }, other),
      ]
    : [field.value];
  return h(
    "tr",
    {
      tabindex: -1,
      class: changed ? "changed" : undefined,
      "data-from": field.at,
      "data-to": field.at + field.length,
    },
    h("th", { scope: "row" }, tOr(`field.${field.key}`, field.name)),
    h("td", { class: "value" }, ...value),
    h("td", { class: "meaning" }, meaningOf(field, kind)),
  );
}

/** The page's own sentence on a field, where it has one, with what the value says in it; else just the latter. */
function meaningOf(field: Field, kind: FrameKind): string {
  const plain = currentLanguage() === "en" || !/[a-z]{3}/.test(field.meaning);
  const meaning = tOr(`mean.${field.meaning}`, plain ? field.meaning : "");
  const header = /^(?:header of )?(\d+) bytes$/.exec(field.meaning);
  if (header !== null) return t("mean.header", { count: header[1]! });
  const exact = tOr(`say.${field.key}.${field.value}`, "");
  if (exact !== "") return exact;
  if (kind === "request") return tOr(`say.${field.key}`, meaning, { meaning });
  return kind === "answer" ? tOr(`say.answer.${field.key}`, meaning, { meaning }) : meaning;
}

function mark(bytes: HTMLElement, view: HTMLElement, target: HTMLElement | undefined): void {
  const field = target?.closest<HTMLElement>("tr[data-from]");
  const from = Number(field?.dataset.from ?? -1);
  const to = Number(field?.dataset.to ?? -1);
  for (const cell of bytes.querySelectorAll<HTMLElement>("[data-at]")) {
    const at = Number(cell.dataset.at);
    cell.classList.toggle("lit", at >= from && at < to);
  }
  for (const other of view.querySelectorAll("tr.lit")) other.classList.remove("lit");
}

function markField(view: HTMLElement, bytes: HTMLElement, target: HTMLElement): void {
  const at = Number(target.dataset.at ?? -1);
  const rows = [...view.querySelectorAll<HTMLElement>("tr[data-from]")];
  const row = rows.find((each) => at >= Number(each.dataset.from) && at < Number(each.dataset.to));
  mark(bytes, view, row);
  row?.classList.add("lit");
}

/** The first row of each table can be reached; from there the arrow keys go on. */
function walk(event: KeyboardEvent): void {
  const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
  const from = (event.target as HTMLElement).closest<HTMLElement>("tr[data-from]");
  if (step === 0 || from === null) return;
  const rows = [...(event.currentTarget as HTMLElement).querySelectorAll<HTMLElement>("tr[data-from]")];
  const next = rows[rows.indexOf(from) + step];
  if (next === undefined) return;
  event.preventDefault();
  next.focus();
}
