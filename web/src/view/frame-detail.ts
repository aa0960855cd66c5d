/** One frame: what became of it, its bytes before and after, why, and every field. */
import { h, setText } from "../dom.ts";
import type { Frame } from "../model.ts";
import { t, tOr } from "../text/text.ts";
import { bytesView, changedBytes } from "./bytes.ts";
import { serverClass } from "./colours.ts";
import { factsOf } from "./facts.ts";
import { fieldsView } from "./fields.ts";
import { type Names, whyView } from "./why.ts";

const NARROW_LINE = 620;

export class FrameDetail {
  readonly #host: HTMLElement;
  readonly #names: Names;
  #frame: Frame | undefined;
  #perLine = 0;

  constructor(host: HTMLElement, names: Names) {
    this.#host = host;
    this.#names = names;
    new ResizeObserver(() => {
      if (this.#lineWidth() !== this.#perLine) this.redraw();
    }).observe(host);
  }

  get frame(): Frame | undefined {
    return this.#frame;
  }

  show(frame: Frame | undefined): void {
    this.#frame = frame;
    this.redraw();
  }

  redraw(): void {
    this.#perLine = this.#lineWidth();
    const frame = this.#frame;
    if (frame === undefined) {
      this.#host.replaceChildren(h("p", { class: "note" }, t("frames.pick")));
      return;
    }
    const changed = changedBytes(frame.before, frame.after);
    const bytes = bytesView(frame, this.#perLine);
    const note = changed.size > 0 ? t("detail.bytes.note.forwarded") : t("detail.bytes.note.other");
    this.#host.replaceChildren(
      this.#head(frame, changed.size),
      h(
        "div",
        { class: "detail-block" },
        h("h3", {}, t("detail.bytes")),
        h("p", { class: "note" }, note),
        bytes,
      ),
      h("div", { class: "detail-block" }, h("h3", {}, t("detail.why")), this.#why(frame)),
      h("div", { class: "detail-block" }, h("h3", {}, t("detail.fields")), fieldsView(frame, bytes)),
    );
    for (const table of this.#host.querySelectorAll("table.fields")) {
      const first = table.querySelector<HTMLElement>("tr[data-from]");
      if (first !== null) first.tabIndex = 0;
    }
  }

  #lineWidth(): number {
    return this.#host.clientWidth < NARROW_LINE ? 8 : 16;
  }

  #head(frame: Frame, changed: number): HTMLElement {
    const { what, client, data } = factsOf(frame);
    const server = frame.server;
    const index = server === undefined ? -1 : this.#names.indexOf(server);
    const to =
      server === undefined
        ? undefined
        : h(
            "span",
            { class: `chip ${serverClass(index)}` },
            h("span", { class: "swatch", "aria-hidden": "true" }),
            t(frame.kind === "answer" ? "frame.from" : "frame.to", { name: this.#names.nameOf(server) }),
          );
    const size = t("detail.changed", { changed, total: frame.length });
    const verdict = frame.verdict === undefined ? undefined : h("span", { class: "chip" }, frame.verdict);
    const why = this.#fate(frame);
    return h(
      "div",
      { class: "detail-head" },
      h(
        "p",
        { class: "detail-what" },
        h("strong", {}, what),
        client === "" ? undefined : ` ${client}`,
        data > 0 && h("small", {}, ` ${t("frame.bytes", { count: data })}`),
      ),
      h(
        "p",
        { class: "chips" },
        to,
        verdict,
        h("span", { class: "chip" }, changed > 0 ? size : t("detail.unchanged")),
      ),
      why !== "" && h("p", { class: "detail-fate" }, why),
    );
  }

  #fate(frame: Frame): string {
    const fate = tOr(`fate.why.${frame.fate}`, "");
    if (fate !== "") return fate;
    if (frame.recordedFrom !== undefined)
      return t("detail.answer.recorded", {
        recorded: frame.recordedFrom,
        now: this.#names.nameOf(frame.server ?? ""),
      });
    if (frame.kind === "answer") return t("detail.answer");
    if (frame.kind === "arp") return t("detail.arp");
    return frame.kind === "icmp" ? t("detail.icmp") : "";
  }

  #why(frame: Frame): HTMLElement {
    if (frame.explanation !== undefined) return whyView(frame.explanation, this.#names);
    const text = this.#fate(frame) || t("detail.unexplained");
    const paragraph = h("p", { class: "note" });
    setText(paragraph, text);
    return paragraph;
  }
}
