/** What each real server gets a second, over the last minute. */
import uPlot from "uplot";
import { h, setText } from "../dom.ts";
import type { Picture, ServerRow } from "../model.ts";
import { n, t } from "../text/text.ts";
import { colour, serverClass, serverColour } from "./colours.ts";
import { serversOf } from "./topology.ts";

type What = "connections" | "frames";

const SAMPLE_MS = 500;
const SAMPLES = 120;
/** A rate is drawn as the mean of so many samples: single connections would be needles. */
const SMOOTH = 16;
const HEIGHT = 264;
const LINES: readonly (number[] | undefined)[] = [undefined, [7, 4], [2, 3], [10, 3, 2, 3]];

export class Rates {
  readonly #panel: HTMLElement;
  readonly #chartHost = h("div", { class: "chart", role: "img" });
  readonly #legend = h("p", { class: "chart-legend" });
  #what: What = "connections";
  #chart: uPlot | undefined;
  #servers: readonly ServerRow[] = [];
  #drawn = "";
  #times: number[] = [];
  /** By server: its counter at each sample. */
  #counts: { connections: number[]; frames: number[] }[] = [];
  #sampledAt = Number.NEGATIVE_INFINITY;
  /** The first sample's time: the chart counts from there. */
  #begin = Number.NaN;
  #paintedAt = 0;

  constructor(panel: HTMLElement) {
    this.#panel = panel;
    new ResizeObserver(() => {
      this.#chart?.setSize({ width: this.#chartHost.clientWidth, height: HEIGHT });
    }).observe(this.#chartHost);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
  }

  /** Language or colours changed. */
  redraw(): void {
    this.#drawn = "";
  }

  clear(): void {
    this.#times = [];
    this.#counts = [];
    this.#sampledAt = Number.NEGATIVE_INFINITY;
    this.#begin = Number.NaN;
    this.#drawn = "";
  }

  show(picture: Picture): void {
    const servers = serversOf(picture);
    const key = servers.map(({ address }) => address).join(" ");
    if (picture.time < this.#sampledAt) this.clear();
    if (key !== this.#drawn || this.#counts.length !== servers.length) {
      if (this.#counts.length !== servers.length) {
        this.#times = [];
        this.#begin = Number.NaN;
        this.#counts = servers.map(() => ({ connections: [], frames: [] }));
      }
      this.#drawn = key;
      this.#servers = servers;
      this.#draw();
    }
    this.#servers = servers;
    this.#sample(picture.time);
  }

  #sample(time: number): void {
    if (time - this.#sampledAt < SAMPLE_MS) return;
    this.#sampledAt = time;
    if (Number.isNaN(this.#begin)) this.#begin = time;
    this.#times.push((time - this.#begin) / 1000);
    this.#servers.forEach(({ connections, packets }, i) => {
      this.#counts[i]!.connections.push(connections);
      this.#counts[i]!.frames.push(packets);
    });
    if (this.#times.length > SAMPLES + SMOOTH) {
      this.#times.shift();
      for (const each of this.#counts) {
        each.connections.shift();
        each.frames.shift();
      }
    }
    const now = performance.now();
    if (now - this.#paintedAt < 200) return;
    this.#paintedAt = now;
    this.#paint();
  }

  #data(): uPlot.AlignedData {
    const times = this.#times;
    const first = Math.min(times.length, 1);
    const rates = this.#counts.map((each) => {
      const counts = each[this.#what];
      return counts.slice(first).map((count, k) => {
        const i = k + first;
        const back = Math.max(0, i - SMOOTH);
        // Before the first sample nothing is known: it counts as silence rather than as a great rate.
        const seconds = Math.max(times[i]! - times[back]!, (SMOOTH * SAMPLE_MS) / 1000);
        // --zero and a restart bring a counter back to 0: no rate, not a negative one.
        return Math.max(0, (count - counts[back]!) / seconds);
      });
    });
    return [times.slice(first), ...rates] as uPlot.AlignedData;
  }

  #paint(): void {
    const data = this.#data();
    this.#chart?.setData(data);
    const now = this.#servers.map(({ name }, i) =>
      t("rates.now", { name, rate: n((data[i + 1] as number[]).at(-1) ?? 0) }),
    );
    this.#chartHost.setAttribute(
      "aria-label",
      t("rates.label", { what: t(`rates.${this.#what}`), now: now.join(", ") }),
    );
    this.#servers.forEach((_, i) => {
      const place = this.#legend.children[i]?.lastElementChild;
      if (place !== null && place !== undefined) setText(place, n((data[i + 1] as number[]).at(-1) ?? 0));
    });
  }

  #draw(): void {
    this.#chart?.destroy();
    const choice = (what: What): HTMLElement => {
      const choose = (): void => {
        this.#what = what;
        this.#paint();
      };
      const input = h("input", {
        type: "radio",
        name: "rates",
        checked: this.#what === what,
        onchange: choose,
      });
      return h("label", {}, input, h("span", {}, t(`rates.${what}`)));
    };
    this.#legend.replaceChildren(
      ...this.#servers.map(({ name }, i) =>
        h(
          "span",
          { class: serverClass(i) },
          h("span", { class: "swatch", "aria-hidden": "true" }),
          h("span", {}, name),
          h("strong", {}),
        ),
      ),
    );
    this.#panel.replaceChildren(
      h(
        "div",
        { class: "rates-head" },
        h("h3", {}, t("rates.title")),
        h(
          "fieldset",
          { class: "segments" },
          h("legend", { class: "hidden" }, t("rates.what")),
          choice("connections"),
          choice("frames"),
        ),
      ),
      this.#chartHost,
      this.#legend,
    );
    this.#chart = new uPlot(this.#options(), this.#data(), this.#chartHost);
  }

  #options(): uPlot.Options {
    const axis = {
      stroke: colour("ink-2"),
      grid: { stroke: colour("line"), width: 1 },
      ticks: { show: false },
    };
    const font = "11px system-ui, sans-serif";
    return {
      width: Math.max(200, this.#chartHost.clientWidth),
      height: HEIGHT,
      cursor: { show: false },
      legend: { show: false },
      padding: [8, 18, 0, 0],
      scales: {
        x: {
          time: false,
          range: (_chart, _low, high) => [
            Math.max(0, high - (SAMPLES * SAMPLE_MS) / 1000),
            Math.max(high, 10),
          ],
        },
        y: { range: (_chart, _low, high) => [0, Math.max(1, high * 1.15)] },
      },
      axes: [
        {
          ...axis,
          font,
          size: 28,
          grid: { show: false },
          values: (_chart, seconds) => seconds.map((second) => t("seconds", { seconds: Math.round(second) })),
        },
        { ...axis, font, size: 44, values: (_chart, values) => values.map((value) => n(value)) },
      ],
      series: [
        {},
        ...this.#servers.map(({ name }, i) => ({
          label: name,
          stroke: serverColour(i),
          width: 2,
          points: { show: false },
          ...(LINES[i % LINES.length] === undefined ? {} : { dash: LINES[i % LINES.length]! }),
        })),
      ],
    };
  }
}
