/** Play, pause, one frame, how fast, and whose traffic. */
import { h } from "../dom.ts";
import type { Source, Speed } from "../model.ts";
import { t } from "../text/text.ts";

const SPEEDS: readonly Speed[] = ["slow", "normal", "fast", "flood"];

export interface TransportEvents {
  onPlay(playing: boolean): void;
  onStep(): void;
  onRestart(): void;
  onSpeed(speed: Speed): void;
  onFile(file: File): void;
  onSource(kind: "generator" | "recording"): void;
}

export class Transport {
  playing = true;
  speed: Speed = "normal";
  readonly #host: HTMLElement;
  readonly #events: TransportEvents;
  readonly #file = h("input", {
    type: "file",
    accept: ".pcap,.pcapng,.cap",
    class: "hidden-input",
    id: "capture-file",
  });
  #play: HTMLButtonElement | undefined;

  constructor(host: HTMLElement, events: TransportEvents) {
    this.#host = host;
    this.#events = events;
    this.#file.addEventListener("change", () => {
      const file = this.#file.files?.[0];
      if (file !== undefined) events.onFile(file);
      this.#file.value = "";
    });
  }

  /** Draws what this source can do. */
  draw({ powers, kind, label }: Source): void {
    this.#host.role = "group";
    this.#host.setAttribute("aria-label", t("transport.label"));
    this.#play = h("button", { type: "button", class: "primary", id: "play", onclick: () => this.toggle() });
    const step = h(
      "button",
      { type: "button", id: "step", onclick: () => this.#events.onStep() },
      stepIcon(),
      t("transport.step"),
    );
    const restart = h(
      "button",
      { type: "button", id: "restart", onclick: () => this.#events.onRestart() },
      t("transport.restart"),
    );
    const live = kind === "live" || kind === "lab";
    this.#host.replaceChildren(
      h("div", { class: "transport-group" }, this.#play, powers.step && step, !live && restart),
      ...(powers.speed ? [this.#speeds(kind)] : []),
      ...(live ? [] : [this.#sources(kind, label)]),
    );
    this.#showPlay();
  }

  toggle(): void {
    this.setPlaying(!this.playing);
    this.#events.onPlay(this.playing);
  }

  setPlaying(playing: boolean): void {
    this.playing = playing;
    this.#showPlay();
  }

  #showPlay(): void {
    if (this.#play === undefined) return;
    this.#play.replaceChildren(
      playIcon(this.playing),
      t(this.playing ? "transport.pause" : "transport.play"),
    );
  }

  #speeds(kind: Source["kind"]): HTMLElement {
    const offered = kind === "generator" ? SPEEDS : SPEEDS.slice(0, 3);
    if (!offered.includes(this.speed)) this.speed = "normal";
    return h(
      "fieldset",
      { class: "segments" },
      h("legend", { class: "hidden" }, t("transport.speed")),
      ...offered.map((speed) => this.#speedButton(speed)),
    );
  }

  #speedButton(speed: Speed): HTMLElement {
    const choose = (): void => {
      this.speed = speed;
      this.#events.onSpeed(speed);
    };
    const input = h("input", {
      type: "radio",
      name: "speed",
      value: speed,
      checked: speed === this.speed,
      onchange: choose,
    });
    return h("label", {}, input, h("span", {}, t(`speed.${speed}`)));
  }

  #sources(kind: Source["kind"], label: string): HTMLElement {
    const file = kind === "recording" && label !== "";
    const select = h(
      "select",
      { id: "source" },
      h("option", { value: "generator", selected: kind === "generator" }, t("source.generator")),
      h("option", { value: "recording", selected: kind === "recording" && !file }, t("source.recording")),
      file && h("option", { value: "shown", selected: true }, label),
      h("option", { value: "file" }, t("source.file")),
    );
    select.addEventListener("change", () => {
      if (select.value === "file") {
        select.value = file ? "shown" : kind;
        this.#file.click();
      } else if (select.value === "generator" || select.value === "recording") {
        this.#events.onSource(select.value);
      }
    });
    this.#file.setAttribute("aria-label", t("source.file.label"));
    this.#file.tabIndex = -1;
    return h("label", { class: "labelled" }, h("span", {}, t("transport.source")), select, this.#file);
  }
}

function icon(path: string): SVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("width", "14");
  svg.setAttribute("height", "14");
  svg.setAttribute("aria-hidden", "true");
  const shape = document.createElementNS("http://www.w3.org/2000/svg", "path");
  shape.setAttribute("d", path);
  shape.setAttribute("fill", "currentColor");
  svg.append(shape);
  return svg;
}

const playIcon = (playing: boolean): SVGElement =>
  icon(playing ? "M4 2.5h3v11H4zM9 2.5h3v11H9z" : "M4 2l9.5 6L4 14z");
const stepIcon = (): SVGElement => icon("M3 2l7.5 6L3 14zM11.5 2.5h2v11h-2z");
