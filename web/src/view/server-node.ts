/** A real server in the picture: its name, which host it is, its weight and how many connections it has. */
import { s, setText } from "../dom.ts";
import type { ServerRow } from "../model.ts";
import { t } from "../text/text.ts";
import { serverClass } from "./colours.ts";
import { ending } from "./facts.ts";
import type { Point } from "./geometry.ts";

const NAME_SIZE = 15;
export const DETAIL_SIZE = 12.5;
/** A character's width by its height; MAC and IPv6 addresses are long. */
const CHARACTER = 0.62;
/** A longer one leaves no room beside it. */
const SHORT = 14;
/** Smaller letters cannot be read: then the end of an address stands for it. */
const SMALLEST = 10.5;

type Anchor = "start" | "middle" | "end";

export class ServerNode {
  readonly group: SVGGElement;
  readonly #weight: SVGTextElement;
  readonly #count: SVGTextElement | undefined;
  readonly #bar: SVGRectElement;
  readonly #width: number;

  constructor(server: ServerRow, i: number, { x, y }: Point, { x: w, y: h }: Point, narrow: boolean) {
    this.#width = 2 * w;
    const { name, shown } = server;
    const [left, right] = [16 - w, w - 12];
    this.#bar = s("rect", { class: "node-bar", x: -w, y: h - 4, width: 0, height: 4 });
    const texts: SVGTextElement[] = [];
    const write = (kind: string, at: Point, anchor: Anchor, text = ""): SVGTextElement => {
      const size = kind === "node-name" ? NAME_SIZE : DETAIL_SIZE;
      const element = s("text", { class: kind, x: at.x, y: at.y, "text-anchor": anchor }, text);
      fit(element, size, 2 * w - (narrow ? 10 : 28));
      texts.push(element);
      return element;
    };
    const called = ending(name, (2 * w - (narrow ? 10 : 28)) / (CHARACTER * SMALLEST));
    if (narrow) {
      write("node-name", { x: 0, y: -9 }, "middle", called);
      this.#weight = write("node-detail", { x: 0, y: 8 }, "middle");
      this.#count = write("node-count", { x: 0, y: 22 }, "middle");
    } else if (name === shown) {
      write("node-name", { x: left, y: -7 }, "start", called);
      this.#weight = write("node-detail", { x: left, y: 16 }, "start");
      this.#count = write("node-count", { x: right, y: 16 }, "end");
    } else {
      write("node-name", { x: left, y: -7 }, "start", name);
      write("node-detail", { x: left, y: 16 }, "start", shown);
      this.#weight = write("node-detail", { x: right, y: -7 }, "end");
      this.#count = shown.length > SHORT ? undefined : write("node-count", { x: right, y: 16 }, "end");
    }
    const clip = `clip-${i}`;
    const box = { x: -w, y: -h, width: 2 * w, height: 2 * h, rx: 10 };
    const side = { x: -w, y: -h, width: narrow ? 2 * w : 6, height: narrow ? 5 : 2 * h };
    this.group = s(
      "g",
      { class: `node node-server ${serverClass(i)}`, transform: `translate(${x} ${y})` },
      s("clipPath", { id: clip }, s("rect", box)),
      s("rect", { class: "node-box", ...box }),
      s("g", { "clip-path": `url(#${clip})` }, s("rect", { class: "node-side", ...side }), this.#bar),
      ...texts,
    );
  }

  /** `most`: connections of the busiest one. */
  update({ weight, active, faults }: ServerRow, most: number): void {
    const weighs = weight === 0 ? t("node.quiesced") : t("node.weight", { weight });
    const counts = `${active} ${t("why.member.active")}`;
    setText(this.#weight, this.#count === undefined ? `${weighs} · ${counts}` : weighs);
    if (this.#count !== undefined) setText(this.#count, counts);
    this.#bar.setAttribute("width", ((active / most) * this.#width).toFixed(1));
    this.group.classList.toggle("quiesced", weight === 0);
    this.group.classList.toggle("faulty", faults.length > 0);
  }
}

/** Makes letters so small that they have room. */
export function fit(element: SVGTextElement, size: number, width: number): void {
  const room = width / (CHARACTER * Math.max(1, element.textContent.length));
  if (room < size) element.style.fontSize = `${room.toFixed(1)}px`;
}
