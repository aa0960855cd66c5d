/** Frames moving along their ways. A few dozen at a time; whoever asked for less motion sees the ways light up. */
import { s } from "../dom.ts";
import type { Frame, NodeId } from "../model.ts";
import { serverClass } from "./colours.ts";
import { along, type Curve, type Layout, pathText } from "./geometry.ts";

/** More than this cannot be followed by eye. */
const MOST = 60;
/** A frame that ends on its way stays visible for so many legs. */
const FADE = 1.4;
const STILL_MS = 1400;

interface Dot {
  readonly frame: Frame;
  readonly element: SVGGElement;
  readonly curves: readonly Curve[];
  /** Leg from which on it has its real server's colour. */
  readonly decided: number;
  readonly serverClass: string;
  /** Legs it has gone. */
  gone: number;
  coloured: boolean;
  ended: boolean;
}

export class Animation {
  /** Milliseconds a leg takes. */
  leg = 620;
  paused = false;
  /** While paused: go on until all that move have arrived. */
  stepping = false;
  onPick: (frame: Frame) => void = () => {};
  readonly #layer: SVGGElement;
  readonly #glow: SVGGElement;
  readonly #still = matchMedia("(prefers-reduced-motion: reduce)");
  #layout: Layout | undefined;
  #indexOf: (address: string) => number = () => -1;
  #dots: Dot[] = [];
  #last = 0;
  #request = 0;

  constructor(glow: SVGGElement, layer: SVGGElement) {
    this.#glow = glow;
    this.#layer = layer;
  }

  /** Somebody asked for less motion. */
  get still(): boolean {
    return this.#still.matches;
  }

  get moving(): number {
    return this.#dots.length;
  }

  setLayout(layout: Layout, indexOf: (address: string) => number): void {
    this.#layout = layout;
    this.#indexOf = indexOf;
    this.clear();
  }

  clear(): void {
    for (const { element } of this.#dots) element.remove();
    this.#dots = [];
    this.#glow.replaceChildren();
  }

  play(frame: Frame): void {
    for (const way of frame.ways) this.#start(frame, way);
  }

  #start(frame: Frame, way: readonly NodeId[]): void {
    const layout = this.#layout;
    if (layout === undefined || this.#dots.length >= MOST) return;
    // Real servers that have no room in the picture have no way either.
    if (!way.every((node) => layout.nodes.has(node))) return;
    const answer = frame.kind === "answer";
    const curves = way.slice(1).map((node, i) => layout.line(way[i]!, node, answer));
    if (this.still) {
      this.#light(frame, curves);
      return;
    }
    const colour = serverClass(frame.server === undefined ? -1 : this.#indexOf(frame.server));
    const passed = way.indexOf("director");
    const decided = frame.kind === "request" && passed >= 0 ? passed : 0;
    const dot: Dot = {
      frame,
      element: this.#draw(frame),
      curves,
      decided: frame.server === undefined ? Number.POSITIVE_INFINITY : decided,
      serverClass: colour,
      gone: 0,
      coloured: false,
      ended: false,
    };
    this.#dots.push(dot);
    this.#place(dot);
    this.#layer.append(dot.element);
    this.#run();
  }

  #draw(frame: Frame): SVGGElement {
    const size = frame.opens ? 7.5 : 5.5;
    const shape =
      frame.kind === "arp" || frame.kind === "icmp"
        ? s("path", { class: "dot-shape", d: "M0 -6.5L6.5 0L0 6.5L-6.5 0Z" })
        : s("circle", { class: "dot-shape", r: frame.kind === "answer" ? 5 : size });
    const halo = frame.opens ? s("circle", { class: "dot-halo", r: 12 }) : undefined;
    const hit = s("circle", { class: "dot-hit", r: 16 });
    return s("g", { class: `dot dot-${frame.kind}`, onclick: () => this.onPick(frame) }, hit, halo, shape);
  }

  #run(): void {
    if (this.#request !== 0) return;
    this.#last = performance.now();
    this.#request = requestAnimationFrame((now) => this.#tick(now));
  }

  #tick(now: number): void {
    this.#request = 0;
    const passed = Math.min(100, now - this.#last) / this.leg;
    this.#last = now;
    if (!this.paused || this.stepping) {
      for (const dot of this.#dots) {
        dot.gone += passed;
        this.#place(dot);
      }
      this.#dots = this.#dots.filter((dot) => this.#keep(dot));
    }
    if (this.#dots.length === 0) this.stepping = false;
    else this.#request = requestAnimationFrame((time) => this.#tick(time));
  }

  #place(dot: Dot): void {
    const { curves, element } = dot;
    const leg = Math.min(Math.floor(dot.gone), curves.length - 1);
    const curve = curves[leg];
    if (!dot.coloured && dot.gone >= dot.decided) {
      dot.coloured = true;
      element.classList.add(dot.serverClass);
    }
    if (curve === undefined) {
      this.#standAt(dot);
      return;
    }
    const part = Math.min(1, dot.gone - leg);
    const eased = part * part * (3 - 2 * part);
    const { x, y } = along(curve, 0.35 * part + 0.65 * eased);
    element.setAttribute("transform", `translate(${x.toFixed(1)} ${y.toFixed(1)})`);
    if (dot.gone >= curves.length && !dot.ended) this.#end(dot);
  }

  /** A way of one node: the frame was given up where it waited. */
  #standAt(dot: Dot): void {
    const node = this.#layout?.nodes.get(dot.frame.ways[0]?.[0] ?? "director");
    if (node !== undefined) dot.element.setAttribute("transform", `translate(${node.x} ${node.y})`);
    if (!dot.ended) this.#end(dot);
  }

  #end(dot: Dot): void {
    dot.ended = true;
    const { fate } = dot.frame;
    if (fate === "arrived" || fate === "bypass") dot.element.classList.add("dot-arrived");
    else if (fate === "waits") dot.element.classList.add("dot-waits");
    else {
      dot.element.classList.add("dot-lost");
      dot.element.append(s("path", { class: "dot-cross", d: "M-7 -7L7 7M7 -7L-7 7" }));
    }
  }

  #keep(dot: Dot): boolean {
    const arrived = dot.frame.fate === "arrived" || dot.frame.fate === "bypass";
    const stays = arrived ? 0.25 : FADE;
    if (dot.gone < dot.curves.length + stays) return true;
    dot.element.remove();
    return false;
  }

  /** Less motion: the way lights up and goes out. */
  #light(frame: Frame, curves: readonly Curve[]): void {
    const colour = serverClass(frame.server === undefined ? -1 : this.#indexOf(frame.server));
    const lit = s(
      "g",
      { class: `lit lit-${frame.kind} ${colour}` },
      ...curves.map((curve) => s("path", { d: pathText(curve) })),
    );
    if (this.#glow.children.length > 6) this.#glow.firstElementChild?.remove();
    this.#glow.append(lit);
    setTimeout(() => lit.remove(), STILL_MS);
  }
}
