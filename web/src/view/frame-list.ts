/** The latest frames. It follows while nobody has picked one; then it stands still until told to follow again. */
import { h, setText } from "../dom.ts";
import type { Frame } from "../model.ts";
import { n, t, tOr } from "../text/text.ts";
import { serverClass } from "./colours.ts";
import { ending, factsOf } from "./facts.ts";

const KEPT = 60;
const DRAW_MS = 150;
/** Characters of a real server's name that have room beside what the frame is. */
const NAME = 15;

export class FrameList {
  /** Of a frame's seconds. */
  decimals = 2;
  onPick: (frame: Frame) => void = () => {};
  readonly #list = h("ul", { class: "frame-rows" });
  readonly #follow = h("button", {
    type: "button",
    class: "follow",
    hidden: true,
    onclick: () => this.follow(),
  });
  readonly #empty = h("p", { class: "note" });
  readonly #indexOf: (address: string) => number;
  readonly #nameOf: (address: string) => string;
  #frames: Frame[] = [];
  #shown: Frame[] = [];
  #picked: Frame | undefined;
  #rows = new Map<number, HTMLElement>();
  #newer = 0;
  /** The first frame's time: seconds are counted from there. */
  #begin = Number.NaN;
  #held = false;
  #dirty = false;
  #drawnAt = 0;

  constructor(host: HTMLElement, indexOf: (address: string) => number, nameOf: (address: string) => string) {
    this.#indexOf = indexOf;
    this.#nameOf = nameOf;
    host.append(this.#follow, this.#list, this.#empty);
    this.#list.addEventListener("keydown", (event) => this.#key(event));
    this.words();
  }

  words(): void {
    this.#list.setAttribute("aria-label", t("frames.list"));
    setText(this.#empty, t("frames.none"));
    this.#rows.clear();
    this.#list.replaceChildren();
    this.#draw();
  }

  get picked(): Frame | undefined {
    return this.#picked;
  }

  clear(): void {
    this.#frames = [];
    this.#begin = Number.NaN;
    this.#picked = undefined;
    this.follow();
  }

  add(frame: Frame): void {
    if (Number.isNaN(this.#begin)) this.#begin = frame.time;
    this.#frames.unshift(frame);
    if (this.#frames.length > KEPT) this.#frames.length = KEPT;
    if (this.#held) this.#newer++;
    this.#dirty = true;
  }

  /** Draws what has come since, but not more often than can be read. */
  refresh(now: number): void {
    if (!this.#dirty || now - this.#drawnAt < DRAW_MS) return;
    this.#drawnAt = now;
    this.#draw();
  }

  /** Marks a frame as the one that is explained; `hold` keeps the list from moving on. */
  pick(frame: Frame, hold: boolean): void {
    this.#picked = frame;
    if (hold && !this.#held) {
      this.#held = true;
      this.#newer = 0;
    }
    this.#draw();
  }

  follow(): void {
    this.#held = false;
    this.#newer = 0;
    this.#draw();
  }

  #draw(): void {
    this.#dirty = false;
    if (!this.#held) this.#shown = [...this.#frames];
    this.#empty.hidden = this.#shown.length > 0;
    this.#follow.hidden = !this.#held;
    setText(
      this.#follow,
      this.#newer === 0 ? t("frames.follow") : t("frames.follow.newer", { count: n(this.#newer) }),
    );
    this.#place();
  }

  /** Rows that are there already stay where they are, so that focus and pointer keep what they are on. */
  #place(): void {
    const rows = new Map<number, HTMLElement>();
    this.#shown.forEach((frame, i) => {
      const row = this.#rows.get(frame.id) ?? this.#row(frame);
      rows.set(frame.id, row);
      row.firstElementChild!.setAttribute("aria-pressed", String(frame.id === this.#picked?.id));
      if (this.#list.children[i] !== row) this.#list.insertBefore(row, this.#list.children[i] ?? null);
    });
    while (this.#list.children.length > this.#shown.length) this.#list.lastElementChild!.remove();
    this.#rows = rows;
  }

  #row(frame: Frame): HTMLElement {
    const { what, client, data } = factsOf(frame);
    const choose = (): void => {
      this.pick(frame, true);
      this.onPick(frame);
    };
    const server = frame.server === undefined ? "" : ending(this.#nameOf(frame.server), NAME);
    const button = h(
      "button",
      {
        type: "button",
        class: `frame-row frame-${frame.kind} ${serverClass(frame.server === undefined ? -1 : this.#indexOf(frame.server))}`,
        "data-frame": frame.id,
        onclick: choose,
      },
      h("span", { class: "frame-time" }, ((frame.time - this.#begin) / 1000).toFixed(this.decimals)),
      h("span", { class: `frame-mark ${frame.opens ? "opens" : ""}`, "aria-hidden": "true" }),
      h(
        "span",
        { class: "frame-what" },
        what,
        data > 0 && h("small", {}, ` ${data} B`),
        frame.late && h("small", {}, ` ${t("frame.late")}`),
      ),
      h("span", { class: "frame-client" }, client),
      h("span", { class: "frame-end" }, endText(frame, server)),
    );
    return h("li", {}, button);
  }

  #key(event: KeyboardEvent): void {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step === 0) return;
    const rows = [...this.#list.querySelectorAll<HTMLElement>("[data-frame]")];
    const next = rows[rows.indexOf(document.activeElement as HTMLElement) + step];
    if (next === undefined) return;
    event.preventDefault();
    next.focus();
  }
}

function endText(frame: Frame, server: string): string {
  if (frame.kind === "answer" && frame.fate === "arrived") return t("frame.from", { name: server });
  if (frame.kind === "arp" || frame.kind === "icmp") return "";
  if (frame.fate === "refused") return frame.verdict ?? "";
  if (frame.fate === "arrived") return `→ ${server}`;
  return tOr(`fate.${frame.fate}`, "");
}
